"""A webcam (V4L2), through PyAV (FFmpeg).

Rule 1: opening and reading can hang for ever, so a thread does both, and waiting for it has a limit.
Rule 2: it is opened small, and opened anew at the recorded size only while there is a clip.
Rule 3: what cannot be read is one CameraError, never a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from device.errors import CameraError, DoorstepError
from device.see.camera import SILENT_AFTER_S
from device.see.frame import Frame
from device.see.video import grey, why

if TYPE_CHECKING:
    from device.see.clip import Clip

# Drivers give their nearest. Unasked it is whatever the last program left.
_WATCHING = {"video_size": "640x360"}


class Webcam:
    """The camera at `device`, in a thread of its own."""

    def __init__(self, device: str, frames_per_s: float) -> None:
        self._device, self._frames_per_s = device, frames_per_s
        self._queue: queue.Queue[Frame | DoorstepError] = queue.Queue(maxsize=2)
        self._opened, self._closing = threading.Event(), threading.Event()
        self._refused: CameraError | None = None
        self._wanted: Clip | None = None  # what shall be recorded into; the thread follows
        self._due_s = self._last_s = self._before_s = -1.0
        self._first_s: float | None = None  # of this opening, as the driver counts
        self._thread = threading.Thread(target=self._read, name="webcam", daemon=True)
        self._thread.start()
        self._opened.wait(SILENT_AFTER_S)  # one that hangs in opening gives no frames either, which frames() tells
        if self._refused is not None:
            raise self._refused

    def _read(self) -> None:
        """Open and read, small or large as wanted, until closed."""
        try:
            while not self._closing.is_set():
                clip = self._wanted
                container = self._open(clip)
                self._opened.set()
                if container is None:
                    continue
                try:
                    self._pass_on(container, clip)
                finally:
                    container.close()  # when no picture is left: freeing one later, FFmpeg uses what this has freed
        except CameraError as error:
            self._refused = error
            self._opened.set()
            self._put(error)
        except (OSError, ValueError) as error:
            self._put(CameraError(f"{self._device}: {why(error)}", "was it unplugged?"))

    def _open(self, clip: Clip | None) -> Any:
        """Open for watching, or for recording too; None where that is refused, which the clip is told."""
        if clip is None:
            return open_device(self._device, _WATCHING)
        size = {"video_size": f"{clip.settings.width_px}x{clip.settings.height_px}"}
        try:
            try:  # large and uncompressed, most give but a few pictures a second
                return open_device(self._device, {**size, "input_format": "mjpeg"})
            except CameraError:
                return open_device(self._device, size)
        except CameraError as error:
            clip.fail(error.message)
            if self._wanted is clip:
                self._wanted = None
            return None

    def _pass_on(self, container: Any, clip: Clip | None) -> None:
        """Queue what is due until closed, or wanted otherwise.

        A damaged frame is left out, as USB has them; only silence is a failure.
        """
        if clip is not None:
            clip.frames_per_s = float(container.streams.video[0].average_rate or 30)
        self._first_s, self._before_s = None, self._last_s
        for packet in container.demux(video=0):
            if self._closing.is_set() or self._wanted is not clip:
                return
            with contextlib.suppress(ValueError):  # FFmpeg's word for invalid data; a frame marked bad is empty
                self._take(packet.decode() if packet.size else [], clip)
        self._put(CameraError(f"{self._device}: the camera ended its stream", "was it unplugged?"))
        self._closing.set()

    def _take(self, pictures: list[Any], clip: Clip | None) -> None:
        for picture in pictures:
            stamp_s = float(picture.time or 0.0)
            self._first_s = stamp_s if self._first_s is None else self._first_s
            t_s = stamp_s
            if self._first_s <= self._before_s:  # a driver that counts anew at each opening: time goes on all the same
                t_s += self._before_s - self._first_s + 1 / self._frames_per_s
            self._last_s = t_s
            if clip is not None:
                clip.add(picture, t_s)
            if t_s >= self._due_s - 0.25 / self._frames_per_s:
                self._due_s = max(self._due_s + 1 / self._frames_per_s, t_s)
                self._put(Frame(grey(picture), t_s))

    def _put(self, item: Frame | DoorstepError) -> None:
        # Full: nobody takes frames any more, so we are being closed, or the process hangs elsewhere.
        with contextlib.suppress(queue.Full):
            self._queue.put(item, timeout=SILENT_AFTER_S)

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come."""
        while True:
            try:
                item = self._queue.get(timeout=SILENT_AFTER_S)
            except queue.Empty:
                raise CameraError(f"{self._device}: no frame for {SILENT_AFTER_S:g} s",
                                  "try another USB port or cable") from None
            if isinstance(item, DoorstepError):
                raise item
            yield item

    def record(self, clip: Clip | None) -> None:
        """Have the camera opened anew, large for `clip` or small again."""
        before, self._wanted = self._wanted, clip
        if before is not None:
            before.end()

    def close(self) -> None:
        """Stop reading and let the camera go. Of a hung one it does not return: only the process's end frees it."""
        self.record(None)
        self._closing.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join()


def open_device(device: str, options: dict[str, str]) -> Any:
    """Open a V4L2 device. Raise CameraError, with a hint that fits."""
    look = "try: v4l2-ctl --list-devices"
    if not Path(device).is_char_device():
        raise CameraError(f"{device}: no such camera", look)
    try:
        return av.open(device, format="v4l2", options=options)
    except (OSError, ValueError) as error:
        hint = {
            errno.EBUSY: f"another program has it; try: fuser -v {device}",
            errno.EACCES: "may this user use cameras? try: sudo usermod -aG video $USER",
            errno.ENOTTY: f"it gives no pictures; {look}",
            errno.EINVAL: 'no format of it can be read; a Pi\'s own camera wants source = "picamera2"',
        }.get(getattr(error, "errno", 0), look)
        raise CameraError(f"{device}: {why(error)}", hint) from None
