"""What a service manager hears of a process: that it is up, that it is alive, and one line for `doorstep status`.

Rule 1: a line is made of few words and rounded numbers, by the patterns below, and holds no time.
Rule 2: without a service manager (NOTIFY_SOCKET) nothing is opened; with one its socket is, before confinement.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import Self

EVERY_S = 2.0  # the shortest watchdog, of `tell`, is 8 s

# All that the processes say, and all that `doorstep status` believes.
_LATE = r"just now|less than a minute ago|\d{1,2} min ago|\d{1,2} h ago|more than a day ago"
LINES: dict[str, str] = {
    "see": r"(?:watching|paused|no camera)(?:, (?P<frames_per_s>\d{1,3}) frames/s)?",
    "tell": rf"(?P<broker>connected|not connected), (?:no alert yet|last alert (?P<last_alert>{_LATE}))",
    "keep": r"(?:ready|recording|paused|no recording possible|no button|no recipient|no picture)"
            r"(?:, (?P<clips>\d{1,6}) clips, room for (?P<room>\d{1,9}) more)?",
}


class Manager:
    """`with Manager(os.environ) as manager:`; see sd_notify(3)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._status: str | None = None
        self._said_s = 0.0
        self._sock: socket.socket | None = None
        address = environment.get("NOTIFY_SOCKET", "")
        if address:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sock.setblocking(False)
            self._sock.connect(f"\0{address[1:]}" if address[0] == "@" else address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sock is not None:
            self._sock.close()

    def alive(self, status: str) -> None:
        """Feed the watchdog, and say `status` where it is new; as often as one likes."""
        if status != self._status or time.monotonic() - self._said_s >= EVERY_S:
            self._say(f"READY=1\nWATCHDOG=1\nSTATUS={status}" if status != self._status else "WATCHDOG=1", status)

    def say(self, status: str) -> None:
        """Say `status`, and leave the watchdog to bark."""
        if status != self._status:
            self._say(f"STATUS={status}", status)

    def _say(self, text: str, status: str) -> None:
        if self._sock is not None:
            with contextlib.suppress(OSError):  # it is busy, or starts anew: the next turn says it again
                self._sock.send(text.encode())
                self._status, self._said_s = status, time.monotonic()
