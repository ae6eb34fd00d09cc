"""What is no frame, no time, no mask or no sensitivity is refused by name; what is one is neither kept nor written."""

from __future__ import annotations

import numpy as np
import pytest

from device.see.detector import Detector
from device.see.frame import Frame
from tests.watched import OFF, ON, Camera, place, watched_by


def legal(luma: object = None, t_s: float = 0.0) -> Frame:
    return Frame(np.zeros((120, 160), np.uint8) if luma is None else luma, t_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("sensitivity", [0, 6, -1, 2.5, float("nan")])
def test_a_sensitivity_outside_1_to_5_is_refused(sensitivity: float) -> None:
    """A typing error in the configuration must not become a camera that sees nothing."""
    with pytest.raises(ValueError, match="sensitivity is"):
        Detector(sensitivity)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [
    np.zeros((120, 160), np.float32), np.zeros((120, 160, 3), np.uint8), np.zeros(160, np.uint8), np.zeros((8, 8), np.uint8),
    np.zeros((0, 0), np.uint8)])
def test_a_frame_that_is_none_is_refused_by_name(bad: object) -> None:
    """A camera driver that hands over colour, floats or nothing is noticed at once, not as a missed visitor."""
    with pytest.raises(ValueError, match="must be"):
        Detector().step(legal(bad))


@pytest.mark.parametrize("t_s", [float("nan"), float("inf"), -float("inf")])
def test_a_time_that_is_none_is_refused(t_s: float) -> None:
    """NaN compares false with everything: it would switch off every rule about time without a word."""
    with pytest.raises(ValueError, match="t_s is"):
        Detector().step(legal(t_s=t_s))


def test_a_time_that_goes_back_is_refused() -> None:
    """Frames out of order mean that two sources are mixed up."""
    detector = Detector()
    detector.step(legal(t_s=1.0))
    with pytest.raises(ValueError, match="went back"):
        detector.step(legal(t_s=0.9))


def test_a_mask_of_another_shape_is_refused() -> None:
    """A mask drawn for another size would show what it was meant to hide."""
    with pytest.raises(ValueError, match="watched is"):
        Detector(watched=np.ones((90, 160), np.bool_)).step(legal())


def test_frames_of_one_colour_and_a_change_of_size_are_no_motion() -> None:
    """A lens cap, a white-out, a switch of the camera's mode: nothing that walks."""
    camera = Camera(Detector(), noise_levels=0)
    for level, shape in [(0, (120, 160)), (255, (120, 160)), (255, (90, 160)), (0, (90, 160)), (128, (240, 320))]:
        camera.watch(np.full(shape, level, np.float32), 4)
    assert camera.messages == []


def test_a_change_of_size_ends_an_episode() -> None:
    """What was begun is ended, even when the camera restarts in another mode."""
    camera, picture = watched_by()
    camera.walk(picture, 1.5)
    assert camera.messages == [ON]
    assert camera.show(place(240, 320)) == (OFF,)


def test_the_frames_buffer_is_not_kept_and_not_written() -> None:
    """Sources reuse their buffers: holding on to one would be to look at another frame."""
    picture = place().astype(np.uint8)
    picture.setflags(write=False)
    detector, again = Detector(), Detector()
    buffer = picture.copy()
    for number in range(30):
        np.copyto(buffer, picture)
        detector.step(Frame(buffer, number / 10))
        buffer[:] = 255
        again.step(Frame(picture, number / 10))
    assert detector.noise_levels == again.noise_levels
