"""Who stands at the door is one visitor until they have left; what is put down there is none.

Rule 1: frames are drawn, or made of numbers from a seed; time is their own.
"""

from __future__ import annotations

import numpy as np
import pytest

from device.see.detector import Detector, Reason
from device.see.porch import Light, Porch, Scene, Visit, Way
from tests.watched import OFF, ON, Camera, Picture, place, watched_by


@pytest.mark.parametrize(("light", "seed"), [(Light.DAY, 0), (Light.OVERCAST, 1), (Light.IR, 2)])
def test_somebody_who_stands_at_the_door_for_a_minute_is_one_event(light: Light, seed: int) -> None:
    """They ring, wait, read their phone and leave: the owner's phone rings once."""
    porch = Porch(Scene(95.0, light, (Visit(6.0, Way.DRIVE, stand_s=60.0),)), seed, frames_per_s=10.0)
    detector, reasons = Detector(), set()
    told = []
    for frame in porch.frames():
        told += [(message, frame.t_s) for message in detector.step(frame)]
        reasons.add(detector.reason)
        assert detector.changed is None or detector.changed.mean() == detector.changed_share  # not who stands there
    ((start, end, _),) = porch.visits
    assert [message for message, _ in told] == [ON, OFF]
    assert start / 10 - 1 < told[0][1] < start / 10 + 2
    assert told[1][1] > end / 10 - 3
    assert Reason.STANDING in reasons


def standing(picture: Picture, left_px: float) -> Picture:
    """A coat of 20 x 60 px before the place, a fraction of a pixel to the right."""
    shown, coat = picture.copy(), place(60, 20, seed=9)
    whole, part = int(left_px), left_px - int(left_px)
    shown[30:90, whole : whole + 20] = (1 - part) * coat + part * np.roll(coat, 1, 1)
    return shown


def come(camera: Camera, picture: Picture) -> None:
    for number in range(24):
        camera.show(standing(picture, 3 * number))


def sway(camera: Camera, picture: Picture, frames: int) -> None:
    for number in range(frames):
        camera.show(standing(picture, 70 + 0.5 * np.sin(number / 7)))


def test_who_hardly_moves_is_still_there_and_then_is_not() -> None:
    """A sway of half a pixel is no motion, and nobody is as still as a bag."""
    camera, picture = watched_by()
    come(camera, picture)
    sway(camera, picture, 300)
    assert camera.messages == [ON]
    left_s = camera.t_s
    camera.watch(picture, 20)
    assert camera.messages == [ON, OFF]
    assert camera.told[-1][1] - left_s < 6


def test_what_is_left_behind_is_nobody() -> None:
    """A bag, a chair, a parked car are as still as the wall behind them: their alert ends within seconds."""
    camera, picture = watched_by()
    come(camera, picture)
    put_down_s = camera.t_s
    camera.watch(standing(picture, 70), 20)
    assert camera.messages == [ON, OFF]
    assert camera.told[-1][1] - put_down_s < 6


def test_nothing_is_held_for_longer_than_two_minutes() -> None:
    """A balloon that was tied to the gate must not hide the next visitor all day."""
    camera, picture = watched_by()
    come(camera, picture)
    came_s = camera.t_s
    sway(camera, picture, 1300)
    assert camera.messages == [ON, OFF]
    assert 115 < camera.told[-1][1] - came_s < 125
