"""Stopping: the first signal asks, the second ends at once.

Rule 1: SIGTERM and SIGINT set a flag and wake a selector; nothing else happens in the handler.
Rule 2: a second signal ends the process there and then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from types import FrameType
from typing import Self

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Stop:
    """`with Stop() as stop:`; `stop.asked` becomes true, and `stop` readable to a selector."""

    def __init__(self) -> None:
        self.asked = False
        self._read, self._write = socket.socketpair()

    def __enter__(self) -> Self:
        self._write.setblocking(False)
        self._old = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = True
        self._write.send(b"\0")

    def fileno(self) -> int:
        """Return a descriptor that becomes readable, and stays so, once stopping is asked for."""
        return self._read.fileno()

    def wait(self, seconds: float) -> bool:
        """Wait until asked, or for `seconds`; return whether it was asked."""
        if not self.asked:
            self._read.settimeout(max(seconds, 1e-3))
            with contextlib.suppress(TimeoutError):  # not asked: what the return value says
                self._read.recv(1, socket.MSG_PEEK)
        return self.asked

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._read.close()
        self._write.close()


def die_with_parent(parent_pid: int, number: signal.Signals) -> None:
    """Have the kernel send signal `number` when the parent ends, however it ends; see prctl(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:  # it ended before we asked
        os._exit(1)
