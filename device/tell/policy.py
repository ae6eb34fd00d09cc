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
FAULT_AGAIN_AFTER_S = 600.0  # a loose ribbon flaps; the status follows, the alert comes once in this time


class Eye(enum.Enum):
    """What is known of the camera."""

    UNKNOWN = "just started; neither seen nor missed"
    SEEING = "frames come and show the door"
    BLOCKED = "frames come and show nothing of use"
    LOST = "no frames"


# What each message says of the eye. MOTION and ALIVE do not unblock a blocked view; only VIEW_CLEAR does.
NEXT: dict[Eye, dict[SeeToTell, Eye]] = {
    Eye.UNKNOWN: dict.fromkeys(SeeToTell, Eye.SEEING)
    | {SeeToTell.VIEW_BLOCKED: Eye.BLOCKED, SeeToTell.CAMERA_LOST: Eye.LOST},
    Eye.SEEING: dict.fromkeys(SeeToTell, Eye.SEEING)
    | {SeeToTell.VIEW_BLOCKED: Eye.BLOCKED, SeeToTell.CAMERA_LOST: Eye.LOST},
    Eye.BLOCKED: dict.fromkeys(SeeToTell, Eye.BLOCKED)
    | {SeeToTell.VIEW_CLEAR: Eye.SEEING, SeeToTell.CAMERA_LOST: Eye.LOST},
    Eye.LOST: dict.fromkeys(SeeToTell, Eye.SEEING)
    | {SeeToTell.VIEW_BLOCKED: Eye.BLOCKED, SeeToTell.CAMERA_LOST: Eye.LOST},
}

STATUS: dict[Eye, Status | None] = {
    Eye.UNKNOWN: None,  # say nothing rather than something that is not known
    Eye.SEEING: Status.WATCHING,
    Eye.BLOCKED: Status.VIEW_BLOCKED,
    Eye.LOST: Status.NO_CAMERA,
}

# A change of the eye that the owner is told in words, beside the status. A fault is told as often as
# FAULT_AGAIN_AFTER_S allows, and its end only if its beginning was told.
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
    _alive_s: float = field(init=False)
    _motion_s: float = -math.inf  # when motion was last reported
    _storm: bool = False
    _kept_on_s: float = -math.inf
    _told_s: deque[float] = field(init=False)
    _fault_told_s: dict[Eye, float] = field(default_factory=dict)
    _open_faults: set[Eye] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._alive_s = self.started_s
        self._told_s = deque(maxlen=self.settings.storm_alerts)

    @property
    def status(self) -> Status | None:
        """What to say of the device; None while nothing is known yet."""
        return STATUS[self.eye]

    def on(self, message: SeeToTell, now_s: float) -> list[Alert]:
        """Take one message of `see`, sent at `now_s`; return what the owner is to be told, in order."""
        self._alive_s = now_s = max(self._alive_s, now_s)  # the sender's clock may lag a hair behind ours
        alerts = self._look(NEXT[self.eye][message], now_s)
        if message is SeeToTell.MOTION_STARTED:
            self.moving = True
            alerts += self._motion(now_s)
        elif message is SeeToTell.MOTION_ENDED:
            self.moving = False
        if self.moving:
            self._motion_s = now_s
        return alerts

    def tick(self, now_s: float) -> list[Alert]:
        """Notice what did not come; call it at least once a second."""
        if self.eye is not Eye.LOST and now_s - self._alive_s > DOWN_AFTER_S:
            return self._look(Eye.LOST, now_s)
        return []

    def _look(self, eye: Eye, now_s: float) -> list[Alert]:
        before, self.eye = self.eye, eye
        if eye is Eye.LOST:
            self.moving = False
        if before is eye:
            return []
        alerts = []
        for fault in [fault for fault in FAULT if fault in self._open_faults and _mended(fault, eye)]:
            self._open_faults.remove(fault)
            alerts.append(FAULT[fault][1])
        if eye in FAULT and now_s - self._fault_told_s.get(eye, -math.inf) >= FAULT_AGAIN_AFTER_S:
            self._fault_told_s[eye] = now_s
            self._open_faults.add(eye)
            alerts.append(FAULT[eye][0])
        return alerts

    def _motion(self, now_s: float) -> list[Alert]:
        """Cooldown and storm: at most one alert, often none."""
        if self._storm and now_s - self._motion_s >= CALM_AFTER_S:
            self._storm = False
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


def _mended(fault: Eye, eye: Eye) -> bool:
    """Whether seeing `eye` ends `fault`: a blocked view at least shows that the camera is back."""
    return eye is Eye.SEEING or (fault is Eye.LOST and eye is Eye.BLOCKED)
