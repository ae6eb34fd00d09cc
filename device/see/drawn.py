"""The drawn porch in the place of a camera.

Rule 1: it is drawn small, as it is watched, and large only while recording: the same scene at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from device.see.camera import WATCH_HEIGHT_PX, WATCH_WIDTH_PX
from device.see.frame import Frame
from device.see.porch import DEMO, Porch

if TYPE_CHECKING:
    from device.see.clip import Clip

# 4 ms a frame on a PC's core, where the small one takes 1, and 0.3 s to set up; 640 x 480 takes 6 ms, and up to 1 s.
LARGEST_WIDTH_PX, LARGEST_HEIGHT_PX = 480, 360


class Drawn:
    """The demo's porch, endless."""

    def __init__(self, frames_per_s: float) -> None:
        self._frames_per_s = frames_per_s
        self._clip: Clip | None = None
        self._large: Porch | None = None

    def frames(self) -> Iterator[Frame]:
        """Yield the small frames; draw and record the large ones beside them."""
        small = Porch(DEMO, 0, WATCH_WIDTH_PX, WATCH_HEIGHT_PX, self._frames_per_s)
        for index, frame in enumerate(small.frames()):
            if self._clip is not None and self._large is not None:
                self._clip.add_grey(self._large.frame(index).luma, frame.t_s)
            yield frame

    def record(self, clip: Clip | None) -> None:
        """Draw large ones for `clip`, or no more."""
        if self._clip is not None:
            self._clip.end()
        self._clip = self._large = None
        if clip is not None:
            scale = min(1.0, clip.settings.width_px / LARGEST_WIDTH_PX, clip.settings.height_px / LARGEST_HEIGHT_PX)
            width_px, height_px = round(LARGEST_WIDTH_PX * scale), round(LARGEST_HEIGHT_PX * scale)
            self._clip, clip.frames_per_s = clip, self._frames_per_s
            self._large = Porch(DEMO, 0, width_px, height_px, self._frames_per_s)

    def close(self) -> None:
        """Nothing to let go but the clip."""
        self.record(None)
