"""The Raspberry Pi's camera: picamera2 on libcamera, watching stream only.

Rule 1: one small YUV420 stream, no raw; of its planes only the luma is ever looked at, in place.
Rule 2: no callbacks: an exception in one silently ends picamera2's event loop. Every wait for it has a limit.
Rule 3: opening may fail and be tried again for as long as the device stands: nothing may stay behind.
"""

from __future__ import annotations

import os
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
            self._camera = camera = _acquired(Picamera2)
            wide_px, high_px = camera.sensor_resolution
            camera.configure(camera.create_video_configuration(
                main={"size": (WATCH_WIDTH_PX, WATCH_HEIGHT_PX), "format": "YUV420"},
                raw=None,  # saves its memory
                # Left to choose, picamera2 takes the sensor's smallest mode, which on modules 2 and 3 sees
                # the middle only; half the size is the mode that every sensor has and that sees everything.
                sensor={"output_size": (wide_px // 2, high_px // 2)},
                buffer_count=3,  # one looked at, one being filled, one next
                queue=False,  # a frame is asked for when it is wanted, so it is never an old one
                controls={"FrameRate": frames_per_s},
            ))
            camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            self.close()
            raise CameraError(f"the camera cannot be opened: {_cause(error)}", _HINT) from None

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
                    yield Frame(planes.array[:WATCH_HEIGHT_PX, :WATCH_WIDTH_PX],
                                about["SensorTimestamp"] / 1e9, about.get("ExposureTime"), _gain(about))
            finally:
                request.release()

    def close(self) -> None:
        """Stop the camera and let it go."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()  # stops it too; stop() itself waits for the event loop, even for a dead one


def _acquired(kind: Any) -> Any:
    """Return Picamera2(); where its constructor fails it leaves a pipe open, which is closed here."""
    camera = kind.__new__(kind)
    try:
        camera.__init__()
    except RuntimeError:
        camera.notifymeread.close()
        os.close(camera.notifyme_w)
        raise
    return camera


def _cause(error: BaseException) -> BaseException:
    """Return what was at the bottom of it: picamera2 itself says only that it did not complete."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _gain(about: dict[str, Any]) -> float | None:
    analogue = about.get("AnalogueGain")
    return None if analogue is None else float(analogue) * float(about.get("DigitalGain", 1.0))
