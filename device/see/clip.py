"""One recording, from START to STOP: pictures in, MPEG-TS out to `keep`, in a thread of its own.

Rule 1: whoever hands in a picture never waits; what comes faster than it can be taken is left out, and counted.
Rule 2: it ends by itself where nobody takes it for STALLED_S, and says so; `over` is then true.
Rule 3: it writes to its connection and nowhere else.
"""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from device import config
from device.see.frame import Grey
from device.see.mask import black_out

STALLED_S = 5.0
PICTURES_MOST = 8  # that wait to be encoded; 25 MB at 1920 x 1080
ENCODED_MOST = 90  # that wait to be sent; 3 s at 30 a second, which is more than an SD card takes for a sync
PACKET_BYTES = 64 * 1024  # `keep` takes four times as much in one
BACKLOG_MOST_BYTES = 4_000_000  # encoded, not taken yet; 6 s at 5 Mbit/s
_TICKS = Fraction(1, 90_000)  # MPEG-TS's own

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own words; what is wrong is said once, in ours

Item = tuple[Any, float, bool]  # a picture or encoded bytes, its time in seconds, whether it can stand alone


class Clip:
    """What a camera records into. `settings` and `mask` say how; `frames_per_s` the camera says before it adds.

    Pictures are masked and encoded here; what comes encoded already must have been masked before.
    """

    def __init__(self, connection: socket.socket, settings: config.Recording, mask: tuple[str, ...],
                 say: Callable[[str], None]) -> None:
        self.settings, self.mask, self.frames_per_s = settings, mask, 30.0
        self.over = False
        self._say, self._pipe, self._why = say, _Pipe(connection), ""
        self._size_px: tuple[int, int] | None = None
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._ended = self._torn = False
        self._taken = self._left_out = 0
        self._thread = threading.Thread(target=self._run, name="clip", daemon=True)
        self._thread.start()

    def add(self, picture: Any, t_s: float) -> None:
        """Take a copy of a decoded picture (av.VideoFrame)."""
        if self._refuses(PICTURES_MOST):
            return
        if self._size_px is None:
            self._size_px = fitted(picture.width, picture.height, self.settings)
        small = picture.reformat(*self._size_px, "yuv420p")
        if small is picture:  # nothing to convert: FFmpeg's buffer may be its reference, or the driver's own
            small = av.VideoFrame(*self._size_px, "yuv420p")
            for new, old in zip(planes(small), planes(picture), strict=True):
                new[:] = old
        if self.mask:
            luma, *chroma = planes(small)
            black_out(self.mask, luma, chroma)
        self._queue.put((small, t_s, True))

    def add_grey(self, luma: Grey, t_s: float) -> None:
        """Take a copy of a grey picture."""
        self.add(av.VideoFrame.from_ndarray(luma, format="gray"), t_s)

    def add_encoded(self, data: bytes, t_s: float, *, key: bool) -> None:
        """Take one H.264 picture. After one was left out, the next that stands alone (`key`) is the first taken."""
        if self._torn and not key:
            self._left_out += not self._ended
            return
        self._torn = self._refuses(ENCODED_MOST)
        if not self._torn:
            self._queue.put((data, t_s, key))

    def _refuses(self, most: int) -> bool:
        full = self._queue.qsize() >= most
        self._left_out += full and not self._ended
        return full or self._ended

    def end(self) -> None:
        """No more will come: send what there is, then close the connection. May be called twice."""
        if not self._ended:
            self._ended = True
            self._queue.put(None)

    def fail(self, why: str) -> None:
        """As end(), because of `why`; what is added from now on, by whatever thread, goes nowhere."""
        self._why = self._why or why
        self.end()

    def join(self, seconds: float) -> None:
        """Wait at most so long for the connection to be closed; then cut it."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._pipe.cut()

    def _run(self) -> None:
        try:
            first = self._queue.get()
            if first is not None:
                self._write(first)
        except (OSError, ValueError, LookupError, av.FFmpegError) as error:  # and the connection's
            self._why = self._why or str(getattr(error, "strerror", None) or error)
        finally:
            self._ended = self.over = True
            self._pipe.close()
        if self._left_out or self._why:  # else not a word: a line dates what it tells of
            left_out = f", {self._left_out} left out" if self._left_out else ""
            broke_off = f"; it broke off: {self._why}" if self._why else ""
            self._say(f"recorded {self._taken} frames{left_out}{broke_off}")

    def _write(self, first: Item) -> None:
        with av.open(self._pipe, "w", format="mpegts", options={"flush_packets": "1"}) as container:
            encoded = isinstance(first[0], bytes)
            stream = self._copied(container) if encoded else self._encoder(container, first[0])
            for thing, ticks, key in self._in_order(first):
                if encoded:
                    packet = av.Packet(thing)
                    packet.stream, packet.time_base, packet.is_keyframe = stream, _TICKS, key
                    packet.pts = packet.dts = ticks
                    container.mux(packet)
                else:
                    thing.pts, thing.time_base = ticks, _TICKS
                    container.mux(stream.encode(thing))
                self._pipe.push()
            if not encoded:
                container.mux(stream.encode())
        self._pipe.drain()

    def _in_order(self, first: Item) -> Iterator[tuple[Any, int, bool]]:
        """Yield what comes, dated from the first one on, no two at the same time; until the end."""
        item: Item | None = first
        last = -1
        while item is not None:
            thing, t_s, key = item
            last = max(last + 1, round((t_s - first[1]) / _TICKS))
            self._taken += 1
            yield thing, last, key
            item = self._queue.get()

    def _encoder(self, container: Any, picture: Any) -> Any:
        rate = Fraction(self.frames_per_s).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        bits_per_s = round(self.settings.bitrate_mbit * 1e6)
        stream.codec_context.bit_rate, stream.codec_context.time_base = bits_per_s, _TICKS
        stream.codec_context.gop_size = max(1, round(rate))  # a clip that is cut loses a second at most
        stream.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency",
                                        "maxrate": str(bits_per_s), "bufsize": str(bits_per_s)}
        return stream

    @staticmethod
    def _copied(container: Any) -> Any:
        """A stream for what is encoded already. PyAV opens an encoder for it, which at this size costs nothing."""
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        return stream


def fitted(width_px: int, height_px: int, settings: config.Recording) -> tuple[int, int]:
    """Return the size at which a picture of that size is recorded: never enlarged, in its shape, even."""
    scale = min(1.0, settings.width_px / width_px, settings.height_px / height_px)
    return max(2, round(width_px * scale) // 2 * 2), max(2, round(height_px * scale) // 2 * 2)


def planes(picture: Any) -> list[Grey]:
    """Return views of the planes of a picture, without their padding."""
    return [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
            for plane in picture.planes]


class _Pipe:
    """The connection as FFmpeg writes to it: write() takes everything and never fails, push() sends it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._backlog = bytearray()
        self._broken = False
        self._taken_s = 0.0  # when the reader last took something, or had taken all

    def write(self, data: bytes) -> int:
        """Take `data`. An error raised in here would go through FFmpeg, and come out as another."""
        if not self._broken:  # else they are FFmpeg's last words, which nobody takes
            if not self._backlog:
                self._taken_s = time.monotonic()
            self._backlog += data
        return len(data)

    def push(self, left_bytes: int = BACKLOG_MOST_BYTES) -> None:
        """Send what is taken at once; wait while more than `left_bytes` is left. Raise OSError where nobody takes."""
        while self._backlog:
            try:
                del self._backlog[: self._connection.send(self._backlog[:PACKET_BYTES])]
                self._taken_s = time.monotonic()
            except BlockingIOError:
                left_s = self._taken_s + STALLED_S - time.monotonic()
                if left_s <= 0:
                    self._broken = True
                    raise TimeoutError(f"nobody took anything for {STALLED_S:g} s") from None
                if len(self._backlog) <= left_bytes:
                    return
                select.select([], [self._connection], [], left_s)
            except OSError:
                self._broken = True
                raise

    def drain(self) -> None:
        """Send everything."""
        self.push(0)

    def cut(self) -> None:
        """End the connection, whatever is under way."""
        with contextlib.suppress(OSError):  # closed in this moment
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection: for the reader the end of the clip."""
        self._connection.close()
