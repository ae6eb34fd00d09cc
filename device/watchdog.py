"""Whether a child of the house still lives: what systemd watches where it starts the same process.

Rule 1: a child that has not said so for as long as its unit allows is hung, whatever else it does.
Rule 2: what it says is looked at for that alone, and goes no further.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

# WatchdogSec= and TimeoutStartSec= of the units, which say why.
SILENT_MOST_S = {"see": 30.0, "tell": 8.0, "keep": 30.0}
START_MOST_S = 60.0
_LINE_MOST_BYTES = 256


class Watchdog:
    """What one child finds as NOTIFY_SOCKET at `path`."""

    def __init__(self, name: str, path: Path) -> None:
        self.path, self.silent_most_s = path, SILENT_MOST_S[name]
        self.due_s = 0.0  # when it is to be taken for hung
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.bind(str(path))

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def start(self) -> None:
        """Begin anew with a child that has just been started."""
        self.hear()
        self.due_s = time.monotonic() + START_MOST_S

    def hear(self) -> None:
        """Take what it said."""
        try:
            while True:
                if b"WATCHDOG=1" in self._sock.recv(_LINE_MOST_BYTES).split(b"\n"):
                    self.due_s = time.monotonic() + self.silent_most_s
        except BlockingIOError:
            return

    def close(self) -> None:
        """Put its ear away."""
        self._sock.close()
