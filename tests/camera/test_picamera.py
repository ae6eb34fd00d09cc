"""The Pi's camera as the product opens it: its frames, and nothing but them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

from device.see.frame import Grey
from device.see.picamera import PiCamera, present
from tests.camera.virtualcam import Virtual

Opened = Callable[..., PiCamera]


@pytest.mark.parametrize("frames_per_s", [5.0, 10.0, 30.0])
def test_frames_come_at_the_configured_rate(virtual: Virtual, opened: Opened, frames_per_s: float) -> None:
    """Too few and a runner slips through; too many and the Pi is hot for nothing."""
    camera = opened(frames_per_s)
    times_s = [frame.t_s for frame in islice(camera.frames(), int(frames_per_s) + 1)]
    assert virtual.frame_us == pytest.approx(1e6 / frames_per_s, abs=1)
    assert len(times_s) / (times_s[-1] - times_s[0]) == pytest.approx(frames_per_s, rel=0.25)  # one of 5 is 20 %


def test_every_frame_is_newer_than_the_one_before(opened: Opened) -> None:
    """A frame seen twice would be a place where nothing moves; time that goes back ends the watching."""
    gaps_s = np.diff([frame.t_s for frame in islice(opened(30.0).frames(), 20)])
    assert (gaps_s > 0.02).all()


@pytest.mark.parametrize("row_step_bytes", [32, 64, 128], ids=["no padding", "padded to 192", "padded to 256"])
def test_a_frame_is_exactly_what_the_camera_saw(virtual: Virtual, opened: Opened, row_step_bytes: int) -> None:
    """A padded row taken for picture shears it, and the chroma below would be a second, grey door."""
    shown: dict[int, Grey] = {}

    def noise(n: int, width_px: int, height_px: int) -> Grey:
        return shown.setdefault(n, np.random.default_rng(n).integers(0, 256, (height_px, width_px), np.uint8))

    virtual.scene, virtual.row_step_bytes = noise, row_step_bytes
    seen = []
    for frame in islice(opened(30.0).frames(), 8):
        assert (frame.luma.shape, frame.luma.dtype) == ((120, 160), np.uint8)
        seen.append([n for n, picture in shown.items() if np.array_equal(picture, frame.luma)])
    assert [len(numbers) for numbers in seen] == [1] * 8, seen
    assert seen == sorted(seen)


def test_the_luma_is_looked_at_in_place(opened: Opened) -> None:
    """No copy of a picture is made, so none can be forgotten anywhere; and a Pi Zero has no time for one."""
    camera = opened()
    frame = next(islice(camera.frames(), 1))
    buffers = [np.frombuffer(memory, np.uint8) for memory in camera._camera.allocator.mapped_buffers.values()]
    assert not frame.luma.flags.owndata
    assert [np.shares_memory(frame.luma, buffer) for buffer in buffers].count(True) == 1


@pytest.mark.parametrize(("metadata", "exposure_us", "gain"), [
    ({}, None, None),
    ({"ExposureTime": 9000, "AnalogueGain": 4.0, "DigitalGain": 1.5}, 9000, 6.0),
    ({"ExposureTime": 20_000, "AnalogueGain": 2.0}, 20_000, 2.0),
    ({"ExposureTime": 20_000, "DigitalGain": 2.0}, 20_000, None),
])
def test_exposure_and_gain_come_with_the_frame(virtual: Virtual, opened: Opened, metadata: dict[str, Any],
                                               exposure_us: float | None, gain: float | None) -> None:
    """A step in exposure is not motion; a camera that does not tell must still work."""
    virtual.metadata = metadata
    frame = next(islice(opened().frames(), 1))
    assert (frame.exposure_us, frame.gain) == (exposure_us, gain)


def test_no_stream_but_the_small_one_is_ever_configured(virtual: Virtual, opened: Opened) -> None:
    """While watching there is no picture in which a face could be known, not even in memory."""
    camera = opened()
    next(islice(camera.frames(), 1))
    configuration = camera._camera.camera_configuration()
    assert (configuration["main"]["size"], configuration["main"]["format"]) == ((160, 120), "YUV420")
    assert configuration["lores"] is None
    assert configuration["raw"] is None
    assert virtual.configured == [[(160, 120)]]


@pytest.mark.parametrize(("modes_px", "whole_px"), [
    (((640, 480), (1640, 1232), (1920, 1080), (3280, 2464)), (1640, 1232)),
    (((1536, 864), (2304, 1296), (4608, 2592)), (2304, 1296)),
    (((1332, 990), (2028, 1080), (2028, 1520), (4056, 3040)), (2028, 1520)),
    (((640, 480), (1296, 972), (1920, 1080), (2592, 1944)), (1296, 972)),
    (((1456, 1088),), (1456, 1088)),
], ids=["module 2 (imx219)", "module 3 (imx708)", "HQ (imx477)", "module 1 (ov5647)", "global shutter (imx296)"])
def test_the_camera_sees_its_whole_field_of_view(virtual: Virtual, opened: Opened, modes_px: Any, whole_px: Any) -> None:
    """The smallest mode of modules 2 and 3 shows the middle of the picture only: whoever comes from the side is missed."""
    virtual.modes_px = modes_px
    assert opened()._camera.camera_configuration()["sensor"]["output_size"] == whole_px


def test_a_camera_that_is_there_is_found(virtual: Virtual) -> None:
    """What "auto" asks before it takes the Pi's camera."""
    assert present()
