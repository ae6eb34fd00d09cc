"""Frames out of stored recordings, through PyAV (FFmpeg).

Rule 1: a frame is made small and grey by FFmpeg's own area averaging before Python sees it.
Rule 2: a recording's frames keep their stored numbers, whichever of them are looked at.
Rule 3: what cannot be read is one RecordingError, never a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from device.errors import RecordingError
from device.see.camera import WATCH_WIDTH_PX
from device.see.frame import Frame, Grey

if TYPE_CHECKING:
    from device.see.clip import Clip

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own words; what is wrong is said once, in ours

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
_HEIGHT_MOST_PX = 4 * WATCH_WIDTH_PX  # stranger shapes than that are no picture of a door
_ENOUGH = 0.9  # of the frames that a file announces; containers count loosely


def watch_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Return the size at which a picture of that size is watched: WATCH_WIDTH_PX wide, in its shape."""
    high = round(WATCH_WIDTH_PX * height_px / width_px)
    return WATCH_WIDTH_PX, min(max(high, 2), _HEIGHT_MOST_PX)


def grey(picture: Any) -> Grey:
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
        self._clip: Clip | None = None
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
                if self._clip is not None:
                    self._clip.add(picture, t_s)
                if t_s >= due_s - 1e-9:  # a third frame at 30 a second is due, rounded as it may be
                    due_s += every_s
                    yield index, Frame(grey(picture), t_s)
        except (OSError, ValueError) as error:  # FFmpeg's errors are one or the other
            raise RecordingError(f"{self.path}: cannot be read after frame {index}: {why(error)}",
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

    def record(self, clip: Clip | None) -> None:
        """Copy every picture into `clip`, also those that are not looked at; None: no more."""
        if self._clip is not None:
            self._clip.end()
        self._clip = clip
        if clip is not None:
            clip.frames_per_s = self.frames_per_s

    def close(self) -> None:
        """Close the file and end its clip; may be called twice."""
        self.record(None)
        if self._container is not None:
            self._container.close()


def _open(path: Path) -> Any:
    try:
        container = av.open(f"file:{path}")  # FFmpeg would take tcp:, http: and more for paths, and connect
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: {why(error)}", "give a video file or a folder of numbered images") from None
    if not container.streams.video:
        container.close()
        raise RecordingError(f"{path}: there is no video in it", "give a video file or a folder of numbered images")
    return container


def why(error: Exception) -> str:
    """Return FFmpeg's reason, without its numbers."""
    return str(getattr(error, "strerror", None) or error)  # an FFmpeg error that is a ValueError has one too


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which 2.png comes before 10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
