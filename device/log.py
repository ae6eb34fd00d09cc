"""What a process says on standard error, for a person or the journal.

Rule 1: nothing from a frame, no secret, no payload; no line is written because something moved.
Rule 2: what repeats is said once, and again only when it changes or after a while, with its count.
"""

from __future__ import annotations

import sys
import time

REPEAT_AFTER_S = 60.0


class Log:
    """Lines of one process, such as `doorstep tell: connected to ...`."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._counts: dict[str, int] = {}
        self._said_s: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Say one line."""
        print(f"doorstep {self._process}: {text}", file=sys.stderr, flush=True)

    def count(self, text: str, total: int) -> None:
        """Say `text` with `total` when it has grown; at most once in REPEAT_AFTER_S."""
        now_s = time.monotonic()
        if total > self._counts.get(text, 0) and now_s - self._said_s.get(text, -REPEAT_AFTER_S) >= REPEAT_AFTER_S:
            self._counts[text], self._said_s[text] = total, now_s
            self.say(f"{text} ({total} so far)")
