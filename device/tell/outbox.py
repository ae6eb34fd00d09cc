"""Alerts that wait for the broker, in order, across a restart of `tell`, and never on a disk.

Rule 1: what waits is bounded; what has to be dropped is the oldest, and is counted.
Rule 2: it is kept in memory (tmpfs) only; a power cut forgets it, a stolen SD card never knew it.
Rule 3: it holds kinds of alert and seconds since boot; neither a place nor a time of day.
"""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from device.tell.words import Alert

# Storm control lets through 6 alerts and then one in ten minutes: 64 is more than nine hours of storm.
MOST = 64
_PAGE_BYTES = 4096  # holds MOST of the longest; a page is written in one piece, whenever the process is killed


@dataclass(frozen=True, slots=True)
class Waiting:
    """One alert that has not been acknowledged; `born_s` is in seconds since boot (CLOCK_BOOTTIME)."""

    alert: Alert
    born_s: float


class Outbox:
    """A queue whose every change is in its file before the call returns; `path` None is memory only."""

    def __init__(self, path: Path | None, now_s: float) -> None:
        self._file: int | None = None
        self._queue: deque[Waiting] = deque(maxlen=MOST)
        self.dropped = 0
        self.unreadable = False  # a file was there that we did not write; it was set aside as empty
        self.unwritable = False  # the folder is gone or full; from then on memory only
        if path is not None:
            if path.exists():
                self._queue.extend(self._read(path, now_s))
            self._open(path)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def head(self) -> Waiting | None:
        """The alert whose turn it is."""
        return self._queue[0] if self._queue else None

    def push(self, alert: Alert, born_s: float) -> None:
        """Let an alert wait its turn."""
        if len(self._queue) == MOST:
            self.dropped += 1
            del self._queue[1]  # the first may be half said already
        self._queue.append(Waiting(alert, born_s))
        self._write()

    def pop(self) -> None:
        """Take the first one off: the broker has acknowledged it."""
        self._queue.popleft()
        self._write()

    def _open(self, path: Path) -> None:
        """Open the file for good: later on this process opens none for writing any more."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            self.unwritable = True
            return
        self._write()  # the page is ours now, however full the memory becomes
        if self._file is not None:
            os.truncate(self._file, _PAGE_BYTES)  # a longer file was not ours

    def _write(self) -> None:
        if self._file is None:
            return
        whole = json.dumps([[waiting.alert.value, waiting.born_s] for waiting in self._queue])
        try:
            if not os.fstat(self._file).st_nlink:
                raise FileNotFoundError
            os.pwrite(self._file, whole.encode().ljust(_PAGE_BYTES), 0)
        except OSError:  # `tell` says so once; an alert matters more than its second copy
            os.close(self._file)
            self._file, self.unwritable = None, True

    def _read(self, path: Path, now_s: float) -> list[Waiting]:
        try:
            rows = json.loads(path.read_text())
            found = [Waiting(Alert(kind), min(float(born_s), now_s)) for kind, born_s in rows]
        except (OSError, ValueError, TypeError):
            self.unreadable = True  # `tell` says so; starting with nothing beats not starting
            return []
        return found[-MOST:]
