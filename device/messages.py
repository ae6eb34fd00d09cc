"""The closed alphabet between processes: everything that one process can say to another.

Rule 1: a message is exactly one byte out of the sender's enumeration; no picture fits into it.
Rule 2: what is not in the alphabet, or comes too fast, is refused and counted, never guessed at.
Rule 3: no byte means two things, so a message on the wrong link is refused as well.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import math
import socket
import struct
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from device.bucket import Bucket

ALIVE_EVERY_S = 1.0
DOWN_AFTER_S = 5.0  # without a sign of life; five lost in a row is no accident
LATE_S = 2.0  # after the sign before; what lies further apart than this the detector cannot join

# The wall's rate: an honest sender says ALIVE once a second and two words an episode, and a reader
# that was away for a while finds what waited in one go. Beyond it a message is refused, which bounds
# what a taken sender could signal.
RATE_PER_S = 4.0
BURST = 32.0

SO_PASSRIGHTS = 83  # asm-generic/socket.h, Linux 6.16 and later
_SO_TIMESTAMP = 29  # asm-generic/socket.h; Python's socket module names it from 3.14 on only
_TIMEVAL = struct.Struct("@ll")  # SCM_TIMESTAMP's struct timeval on 64-bit Linux


class SeeToTell(enum.IntEnum):
    """What the process with the camera may say to the process with the network.

    A sign of life says the whole state, so that whatever was lost before is mended within a second: it is
    VIEW_BLOCKED again while the view is blocked, MOVING while something moves, else ALIVE.
    """

    MOTION_STARTED = 0x4D  # 'M'
    MOTION_ENDED = 0x6D  # 'm'
    VIEW_BLOCKED = 0x42  # 'B'
    VIEW_CLEAR = 0x62  # 'b'
    CAMERA_LOST = 0x4C  # 'L': said at once; silence would take DOWN_AFTER_S to be noticed
    MOVING = 0x57  # 'W': frames keep coming, and something moves
    ALIVE = 0x41  # 'A': frames keep coming, and nothing moves


class KeepToTell(enum.IntEnum):
    """What the process with the button may say to the process with the network.

    A sign of life says the whole state here too: RECORDING while a clip is recorded, PAUSED again while watching is
    paused, FAULT while no recording is possible, else ALIVE.
    """

    RECORDING_STARTED = 0x52  # 'R'
    RECORDING_ENDED = 0x72  # 'r'
    RECORDING_FAILED = 0x46  # 'F': a press that led to no clip, or a clip that was cut short
    PAUSED = 0x50  # 'P'
    RESUMED = 0x70  # 'p'
    STORAGE_LOW = 0x53  # 'S'
    RECORDING = 0x47  # 'G': going on
    FAULT = 0x58  # 'X': alive, but a press would be refused
    ALIVE = 0x4B  # 'K'


class KeepToSee(enum.IntEnum):
    """What the process with the button may ask of the process with the camera.

    RESUME, or PAUSE while watching is paused, is said each second, so a `see` that was started again knows.
    START and STOP are said once: nothing but a press may start a recording, not even a repetition.
    """

    START = 0x3E  # '>'
    STOP = 0x2E  # '.'
    PAUSE = 0x7C  # '|'
    RESUME = 0x3D  # '='


ALPHABETS: tuple[type[enum.IntEnum], ...] = (SeeToTell, KeepToTell, KeepToSee)

M = TypeVar("M", bound=enum.IntEnum)


class Sender(Generic[M]):
    """The writing end of a link. It never blocks and never fails: a dead reader cannot stop the sender.

    address: the reader's socket; connected to when needed, so the reader may come late and come again.
    None where `sock` is one end of a pair.
    """

    def __init__(self, sock: socket.socket, address: str | None = None) -> None:
        sock.setblocking(False)
        self._sock, self._address = sock, address
        self.unsent = 0  # messages that the reader's full or missing socket did not take
        self._signs_s = math.inf, math.inf  # when the last two signs of life were due, the last one last

    def send(self, message: M) -> bool:
        """Send one message; False (and counted) where it could not be sent."""
        try:
            self._sock.send(bytes((message,)))
        except BlockingIOError:  # full
            self.unsent += 1
            return False
        except OSError:  # not connected yet, or its reader is gone
            return self._send_again(message)
        return True

    def _send_again(self, message: M) -> bool:
        try:
            if self._address is not None:
                self._sock.connect(self._address)
            self._sock.send(bytes((message,)))
        except OSError:  # there is no reader: nothing to be done but to count
            self.unsent += 1
            return False
        return True

    def send_alive(self, message: M) -> bool:
        """Send a sign of life, unless it is late or the reader has left the last message unread.

        A sign of life says nothing once it is late, and must not take the place of what is worth
        telling late in a queue that the kernel keeps short (net.unix.max_dgram_qlen, often 10). And
        a sender that comes to it every few seconds, starved, sees and does nothing of use between,
        even if now and then it comes twice in a row; one that has slept for a moment is believed at once.
        """
        (earlier_s, before_s), now_s = self._signs_s, time.monotonic()
        self._signs_s = before_s, now_s
        if now_s - before_s > LATE_S or now_s - earlier_s > DOWN_AFTER_S:
            return False
        unread = struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        return not unread and self.send(message)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message that passed the wall, and when it was sent, in seconds since boot (CLOCK_BOOTTIME)."""

    message: M
    sent_s: float


class Receiver(Generic[M]):
    """The reading end of a link: the wall itself."""

    def __init__(self, sock: socket.socket, alphabet: type[M]) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)
        # A descriptor sent along would be closed by us, and closing can be made to block. Kernels that
        # cannot refuse it at the sender drop it unread: no room is given for one in receive().
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
        self._sock = sock
        self._words = {int(word): word for word in alphabet}
        # What an honest sender said while nobody read is not lost: it counts by when it was sent.
        self._rate = Bucket(RATE_PER_S, BURST)
        self.refused = 0  # datagrams that were no message, or came too fast
        self.flooded = False  # whether the last receive() left more unread
        self._empty_s = 0.0  # since boot: what waits now was sent later

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def receive(self) -> Iterator[Received[M]]:
        """Yield what waits, oldest first; at most BURST datagrams, so that a flood cannot hold the reader."""
        self.flooded = False
        began_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        for _ in range(int(BURST)):
            try:
                data, control, _, _ = self._sock.recvmsg(2, socket.CMSG_SPACE(_TIMEVAL.size))
            except OSError:  # nothing waits; or, over a socket pair, the other end is gone
                self._empty_s = began_s
                return
            word = self._words.get(data[0]) if len(data) == 1 else None
            sent_s = _sent_s(control, self._empty_s)
            if word is None or not self._rate.take(sent_s):
                self.refused += 1
            else:
                yield Received(word, sent_s)
        self.flooded = True


def _sent_s(control: list[tuple[int, int, bytes]], least_s: float) -> float:
    """When the kernel took the datagram, in seconds since boot; within `least_s` and now, whatever the clock did."""
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMP):
            seconds, micros = _TIMEVAL.unpack_from(data)
            age_s: float = time.time() - seconds - micros / 1e6
            return min(max(least_s, now_s - age_s), now_s)
    return now_s


def pair() -> tuple[socket.socket, socket.socket]:
    """Return (writing end, reading end) of a one-way datagram link, for processes of one parent."""
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    writer.shutdown(socket.SHUT_RD)
    reader.shutdown(socket.SHUT_WR)
    reader.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)  # what is sent before its Receiver is there is dated too
    return writer, reader
