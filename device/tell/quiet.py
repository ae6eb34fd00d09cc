"""Quiet hours: when motion is told as a state and not in words.

Rule 1: pure: the time of the local day is handed in. Nothing is remembered, so a clock that jumps, or a change to
        summer time, counts from the next second on.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin_min` to before `end_min`, minutes of the local day; past midnight where it ends before it begins."""

    begin_min: int
    end_min: int

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read what device/checks.py has let through; of nothing come hours that no minute is in."""
        numbers = [int(number) for number in re.findall(r"\d+", text)] or [0, 0, 0, 0]
        return cls(60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3])

    def has(self, minute_of_day: int) -> bool:
        """Whether it is quiet then."""
        if self.begin_min <= self.end_min:
            return self.begin_min <= minute_of_day < self.end_min
        return minute_of_day >= self.begin_min or minute_of_day < self.end_min


def minute_of_day(clock_s: float) -> int:
    """Return the minute of this machine's local day at `clock_s` of its wall clock."""
    local = time.localtime(clock_s)
    return 60 * local.tm_hour + local.tm_min
