"""Each camera gives a clip its large pictures while it records, and none before or after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from device.config import Camera, Recording
from device.errors import CameraError
from device.see import webcam
from device.see.camera import open_camera
from device.see.frame import Grey
from device.see.picamera import PiCamera
from tests.numbered import HEIGHT_PX, WIDTH_PX, picture, write
from tests.rig import until


@pytest.mark.parametrize(("extra", "streams", "expected"), [
    ({}, 2, {"ScalerCrop": (0, 0, 4608, 2592)}),
    ({"ScalerCrops": ((0, 0, 16, 16), (0, 0, 8, 8))}, 1, {"ScalerCrops": [(0, 0, 4608, 2592)]}),
    ({"ScalerCrops": ((0, 0, 16, 16), (0, 0, 8, 8))}, 2, {"ScalerCrops": [(0, 0, 4608, 2592)] * 2}),
], ids=["Pi 4", "Pi 5, watching", "Pi 5, recording"])
def test_both_streams_of_a_pis_camera_have_the_whole_field_of_view(extra: dict[str, object], streams: int,
                                                                   expected: dict[str, object]) -> None:
    """A 4:3 picture of a 16:9 sensor is its middle unless told otherwise; masks are drawn on the one, and hide on both."""
    set_controls: list[dict[str, object]] = []
    camera = PiCamera.__new__(PiCamera)
    controls = {"ScalerCrop": ((0, 0, 64, 64), (0, 0, 4608, 2592), (576, 0, 3456, 2592)), **extra}
    camera._camera = SimpleNamespace(camera_controls=controls, set_controls=set_controls.append)
    camera._see_everything(streams)
    assert set_controls == [expected]


@pytest.fixture
def large_porches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes at which the porch is drawn, as it happens."""
    from device.see import drawn

    sizes: list[tuple[int, int]] = []

    class Noted(drawn.Porch):
        def __init__(self, scene: object, seed: int, width_px: int, height_px: int, frames_per_s: float) -> None:
            sizes.append((width_px, height_px))
            super().__init__(scene, seed, width_px, height_px, frames_per_s)  # type: ignore[arg-type]  # as handed in

    monkeypatch.setattr(drawn, "Porch", Noted)
    return sizes


class Taker:
    """In the place of a Clip: what it was given."""

    def __init__(self) -> None:
        self.settings, self.mask, self.frames_per_s, self.ended = Recording(), (), 0.0, False
        self.sizes: list[tuple[int, int]] = []
        self.why = ""

    def add(self, picture: av.VideoFrame, _t_s: float) -> None:
        self.sizes.append((picture.width, picture.height))

    def add_grey(self, luma: Grey, _t_s: float) -> None:
        self.sizes.append((luma.shape[1], luma.shape[0]))

    def end(self) -> None:
        self.ended = True

    def fail(self, why: str) -> None:
        self.why, self.ended = why, True


def test_inv_no_pre_roll_the_porch_is_drawn_large_only_while_recording(large_porches: list[tuple[int, int]]) -> None:
    """The stand-in keeps the promise of the real camera: no full-resolution frame before START."""
    camera, taker = open_camera(Camera(source="porch", frames_per_s=30)), Taker()
    frames = camera.frames()
    for _ in range(3):
        next(frames)
    assert large_porches == [(160, 120)]
    camera.record(taker)  # type: ignore[arg-type]  # as much of a clip as a camera needs
    for _ in range(3):
        assert next(frames).luma.shape == (120, 160)
    camera.record(None)
    next(frames)
    assert (large_porches, taker.sizes, taker.ended) == ([(160, 120), (480, 360)], [(480, 360)] * 3, True)
    assert taker.frames_per_s == 30


def test_inv_no_pre_roll_a_files_frames_go_into_a_clip_only_while_recording(tmp_path: Path) -> None:
    """Decoded they are anyway; nobody keeps them."""
    video = write(tmp_path / "video.mkv", map(picture, range(20)))
    camera, taker = open_camera(Camera(source="file", path=str(video))), Taker()
    frames = camera.frames()
    for _ in range(3):
        next(frames)
    assert taker.sizes == []
    camera.record(taker)  # type: ignore[arg-type]  # as above
    for _ in range(3):
        next(frames)
    camera.close()
    assert taker.sizes == [(WIDTH_PX, HEIGHT_PX)] * 6  # each, also those that are not looked at
    assert taker.ended


@dataclass
class Driver:
    """In the place of V4L2: pictures of the size asked for, a time that starts anew with each opening."""

    refuses: tuple[str, ...] = ()  # values of options
    asked: list[dict[str, str]] = field(default_factory=list)
    open: int = 0

    def __call__(self, device: str, options: dict[str, str]) -> Driver.Container:
        assert self.open == 0, "opened twice"
        self.asked.append(options)
        if set(options.values()) & set(self.refuses):
            raise CameraError(f"{device}: Invalid argument", "no hint")
        self.open += 1
        return Driver.Container(self, *map(int, options["video_size"].split("x")))

    @dataclass
    class Container:
        driver: Driver
        width_px: int
        height_px: int

        @property
        def streams(self) -> SimpleNamespace:
            return SimpleNamespace(video=[SimpleNamespace(average_rate=Fraction(30))])

        def demux(self, video: int) -> Iterator[SimpleNamespace]:
            for n in range(10_000):
                time.sleep(0.003)
                shown = av.VideoFrame(self.width_px, self.height_px, "yuv420p")
                shown.pts, shown.time_base = n, Fraction(1, 30)
                yield SimpleNamespace(size=1, decode=lambda shown=shown: [shown])

        def close(self) -> None:
            self.driver.open -= 1


def opened(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> webcam.Webcam:
    monkeypatch.setattr(webcam, "open_device", driver)
    return webcam.Webcam("/dev/video0", 10.0)


def test_inv_no_pre_roll_a_webcam_is_opened_large_only_while_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the press and after the clip no face can be known, not even in the driver's memory."""
    driver, taker, times_s = Driver(), Taker(), []
    camera = opened(monkeypatch, driver)
    frames = camera.frames()

    def look(done: Callable[[], object]) -> None:
        for frame in frames:
            times_s.append(frame.t_s)
            assert frame.luma.shape == (90, 160)
            if done():
                return

    look(lambda: len(times_s) > 5)
    assert (driver.asked, taker.sizes) == ([{"video_size": "640x360"}], [])
    camera.record(taker)  # type: ignore[arg-type]  # as much of a clip as a camera needs
    look(lambda: len(taker.sizes) > 20)
    camera.record(None)
    assert taker.ended
    look(lambda: len(driver.asked) == 3)
    count = len(taker.sizes)
    look(lambda: len(times_s) > 30)
    camera.close()
    assert [asked["video_size"] for asked in driver.asked] == ["640x360", "1920x1080", "640x360"]
    assert set(taker.sizes) == {(1920, 1080)} and len(taker.sizes) == count
    assert driver.open == 0
    assert (np.diff(times_s) > 0).all() and np.diff(times_s).max() < 0.5  # though the driver counts anew


@pytest.mark.parametrize(("refuses", "recorded"), [(("mjpeg",), True), (("1920x1080",), False)])
def test_a_webcam_that_cannot_record_says_so_and_watches_on(monkeypatch: pytest.MonkeyPatch, refuses: tuple[str, ...],
                                                            recorded: bool) -> None:
    """Without compressed pictures there are others; without large ones the owner is told, and still watched over."""
    driver, taker = Driver(refuses), Taker()
    camera = opened(monkeypatch, driver)
    frames = camera.frames()
    next(frames)
    camera.record(taker)  # type: ignore[arg-type]  # as above
    until(lambda: next(frames) and (taker.sizes or taker.ended), "a clip, or a refusal")
    if recorded:
        assert not taker.ended and driver.asked[1:] == [{"video_size": "1920x1080", "input_format": "mjpeg"}, {"video_size": "1920x1080"}]
    else:
        assert taker.why == "/dev/video0: Invalid argument" and taker.sizes == []
        until(lambda: next(frames) and driver.asked[-1] == {"video_size": "640x360"}, "the small picture again")
    camera.close()
    assert driver.open == 0
