"""The Raspberry Pi's camera: picamera2 on libcamera.

Rule 1: one small YUV420 stream, no raw; of its planes only the luma is ever looked at, in place. A large one stands
        beside it only while there is a clip, and goes to the encoder only, masked.
Rule 2: an exception in a callback silently ends picamera2's event loop: none gets out. Every wait for it has a limit.
Rule 3: opening may fail and be tried again for as long as the device stands: nothing may stay behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from device import config
from device.errors import CameraError
from device.see.camera import SILENT_AFTER_S, WATCH_HEIGHT_PX, WATCH_WIDTH_PX
from device.see.frame import Frame
from device.see.mask import black_out

if TYPE_CHECKING:
    from device.see.clip import Clip

RECORDED_US = 33_333  # between two recorded frames, in good light: what the encoder of a Zero 2 W does at 1920 x 1080
# What libcamera, picamera2 and an encoder raise; BufferError: somebody keeps a frame that was lent.
_FAULTS = (RuntimeError, IndexError, OSError, ValueError, BufferError)
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
        self._encoder: Any = None
        self._frames_per_s = frames_per_s
        self._clip: Clip | None = None
        self._wanted: Clip | None = None  # what shall be recorded into; frames() follows, between two frames
        try:
            self._camera = _acquired(Picamera2)
            self._begin(None)
        except _FAULTS as error:
            self.close()
            raise CameraError(f"the camera cannot be opened: {_cause(error)}", _HINT) from None

    def _begin(self, clip: Clip | None) -> None:
        """Configure and start: the small stream, and with a clip the large one beside it."""
        from libcamera import ColorSpace

        camera, watched = self._camera, {"size": (WATCH_WIDTH_PX, WATCH_HEIGHT_PX), "format": "YUV420"}
        wide_px, high_px = camera.sensor_resolution
        main, slow_us = watched, round(1e6 / self._frames_per_s)
        if clip is not None:
            main = {"size": recorded_size(wide_px, high_px, clip.settings), "format": "YUV420"}
        camera.configure(camera.create_video_configuration(
            main=main,
            lores=None if clip is None else watched,
            raw=None,  # saves its memory
            # Left to choose, picamera2 takes the sensor's smallest mode, which on modules 2 and 3 sees
            # the middle only; half the size is the mode that every sensor has and that sees everything.
            sensor={"output_size": (wide_px // 2, high_px // 2)},
            colour_space=ColorSpace.Rec709(),  # left to choose, another one for small pictures: the luma would jump
            buffer_count=3 if clip is None else 6,  # looked at, being filled, next; and as many in the encoder
            queue=False,  # a frame is asked for when it is wanted, so it is never an old one
            # In the dark a recording is no faster than watching is, so neither is the exposure shorter.
            controls={"FrameDurationLimits": (slow_us if clip is None else min(RECORDED_US, slow_us), slow_us)},
        ))
        self._see_everything(1 if clip is None else 2)
        if clip is not None:
            self._encode(clip)
        camera.start()

    def _see_everything(self, streams: int) -> None:
        """Let both streams have the sensor's whole field of view, whatever their shape: masks fit both."""
        controls = self._camera.camera_controls
        if "ScalerCrop" in controls:  # as (least, most, default)
            whole = controls["ScalerCrop"][1]
            # A Pi 5 crops each stream by itself.
            each = {"ScalerCrops": [whole] * streams} if "ScalerCrops" in controls else {"ScalerCrop": whole}
            self._camera.set_controls(each)

    def _encode(self, clip: Clip) -> None:
        from picamera2.encoders import H264Encoder

        if clip.mask:
            self._camera.pre_callback = lambda request: _blacken(request, clip)
        per_s = 1_000_000 // RECORDED_US
        self._encoder = H264Encoder(bitrate=round(clip.settings.bitrate_mbit * 1e6), repeat=True, iperiod=per_s)
        self._camera.start_encoder(self._encoder, _into(clip), name="main")

    def _switch(self) -> None:
        """Go over from watching to recording, or back; a clip that is refused is told so, and watching goes on."""
        try:
            self._end()
            if self._wanted is not None and self._begins(self._wanted):
                self._clip = self._wanted
                return
            self._wanted = None
            self._begin(None)
        except TimeoutError:
            raise CameraError(f"the camera did not stop within {SILENT_AFTER_S:g} s", _HINT) from None
        except _FAULTS as error:
            raise CameraError(f"the camera cannot be started again: {_cause(error)}", _HINT) from None

    def _begins(self, clip: Clip) -> bool:
        try:
            self._begin(clip)
        except _FAULTS as error:
            clip.fail(f"the camera cannot record: {_cause(error)}")
            self._stop_encoder()
            return False
        return True

    def _end(self) -> None:
        """Stop the camera, then the encoder, which gives what it still has; then the clip has everything."""
        self._camera.dispatch_functions([self._camera.stop_], wait=SILENT_AFTER_S, immediate=True)
        self._stop_encoder()
        self._let_go()

    def _stop_encoder(self) -> None:
        self._camera.pre_callback = None
        encoder, self._encoder = self._encoder, None
        if encoder in self._camera.encoders:
            self._camera.stop_encoder(encoder)

    def _let_go(self) -> None:
        clip, self._clip = self._clip, None
        if clip is not None:
            clip.end()

    def record(self, clip: Clip | None) -> None:
        """Record into `clip` from the next frame on; None: no more."""
        before, self._wanted = self._wanted, clip
        if before is not None and before is not self._clip:
            before.end()  # it was never begun

    def frames(self) -> Iterator[Frame]:
        """Yield frames whose luma is a view of the camera's own buffer, lent until the next one."""
        from picamera2 import MappedArray

        due_s = 0.0
        while True:
            while self._wanted is not self._clip:
                self._switch()
            try:
                request = self._camera.capture_request(wait=SILENT_AFTER_S)
            except TimeoutError:
                self._camera.cancel_all_and_flush()
                raise CameraError(f"no frame for {SILENT_AFTER_S:g} s", _HINT) from None
            except RuntimeError as error:
                raise CameraError(f"the camera failed: {error}", _HINT) from None
            try:
                about = request.get_metadata()
                t_s = about["SensorTimestamp"] / 1e9
                if self._clip is not None and t_s < due_s - 0.25 / self._frames_per_s:
                    continue  # a recording has more of them than are looked at
                due_s = max(due_s, t_s - 0.25 / self._frames_per_s) + 1 / self._frames_per_s
                with MappedArray(request, "main" if self._clip is None else "lores", write=False) as planes:
                    # Rows are padded (a stride of 192 for 160) and the chroma lies below the luma.
                    yield Frame(planes.array[:WATCH_HEIGHT_PX, :WATCH_WIDTH_PX],
                                t_s, about.get("ExposureTime"), _gain(about))
            finally:
                request.release()

    def close(self) -> None:
        """Stop the camera and let it go, and its clip."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()  # stops it too; stop() itself waits for the event loop, even for a dead one
            if self._encoder in camera.encoders:
                camera.stop_encoder(self._encoder)
        self.record(None)
        self._let_go()


def recorded_size(wide_px: int, high_px: int, settings: config.Recording) -> tuple[int, int]:
    """Return the largest size in the sensor's shape that the settings allow, as encoders take it.

    In another shape the recording would show less than is watched, and a mask would lie elsewhere.
    """
    scale = min(settings.width_px / wide_px, settings.height_px / high_px)
    width_px = max(32, min(round(wide_px * scale / 32), settings.width_px // 32) * 32)
    return width_px, max(32, min(round(high_px * scale), settings.height_px) // 2 * 2)


def _into(clip: Clip) -> Any:
    """Return the output of an encoder that hands everything to `clip`."""
    from picamera2.outputs import Output

    class Into(Output):  # type: ignore[misc]  # picamera2 has no types
        def outputframe(self, frame: Any, keyframe: bool = True, timestamp: int | None = None, *_: object) -> None:
            clip.add_encoded(bytes(frame), (timestamp or 0) / 1e6, key=keyframe)

    return Into()


def _blacken(request: Any, clip: Clip) -> None:
    """Mask the large picture before the encoder has it; a clip whose picture cannot be masked takes no more."""
    from picamera2 import MappedArray

    try:
        with MappedArray(request, "main") as planes:
            stride, (width_px, height_px) = planes.array.shape[1], request.config["main"]["size"]
            chroma = planes.array[height_px:].reshape(2, height_px // 2, stride // 2)[:, :, : width_px // 2]
            black_out(clip.mask, planes.array[:height_px, :width_px], chroma)
    except Exception as error:  # noqa: BLE001  # whatever it is, it would end picamera2's event loop, in silence
        clip.fail(f"the picture cannot be masked: {error}")


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
