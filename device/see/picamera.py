"""The Raspberry Pi's camera: picamera2 on libcamera, watching stream only.

Rule 1: one small YUV420 stream, no raw; of its planes only the luma is ever looked at, in place.
Rule 2: no callbacks: an exception in one silently ends picamera2's event loop. Every wait has a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from device.errors import CameraError
from device.see.camera import SILENT_AFTER_S, WATCH_HEIGHT_PX, WATCH_WIDTH_PX
from device.see.frame import Frame

_HINT = "is the ribbon seated, and no other program using it? try: rpicam-hello --list-cameras"


def present() -> bool:
    """Whether libcamera knows of a camera."""
    from picamera2 import Picamera2

    return bool(Picamera2.global_camera_info())


class PiCamera:
    """The first camera that libcamera lists."""

    def __init__(self, frames_per_s: float) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CameraError(f"picamera2 cannot be loaded: {error}",
                              "try: sudo apt install python3-picamera2 --no-install-recommends") from None
        if not Picamera2.global_camera_info():
            raise CameraError("no camera found by libcamera", _HINT)
        self._camera: Any = None
        try:
            self._camera = camera = Picamera2()
            camera.configure(camera.create_video_configuration(
                main={"size": (WATCH_WIDTH_PX, WATCH_HEIGHT_PX), "format": "YUV420"},
                raw=None,  # saves its memory
                buffer_count=3,
                queue=False,  # a frame is asked for when it is wanted, so it is never an old one
                controls={"FrameRate": frames_per_s},
            ))
            camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            self.close()
            raise CameraError(f"the camera cannot be opened: {error}", _HINT) from None

    def frames(self) -> Iterator[Frame]:
        """Yield frames whose luma is a view of the camera's own buffer, lent until the next one."""
        from picamera2 import MappedArray

        while True:
            try:
                request = self._camera.capture_request(wait=SILENT_AFTER_S)
            except TimeoutError:
                self._camera.cancel_all_and_flush()
                raise CameraError(f"no frame for {SILENT_AFTER_S:g} s", _HINT) from None
            except RuntimeError as error:
                raise CameraError(f"the camera failed: {error}", _HINT) from None
            try:
                about = request.get_metadata()
                with MappedArray(request, "main", write=False) as planes:
                    # Rows are padded (a stride of 192 for 160) and the chroma lies below the luma.
                    yield Frame(planes.array[:WATCH_HEIGHT_PX, :WATCH_WIDTH_PX], about["SensorTimestamp"] / 1e9,
                                about.get("ExposureTime"), _gain(about))
            finally:
                request.release()

    def close(self) -> None:
        """Stop the camera and let it go."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.stop()
            camera.close()


def _gain(about: dict[str, Any]) -> float | None:
    analogue = about.get("AnalogueGain")
    return None if analogue is None else float(analogue) * float(about.get("DigitalGain", 1.0))
