"""What is published next: the order of things, one message at a time until its acknowledgement.

Rule 1: an alert leaves the outbox only when the broker has acknowledged all of it.
Rule 2: of a state only the latest counts; of the alerts every one does.
Rule 3: after a connection every retained word is said again, so the broker never holds a stale one.
        No word keeps an alert waiting but status or recording, and after one of them it is the alert's turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from device.bucket import Bucket
from device.tell.discovery import discovery
from device.tell.outbox import Outbox
from device.tell.words import Publish, Status, Words

UNWELCOME_AFTER = 2  # once may be chance
# What `see` says becomes a state no faster than this, at whatever rate a taken one says it: see PRIVACY.md.
PACED, STATE_PER_S, STATE_BURST = ("motion", "status"), 0.5, 8.0
# Home Assistant listens to what the document names only when it has read it, within a second or two; and what it must
# not remember, motion, it would know only with the next visitor.
READ_AFTER_S = 4.0
FIRST = ("status", "recording")  # what whoever looks must know before anything else


class Desk:
    """The publisher's queue, pure: it is told what holds and asked what is next.

    button: whether there is a record button that Home Assistant is to learn of.
    """

    def __init__(self, words: Words, outbox: Outbox, *, button: bool = False) -> None:
        self._words, self._button = words, button
        self._outbox = outbox
        self._states: dict[str, Publish] = {}
        self._pace = {name: Bucket(STATE_PER_S, STATE_BURST) for name in PACED}
        self._unsaid: set[str] = set()
        self._event_due = False  # the head's alert is acknowledged, its event is not yet
        self._flying: str | None = None
        self._said = ""  # what was in flight last
        self._leaving = False
        self._introduced_s = math.inf  # when the discovery document was said; infinite once it is read
        self._unwelcome = 0  # connections in a row that broke on the discovery document
        self.announce()

    def announce(self) -> None:
        """Say the discovery document (again): at the start, and when Home Assistant comes online."""
        self._unwelcome = 0
        self._hold("discovery", discovery(self._words, button=self._button), again=True)

    def set_status(self, status: Status) -> None:
        """Hold `status`, and say it if it is news."""
        self._hold("status", self._words.status(status))

    def leave(self) -> None:
        """Say "offline", and that nothing moves, without regard to any pace."""
        self._leaving = True
        self.set_motion(False)
        self.set_status(Status.OFFLINE)

    def set_recording(self, on: bool) -> None:
        """Hold whether a clip is being recorded, and say it if it is news."""
        self._hold("recording", self._words.recording(on))

    def set_motion(self, on: bool) -> None:
        """Hold whether something moves, and say it if it is news."""
        self._hold("motion", self._words.motion(on))

    def _hold(self, name: str, publish: Publish, *, again: bool = False) -> None:
        if again or self._states.get(name) != publish:
            self._states[name] = publish
            self._unsaid.add(name)

    def connected(self) -> None:
        """A fresh connection: whatever was in flight is not acknowledged any more, all states are due."""
        self._unwelcome = self._unwelcome + 1 if self._flying == "discovery" else 0
        self._flying, self._said = None, ""
        self._unsaid = set(self._states) - ({"discovery"} if self.unwelcome else set())

    @property
    def unwelcome(self) -> bool:
        """Whether the broker breaks off on the discovery document: then it is not said until asked for."""
        return self._unwelcome >= UNWELCOME_AFTER

    def next(self, now_s: float) -> Publish | None:
        """Return the next message and count it as in flight; None while one is, or when all is said."""
        if self._flying is not None:
            return None
        if now_s - self._introduced_s >= READ_AFTER_S:
            self._introduced_s = math.inf
            self._unsaid |= {"motion"} & set(self._states)
        for name, make in self._order():
            publish = make(now_s)
            if publish is not None:
                self._flying = self._said = name
                self._unsaid.discard(name)
                if name in self._pace:
                    self._pace[name].take(now_s)
                if name == "discovery":
                    self._introduced_s = now_s
                return publish
        return None

    def _order(self) -> tuple[tuple[str, Callable[[float], Publish | None]], ...]:
        first = tuple((name, self._due(name)) for name in FIRST)
        alert, motion = ("alert", self._head), ("motion", self._due("motion"))
        due = (motion, alert) if self._event_due else (alert,)  # words, switch, event
        fair = due + first if self._said in FIRST else first + due
        return (*fair, motion, ("discovery", self._due("discovery")))

    def _due(self, name: str) -> Callable[[float], Publish | None]:
        def due(now_s: float) -> Publish | None:
            held = name in self._pace and not self._leaving and not self._pace[name].has(now_s)
            return self._states[name] if name in self._unsaid and not held else None

        return due

    def _head(self, now_s: float) -> Publish | None:
        head = self._outbox.head
        if head is None:
            return None
        say = self._words.event if self._event_due else self._words.alert
        return say(head.alert, now_s - head.born_s)

    def acknowledged(self) -> None:
        """The message in flight has arrived at the broker."""
        if self._flying == "alert":
            if self._event_due:
                self._outbox.pop()
            self._event_due = not self._event_due
        self._flying = None

    @property
    def idle(self) -> bool:
        """Whether everything has been said and acknowledged."""
        return self._flying is None and not self._unsaid and not len(self._outbox)
