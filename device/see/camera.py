"""Where frames come from: one small interface, and the choice among those who have it.

Rule 1: a camera that is silent for SILENT_AFTER_S raises; no caller ever waits for ever.
Rule 2: what is watched is small and grey; nothing larger is opened, drawn or passed on but between record(clip) and
        record(None), and then it goes into the clip only.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from device import config
from device.errors import CameraError
from device.see.frame import Frame

if TYPE_CHECKING:  # FFmpeg is loaded only where there is something to record for
    from device.see.clip import Clip

SILENT_AFTER_S = 5.0
WATCH_WIDTH_PX, WATCH_HEIGHT_PX = 160, 120  # a face at the door is a dozen pixels wide


class Camera(Protocol):
    """A source of frames. Opening happens in the constructor and raises CameraError."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames at about the configured rate, in their own time.

        Raise CameraError when they fail to come; end only where there are no more, as in a recording.
        """

    def record(self, clip: Clip | None) -> None:
        """From the next frame on, record into `clip` too; None: no more, and end the clip that was recorded into.

        frames() goes on, its time too. A camera that cannot record says so to clip.fail(), and watches.
        """

    def close(self) -> None:
        """Let the camera go, and end its clip; may be called twice."""


def open_camera(settings: config.Camera) -> Camera:
    """Open the configured source, or with "auto" the first one there is. Raise CameraError."""
    if not settings.has_picture:
        raise CameraError("a motion sensor gives no picture", 'this needs a camera, or source = "porch" under [camera]')
    source = settings.source if settings.source != "auto" else _at_hand(settings)
    if source == "picamera2":
        from device.see.picamera import PiCamera

        return PiCamera(settings.frames_per_s)
    if source == "porch":
        from device.see.drawn import Drawn

        drawn = Drawn(settings.frames_per_s)
        return Paced(drawn.frames(), drawn.close, drawn.record)
    if source == "file":
        from device.see.video import Recording

        recording = Recording(Path(settings.path))
        frames = (frame for _, frame in recording.frames(settings.frames_per_s))
        return Paced(frames, recording.close, recording.record)
    from device.see.webcam import Webcam

    return Webcam(settings.device, settings.frames_per_s)


def _at_hand(settings: config.Camera) -> str:
    """Prefer the Pi's own camera; a webcam must exist to be tried."""
    if importlib.util.find_spec("picamera2") is not None:
        from device.see import picamera

        if picamera.present():
            return "picamera2"
    if Path(settings.device).exists():
        return "v4l2"
    raise CameraError(
        "no camera found",
        'is the ribbon seated? try: rpicam-hello --list-cameras; or, to try without one, source = "porch"',
    )


class Paced:
    """Frames that could come at once, in the place of a camera: they come in their own time."""

    def __init__(self, frames: Iterator[Frame], close: Callable[[], None] = lambda: None,
                 record: Callable[[Clip | None], None] = lambda _: None,
                 clock_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._frames, self.close, self.record = frames, close, record
        self._clock_s, self._sleep = clock_s, sleep

    def frames(self) -> Iterator[Frame]:
        """Yield each frame when its time has come."""
        offset_s: float | None = None
        for frame in self._frames:
            if offset_s is None:
                offset_s = self._clock_s() - frame.t_s
            ahead_s = frame.t_s + offset_s - self._clock_s()
            if ahead_s > 0:
                self._sleep(ahead_s)
            yield frame
