"""Something that begins, lasts and ends, and how often its beginning is told.

Rule 1: the beginning never goes untold while it lasts; it is told later where it was told only a moment ago.
Rule 2: the end is told only if the beginning was, and if somebody knows of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from device.tell.words import Alert

FAULT_AGAIN_AFTER_S = 600.0  # a loose ribbon flaps; the states follow, the alert comes once in this time


@dataclass(slots=True)
class Lasting:
    """One such thing. `most` beginnings are told in FAULT_AGAIN_AFTER_S; where nothing marks its end, `end` is None."""

    begin: Alert
    end: Alert | None = None
    most: int = 1
    _open: bool = False  # its beginning was told, and its end has not come
    _told_s: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        self._told_s = deque(maxlen=self.most)

    def now(self, holds: bool | None, now_s: float) -> list[Alert]:
        """Return what is to be told now that it holds, or does not, or (None) nobody can say any more."""
        if not holds:
            over, self._open = self._open and holds is not None, False
            return [self.end] if over and self.end else []
        crowded = len(self._told_s) == self.most and now_s - self._told_s[0] < FAULT_AGAIN_AFTER_S
        if self._open or crowded:
            return []
        self._open = True
        self._told_s.append(now_s)
        return [self.begin]

    def forget(self) -> None:
        """Tell it anew if it still holds: the owner was told of something greater since."""
        self._open = False
        self._told_s.clear()
