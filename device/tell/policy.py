"""When the owner is told, and what: a pure state machine over the messages of `see`.

Rule 1: the first motion is told at once, whatever came before it in quiet times.
Rule 2: every motion that was said to start is said to end, whatever happens to `see`.
Rule 3: silence is never good news: without a sign of life the owner is told that there is no camera.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field

from device.config import Alerts
from device.messages import DOWN_AFTER_S, SeeToTell
from device.tell.words import Alert, Status

CALM_AFTER_S = 300.0  # a storm is over after this long without motion; the next motion is told at once
AWAY_AFTER_S = 3.0  # between two ticks that should be a second apart
FAULT_AGAIN_AFTER_S = 600.0  # a loose ribbon flaps; the status follows, the alert comes once in this time


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

# A change of the eye that the owner is told in words, beside the status. The beginning of a fault is told as
# often as FAULT_AGAIN_AFTER_S allows, and never goes untold while it lasts; its end only if its beginning was.
FAULT: dict[Eye, tuple[Alert, Alert]] = {
    Eye.LOST: (Alert.NO_CAMERA, Alert.CAMERA_BACK),
    Eye.BLOCKED: (Alert.VIEW_BLOCKED, Alert.VIEW_CLEAR),
}


@dataclass(slots=True)
class Policy:
    """The alert policy of one door. Times are seconds of one clock that never goes back."""

    settings: Alerts
    started_s: float
    eye: Eye = Eye.UNKNOWN
    moving: bool = False
    _message_s: float = -math.inf  # of the last message; what waited for us is older than we are
    _alive_s: float = field(init=False)
    _ticked_s: float = field(init=False)
    _motion_s: float = -math.inf  # when motion was last reported
    _storm: bool = False
    _kept_on_s: float = -math.inf
    _told_s: deque[float] = field(init=False)
    _fault_told_s: dict[Eye, float] = field(default_factory=dict)
    _open_faults: set[Eye] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._alive_s = self._ticked_s = self.started_s
        self._told_s = deque(maxlen=self.settings.storm_alerts)

    @property
    def status(self) -> Status | None:
        """What to say of the device; None while nothing is known yet."""
        return STATUS[self.eye]

    def on(self, message: SeeToTell, sent_s: float) -> list[Alert]:
        """Take one message of `see`, sent at `sent_s`; return what the owner is to be told, in order."""
        self._message_s = now_s = max(self._message_s, sent_s)  # clocks of two kinds may differ by a hair
        self._alive_s = max(self._alive_s, now_s)
        alerts = self._look(NEXT[self.eye][message], now_s)
        moves = MOVES[message]
        if moves and (not self.moving or message is SeeToTell.MOTION_STARTED):
            alerts += self._motion(now_s)
        if moves is not None:
            self.moving = moves
        if self.moving:
            self._motion_s = now_s
        return alerts

    def tick(self, now_s: float) -> list[Alert]:
        """Notice what did not come, and what lasts; call it once a second."""
        if now_s - self._ticked_s > AWAY_AFTER_S:  # we were away ourselves: silence meant nothing
            self._alive_s = now_s
        self._ticked_s = now_s
        if self.eye is not Eye.LOST and now_s - self._alive_s > DOWN_AFTER_S:
            self.moving = False
            return self._look(Eye.LOST, now_s)
        return self._begun(now_s)

    def _look(self, eye: Eye, now_s: float) -> list[Alert]:
        before, self.eye = self.eye, eye
        if before is eye:
            return []
        alerts = []
        if Eye.LOST in self._open_faults and eye in (Eye.SEEING, Eye.BLOCKED):
            alerts.append(FAULT[Eye.LOST][1])
        if before is Eye.BLOCKED and eye is Eye.SEEING and Eye.BLOCKED in self._open_faults:
            alerts.append(FAULT[Eye.BLOCKED][1])
        # A `see` that was away has forgotten how the view should look: then nobody can say that it is clear.
        self._open_faults &= {eye, Eye.BLOCKED} if eye is Eye.LOST else {eye}
        return alerts + self._begun(now_s)

    def _begun(self, now_s: float) -> list[Alert]:
        """Tell a fault that is on and has not been told; later, if it was told only a moment ago."""
        eye = self.eye
        told_s = self._fault_told_s.get(eye, -math.inf)
        if eye not in FAULT or eye in self._open_faults or now_s - told_s < FAULT_AGAIN_AFTER_S:
            return []
        self._fault_told_s[eye] = now_s
        self._open_faults.add(eye)
        return [FAULT[eye][0]]

    def _motion(self, now_s: float) -> list[Alert]:
        """Cooldown and storm: at most one alert, often none."""
        if self._storm and now_s - self._motion_s >= CALM_AFTER_S:
            self._storm, self._kept_on_s = False, -math.inf
            self._told_s.clear()
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
