"""What is known of the record button, and what the owner is told of it: a pure state machine over `keep`'s messages.

Rule 1: a recording is said to go on only while `keep` vouches for it; silent for DOWN_AFTER_S, it is said to be over.
Rule 2: a sign of life says the whole state, so whatever was lost before it is mended by it.
Rule 3: what a taken `keep` can have told is bounded for each alert, so it cannot drown what `see` has to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from device.messages import DOWN_AFTER_S, KeepToTell
from device.tell.lasting import Lasting
from device.tell.words import Alert

START_MOST_S = 10.0  # `keep` may be started after us; its first word may take this long
FAULT_LASTS_S = 30.0  # after each failure `keep` shows a fault for up to 20 s, and the failure was told already
PRESSES_MOST = 6  # alerts of one kind in ten minutes: as many as motion may have before it counts as a storm


class Says(NamedTuple):
    """What a message says of the three facts; None: nothing."""

    recording: bool | None  # a clip is being recorded
    paused: bool | None  # the camera is closed because the owner wants it so
    fault: bool | None  # a press would be refused


SAYS: dict[KeepToTell, Says] = {
    KeepToTell.RECORDING_STARTED: Says(recording=True, paused=False, fault=False),
    KeepToTell.RECORDING: Says(recording=True, paused=False, fault=False),
    KeepToTell.RECORDING_ENDED: Says(recording=False, paused=None, fault=None),
    KeepToTell.RECORDING_FAILED: Says(recording=False, paused=None, fault=None),
    KeepToTell.PAUSED: Says(recording=False, paused=True, fault=None),
    KeepToTell.RESUMED: Says(recording=None, paused=False, fault=None),
    KeepToTell.STORAGE_LOW: Says(recording=None, paused=None, fault=None),
    KeepToTell.FAULT: Says(recording=False, paused=False, fault=True),
    KeepToTell.ALIVE: Says(recording=False, paused=False, fault=False),
}

# What is told: the beginning, the end where it is one worth a word, and how many beginnings in ten minutes.
TOLD: dict[Alert, tuple[Alert | None, int]] = {
    Alert.NO_BUTTON: (Alert.BUTTON_BACK, 1),
    Alert.WATCHING_PAUSED: (Alert.WATCHING_AGAIN, PRESSES_MOST),
    Alert.RECORDING: (None, PRESSES_MOST),
    Alert.NO_RECORDING: (Alert.RECORDING_POSSIBLE, 1),
    Alert.RECORDING_FAILED: (None, PRESSES_MOST),
    Alert.STORAGE_LOW: (None, 1),
}
HAPPENS = {KeepToTell.RECORDING_FAILED: Alert.RECORDING_FAILED, KeepToTell.STORAGE_LOW: Alert.STORAGE_LOW}


@dataclass(slots=True)
class Button:
    """The record button of one door; left without `started_s` there is none, and none is missed."""

    started_s: float = math.inf
    recording: bool | None = None  # None: not known
    paused: bool | None = None
    fault: bool | None = None
    lost: bool = False
    _alive_s: float = field(init=False)
    _fault_s: float = 0.0  # when the fault began
    _told: dict[Alert, Lasting] = field(init=False)

    def __post_init__(self) -> None:
        self._alive_s = self.started_s + START_MOST_S - DOWN_AFTER_S
        self._told = {begin: Lasting(begin, end, most) for begin, (end, most) in TOLD.items()}

    def on(self, message: KeepToTell, now_s: float) -> list[Alert]:
        """Take one message of `keep`; return what the owner is to be told, in order."""
        self._alive_s, self.lost = max(self.started_s, now_s), False  # what waited for us is older than we are
        says = SAYS[message]
        if says.fault and not self.fault:
            self._fault_s = now_s
        self.recording = self.recording if says.recording is None else says.recording
        self.paused = self.paused if says.paused is None else says.paused
        self.fault = self.fault if says.fault is None else says.fault
        alerts = self._due(now_s)
        if message in HAPPENS:
            happened = self._told[HAPPENS[message]]
            alerts += happened.now(True, now_s)
            happened.now(False, now_s)
        return alerts

    def tick(self, now_s: float, *, away: bool) -> list[Alert]:
        """Notice what did not come, unless we were `away` ourselves, and what lasts."""
        if away:
            self._alive_s = max(self._alive_s, now_s)
        if now_s - self._alive_s > DOWN_AFTER_S:
            # The gate closes with `keep`. Whether watching is still paused, nobody can say.
            self.lost, self.recording, self.paused, self.fault = True, False, None, None
        return self._due(now_s)

    def _due(self, now_s: float) -> list[Alert]:
        holds = {
            Alert.NO_BUTTON: self.lost,
            Alert.WATCHING_PAUSED: self.paused,
            Alert.RECORDING: self.recording,
            Alert.NO_RECORDING: self.fault and now_s - self._fault_s >= FAULT_LASTS_S,
        }
        alerts = [alert for begin, does in holds.items() for alert in self._told[begin].now(does, now_s)]
        if Alert.NO_BUTTON in alerts:
            self._told[Alert.NO_RECORDING].forget()
        return alerts
