"""When the owner is told, and what: a pure state machine over the messages of `see` and of `keep`.

Rule 1: the first motion is told at once, whatever came before it in quiet times.
Rule 2: every motion that was said to start is said to end, whatever happens to `see`.
Rule 3: silence is never good news: without a sign of life the owner is told that there is no camera,
        unless watching is paused, and soon after it is resumed. Quiet hours keep back motion, and nothing else.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field

from device.config import Alerts
from device.messages import DOWN_AFTER_S, KeepToTell, SeeToTell
from device.tell.button import Button
from device.tell.lasting import Lasting
from device.tell.quiet import Hours
from device.tell.words import Alert, Status

CALM_AFTER_S = 300.0  # a storm is over after this long without motion; the next motion is told at once
AWAY_AFTER_S = 3.0  # between two ticks that should be a second apart


class Eye(enum.Enum):
    """What is known of the camera."""

    UNKNOWN = "just started; neither seen nor missed"
    SEEING = "frames come and show the door"
    BLOCKED = "frames come and show nothing of use"
    LOST = "no frames"


# What each message says of the eye. That something began or ceased to move says nothing of a blocked view.
_KEEPS_BLOCKED = (SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED)
NEXT: dict[Eye, dict[SeeToTell, Eye]] = {
    eye: dict.fromkeys(SeeToTell, Eye.SEEING)
    | {SeeToTell.VIEW_BLOCKED: Eye.BLOCKED, SeeToTell.CAMERA_LOST: Eye.LOST}
    | (dict.fromkeys(_KEEPS_BLOCKED, Eye.BLOCKED) if eye is Eye.BLOCKED else {})
    for eye in Eye
}

# What each message says of motion; None: nothing. A sign of life says it again, so a lost message is mended.
MOVES: dict[SeeToTell, bool | None] = {
    SeeToTell.MOTION_STARTED: True,
    SeeToTell.MOVING: True,
    SeeToTell.MOTION_ENDED: False,
    SeeToTell.ALIVE: False,
    SeeToTell.VIEW_BLOCKED: False,  # nothing of use is seen
    SeeToTell.CAMERA_LOST: False,
    SeeToTell.VIEW_CLEAR: None,
}

STATUS: dict[Eye, Status | None] = {
    Eye.UNKNOWN: None,  # say nothing rather than something that is not known
    Eye.SEEING: Status.WATCHING,
    Eye.BLOCKED: Status.VIEW_BLOCKED,
    Eye.LOST: Status.NO_CAMERA,
}

# A change of the eye that the owner is told in words, beside the status: how a fault begins, and how it ends.
FAULT: dict[Eye, tuple[Alert, Alert]] = {
    Eye.LOST: (Alert.NO_CAMERA, Alert.CAMERA_BACK),
    Eye.BLOCKED: (Alert.VIEW_BLOCKED, Alert.VIEW_CLEAR),
}


@dataclass(slots=True)
class Policy:
    """The alert policy of one door. Times are seconds of one clock that never goes back."""

    settings: Alerts
    started_s: float
    button: Button = field(default_factory=Button)
    eye: Eye = Eye.UNKNOWN
    moving: bool = False
    quiet: bool = False
    _message_s: float = -math.inf  # of the last message; what waited for us is older than we are
    _alive_s: float = field(init=False)
    _ticked_s: float = field(init=False)
    _motion_s: float = -math.inf  # when motion was last reported
    _storm: bool = False
    _kept_on_s: float = -math.inf
    _told_s: deque[float] = field(init=False)
    _hours: Hours = field(init=False)
    _faults: dict[Eye, Lasting] = field(init=False)

    def __post_init__(self) -> None:
        self._alive_s = self._ticked_s = self.started_s
        self._told_s = deque(maxlen=self.settings.storm_alerts)
        self._hours = Hours.parse(self.settings.quiet)
        self._faults = {eye: Lasting(begin, end) for eye, (begin, end) in FAULT.items()}

    @property
    def status(self) -> Status | None:
        """What to say of the device; None while nothing is known yet."""
        status = Status.PAUSED if self.button.paused else STATUS[self.eye]
        return Status.QUIET if self.quiet and status is Status.WATCHING else status

    @property
    def recording(self) -> bool | None:
        """Whether a clip is being recorded; None while nothing is known yet."""
        return self.button.recording

    def at(self, minute_of_day: int) -> None:
        """Say what time of the local day it is."""
        self.quiet = self._hours.has(minute_of_day)

    def on(self, message: SeeToTell | KeepToTell, sent_s: float) -> list[Alert]:
        """Take one message, sent at `sent_s`; return what the owner is to be told, in order."""
        self._message_s = now_s = max(self._message_s, sent_s)  # clocks of two kinds may differ by a hair
        if isinstance(message, KeepToTell):
            paused = self.button.paused
            return self._pause(paused, self.button.on(message, now_s), now_s)
        self._alive_s = max(self._alive_s, now_s)
        # What an eye says of itself while it closes or opens counts for nothing; what it sees is told.
        alerts = [] if self.button.paused else self._look(NEXT[self.eye][message], now_s)
        moves = MOVES[message]
        if moves and (not self.moving or message is SeeToTell.MOTION_STARTED):
            alerts += self._motion(now_s)
        if moves is not None:
            self.moving = moves and not self.button.paused
        if moves or self.moving:
            self._motion_s = now_s
        return alerts

    def tick(self, now_s: float) -> list[Alert]:
        """Notice what did not come, and what lasts; call it once a second."""
        away = now_s - self._ticked_s > AWAY_AFTER_S  # we were away ourselves: silence meant nothing
        self._ticked_s = now_s
        paused = self.button.paused
        alerts = self._pause(paused, self.button.tick(now_s, away=away), now_s)
        if away or self.button.paused:
            self._alive_s = now_s
        if self.button.paused:
            return alerts
        if now_s - self._alive_s > DOWN_AFTER_S:
            self.moving = False
            return alerts + self._look(Eye.LOST, now_s)
        return alerts + self._look(self.eye, now_s)

    def _pause(self, before: bool | None, alerts: list[Alert], now_s: float) -> list[Alert]:
        """Let the eye follow what the button has made of the pause."""
        if self.button.paused:
            self.moving = False
        elif before:  # it has DOWN_AFTER_S to show that it is open again
            self.eye, self._alive_s = Eye.UNKNOWN, max(self._alive_s, now_s)
        if Alert.WATCHING_PAUSED in alerts:
            for fault in self._faults.values():
                fault.forget()
        return alerts

    def _look(self, eye: Eye, now_s: float) -> list[Alert]:
        before, self.eye = self.eye, eye
        if eye is Eye.UNKNOWN:
            return []
        alerts = self._faults[Eye.LOST].now(eye is Eye.LOST, now_s)
        if eye is Eye.LOST:
            return alerts
        # A `see` that was away has forgotten how the view should look: then nobody can say that it is clear.
        clear = False if before is Eye.BLOCKED else None
        return alerts + self._faults[Eye.BLOCKED].now(eye is Eye.BLOCKED or clear, now_s)

    def _motion(self, now_s: float) -> list[Alert]:
        """Cooldown and storm: at most one alert, often none."""
        if self._storm and now_s - self._motion_s >= CALM_AFTER_S:
            self._storm, self._kept_on_s = False, -math.inf
            self._told_s.clear()
        if self.quiet:
            return []
        if not self._storm and self._told_s and now_s - self._told_s[-1] < self.settings.cooldown_s:
            return []
        window_s = self.settings.storm_window_s
        crowded = len(self._told_s) == self._told_s.maxlen and now_s - self._told_s[0] < window_s
        if not self._storm and not crowded:
            self._told_s.append(now_s)
            return [Alert.MOTION]
        self._storm = True
        if now_s - self._kept_on_s < window_s:
            return []
        self._kept_on_s = now_s
        return [Alert.MOTION_KEEPS_ON]
