"""A bell between two threads: rung by the one, it makes a descriptor readable for the other's selector.

Rule 1: ringing and answering never block, however often it has been rung.
"""

from __future__ import annotations

import contextlib
import socket


def bell() -> tuple[socket.socket, socket.socket]:
    """Return the end to ring at and the end to watch."""
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


def wake(bell: socket.socket) -> None:
    """Ring it."""
    with contextlib.suppress(BlockingIOError):  # it rings already
        bell.send(b"\0")


def drain(bell: socket.socket) -> None:
    """Answer it: it is silent until rung again."""
    with contextlib.suppress(BlockingIOError):  # drained
        while bell.recv(4096):
            pass
