"""Frames out of recordings and webcams, through PyAV (FFmpeg).

Rule 1: a frame is made small and grey by FFmpeg's own area averaging before Python sees it.
Rule 2: a recording's frames keep their stored numbers, whichever of them are looked at.
Rule 3: what cannot be read is one CameraError or RecordingError, never a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from device.errors import CameraError, DoorstepError, RecordingError
from device.see.camera import SILENT_AFTER_S, WATCH_WIDTH_PX
from device.see.frame import Frame, Grey

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own words; what is wrong is said once, in ours

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
_HEIGHT_MOST_PX = 4 * WATCH_WIDTH_PX  # stranger shapes than that are no picture of a door
_ASKED = "640x360"  # of a webcam; drivers give their nearest. Unasked it is whatever the last program left
_ENOUGH = 0.9  # of the frames that a file announces; containers count loosely


def watch_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Return the size at which a picture of that size is watched: WATCH_WIDTH_PX wide, in its shape."""
    high = round(WATCH_WIDTH_PX * height_px / width_px)
    return WATCH_WIDTH_PX, min(max(high, 2), _HEIGHT_MOST_PX)


def _grey(picture: Any) -> Grey:
    """Return the small luma of a decoded picture; a view of FFmpeg's buffer."""
    width, height = watch_size(picture.width, picture.height)
    small = picture.reformat(width, height, "gray", interpolation="AREA")
    plane = small.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]


class Recording:
    """A video file, or a folder of numbered images in natural order.

    frames_per_s: overrides what the file says; a folder needs it (10 unless given).
    Raise RecordingError where there is nothing that can be read.
    """

    def __init__(self, path: Path, frames_per_s: float | None = None) -> None:
        self.path = path
        self._images: list[Path] = []
        self._container: Any = None
        if path.is_dir():
            self._images = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGES), key=_natural)
            if not self._images:
                raise RecordingError(f"{path}: no images in this folder", "known: " + " ".join(sorted(IMAGES)))
            self.count: int | None = len(self._images)
            first = _open(self._images[0])
            stored = 10.0
        else:
            first = self._container = _open(path)
            video = first.streams.video[0]
            video.thread_type = "AUTO"
            stored = float(video.average_rate or 0)
            if not stored and frames_per_s is None:
                raise RecordingError(f"{path}: it does not say how many frames a second it has", "give --fps")
            seconds = first.duration / av.time_base if first.duration else 0.0
            self.count = video.frames or round(seconds * stored) or None
        self.frames_per_s = frames_per_s if frames_per_s is not None else stored
        self.width_px, self.height_px = first.streams.video[0].width, first.streams.video[0].height
        if self._images:
            first.close()

    def frames(self, at_most_per_s: float) -> Iterator[tuple[int, Frame]]:
        """Yield (stored number, frame), leaving out what comes faster than `at_most_per_s`.

        Raise RecordingError at a frame that cannot be read, or at an end before what was announced.
        """
        due_s, index = 0.0, -1
        # Up to a quarter more is near enough: leaving out one frame in five would make motion stutter.
        every_s = 1 / at_most_per_s if self.frames_per_s > 1.25 * at_most_per_s else 0.0
        try:
            for index, picture in enumerate(self._pictures()):
                t_s = index / self.frames_per_s
                if t_s >= due_s - 1e-9:  # a third frame at 30 a second is due, rounded as it may be
                    due_s += every_s
                    yield index, Frame(_grey(picture), t_s)
        except (OSError, ValueError) as error:  # FFmpeg's errors are one or the other
            raise RecordingError(f"{self.path}: cannot be read after frame {index}: {_why(error)}",
                                 "is the file whole? try: ffprobe " + str(self.path)) from None
        if self.count is not None and index + 1 < _ENOUGH * self.count:
            raise RecordingError(f"{self.path}: ends after {index + 1} of about {self.count} frames",
                                 "is the file whole? what was found up to there is right")

    def _pictures(self) -> Iterator[Any]:
        if self._container is not None:
            yield from self._container.decode(video=0)
        for image in self._images:
            with _open(image) as container:
                yield from container.decode(video=0)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._container is not None:
            self._container.close()


class Webcam:
    """A V4L2 camera. FFmpeg's opening and reading can hang for ever: a thread does both, and waiting has the limit."""

    def __init__(self, device: str, frames_per_s: float) -> None:
        self._device, self._frames_per_s = device, frames_per_s
        self._queue: queue.Queue[Frame | DoorstepError] = queue.Queue(maxsize=2)
        self._opened, self._closing = threading.Event(), threading.Event()
        self._refused: CameraError | None = None
        self._thread = threading.Thread(target=self._read, name="webcam", daemon=True)
        self._thread.start()
        self._opened.wait(SILENT_AFTER_S)  # one that hangs in opening gives no frames either, which frames() tells
        if self._refused is not None:
            raise self._refused

    def _read(self) -> None:
        try:
            container = _open_device(self._device)
        except CameraError as error:
            self._refused = error
            self._put(error)
            return
        finally:
            self._opened.set()
        try:
            self._pass_on(container)
            self._put(CameraError(f"{self._device}: the camera ended its stream", "was it unplugged?"))
        except (OSError, ValueError) as error:
            self._put(CameraError(f"{self._device}: {_why(error)}", "was it unplugged?"))
        finally:
            container.close()  # when no picture is left: freeing one later, FFmpeg uses what this has freed

    def _pass_on(self, container: Any) -> None:
        """Queue what is due until closed. A damaged frame is left out, as USB has them; only silence is a failure."""
        due_s = 0.0
        for packet in container.demux(video=0):
            if self._closing.is_set():
                return
            pictures: list[Any] = []
            with contextlib.suppress(ValueError):  # FFmpeg's word for invalid data; a frame marked bad is empty
                pictures = packet.decode() if packet.size else []
            for picture in pictures:
                t_s = float(picture.time or 0.0)
                if t_s >= due_s - 0.25 / self._frames_per_s:
                    due_s = max(due_s + 1 / self._frames_per_s, t_s)
                    self._put(Frame(_grey(picture), t_s))

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

    def close(self) -> None:
        """Stop reading and let the camera go. Of a hung one it does not return: only the process's end frees it."""
        self._closing.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join()


def _open(path: Path) -> Any:
    try:
        container = av.open(f"file:{path}")  # FFmpeg would take tcp:, http: and more for paths, and connect
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: {_why(error)}", "give a video file or a folder of numbered images") from None
    if not container.streams.video:
        container.close()
        raise RecordingError(f"{path}: there is no video in it", "give a video file or a folder of numbered images")
    return container


def _open_device(device: str) -> Any:
    look = "try: v4l2-ctl --list-devices"
    if not Path(device).is_char_device():
        raise CameraError(f"{device}: no such camera", look)
    try:
        return av.open(device, format="v4l2", options={"video_size": _ASKED})
    except (OSError, ValueError) as error:
        hint = {
            errno.EBUSY: f"another program has it; try: fuser -v {device}",
            errno.EACCES: "may this user use cameras? try: sudo usermod -aG video $USER",
            errno.ENOTTY: f"it gives no pictures; {look}",
            errno.EINVAL: 'no format of it can be read; a Pi\'s own camera wants source = "picamera2"',
        }.get(getattr(error, "errno", 0), look)
        raise CameraError(f"{device}: {_why(error)}", hint) from None


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)  # an FFmpeg error that is a ValueError has one too


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which 2.png comes before 10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
