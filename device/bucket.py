"""A token bucket: how often something may happen.

Rule 1: no clock is read; time is what the caller says, and never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """`burst` times at once, then `rate_per_s`."""

    rate_per_s: float
    burst: float
    _tokens: float = field(init=False)
    _filled_s: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def has(self, now_s: float) -> bool:
        """Whether it may happen now."""
        self._tokens = min(self.burst, self._tokens + self.rate_per_s * max(0.0, now_s - self._filled_s))
        self._filled_s = max(self._filled_s, now_s)
        return self._tokens >= 1

    def take(self, now_s: float) -> bool:
        """Whether it may happen now; then it did."""
        if not self.has(now_s):
            return False
        self._tokens -= 1
        return True
