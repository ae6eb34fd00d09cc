"""The view's health: a camera that cannot see says so, and night, weather and visitors are no fault.

Rule 1: every frame here is made of numbers from a seed.
Rule 2: what is blocked is said within 10 s, and taken back within 10 s.
"""

from __future__ import annotations

import numpy as np
import pytest

from device.messages import SeeToTell
from device.see.detector import Detector
from device.see.frame import Frame
from device.see.health import NEXT, Health, Sight, View

BLOCKED, CLEAR = SeeToTell.VIEW_BLOCKED, SeeToTell.VIEW_CLEAR
Picture = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def porch() -> Picture:
    r = np.random.default_rng(4)
    patches = np.kron(r.uniform(40, 180, (10, 14)), np.ones((12, 12)))[:120, :160]
    return (patches + r.normal(0, 6, (120, 160))).astype(np.float32)


def smooth(picture: Picture, reach: int = 12) -> Picture:
    """Out of focus: a box of 2 x reach + 1 pixels, twice."""
    window = np.ones(2 * reach + 1) / (2 * reach + 1)
    for axis in (0, 1, 0, 1):
        padded = np.pad(picture, [(reach, reach) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
        picture = np.apply_along_axis(lambda line: np.convolve(line, window, "valid"), axis, padded).astype(np.float32)
    return picture


class Watch:
    """A detector that is shown pictures; `said` holds what it says of the view, with the time."""

    def __init__(self) -> None:
        self.detector, self.t_s = Detector(), 0.0
        self.said: list[tuple[SeeToTell, float]] = []
        self._r = np.random.default_rng(8)

    def show(self, picture: Picture, seconds: float = 0.1, noise_levels: float = 1.2) -> Watch:
        for _ in range(round(seconds * 10)):
            luma = np.clip(picture + self._r.normal(0, noise_levels, picture.shape), 0, 255).astype(np.uint8)
            told = self.detector.step(Frame(luma, self.t_s))
            self.said += [(message, self.t_s) for message in told if message in (BLOCKED, CLEAR)]
            self.t_s += 0.1
        return self

    @property
    def messages(self) -> list[SeeToTell]:
        return [message for message, _ in self.said]


FAULTS = {
    "a lens cap by day": np.full((120, 160), 6, np.float32),
    "a bag over the camera": np.full((120, 160), 90, np.float32),
    "paint": 150 + porch() * 0.04,
    "out of focus": smooth(porch()),
    "turned away": np.roll(porch(), (20, 50), (0, 1)),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_blocked_view_is_said_within_10_s_and_taken_back(fault: str) -> None:
    """A camera that somebody has covered must not look like a quiet night."""
    watch = Watch().show(porch(), 20).show(FAULTS[fault], 12).show(porch(), 12)
    assert watch.messages == [BLOCKED, CLEAR]
    assert 20 < watch.said[0][1] < 30
    assert 32 < watch.said[1][1] < 42


def test_nightfall_is_no_fault() -> None:
    """It gets dark every day: five times as fast here."""
    watch = Watch()
    for number in range(120):
        watch.show(porch() * np.float32(max(0.02, 1 - number / 100)), 3.0)
    assert watch.messages == []


def test_a_lamp_that_goes_off_at_night_is_no_fault() -> None:
    """A dark porch without a lamp is what night looks like."""
    assert Watch().show(porch() * np.float32(0.3), 20).show(porch() * np.float32(0.01), 20).messages == []


def test_fog_is_no_fault() -> None:
    """Fog takes two thirds of the contrast away, within a minute at the fastest."""
    watch = Watch().show(porch(), 10)
    for number in range(60):
        watch.show(porch() * np.float32(1 - number / 90) + np.float32(1.6 * number), 1.0)
    assert watch.messages == []


def test_the_infrared_filter_is_no_fault() -> None:
    """Leaves turn white and shadows go: another light, the same edges."""
    switched = porch() * np.float32(0.6) + np.where(porch() > 120, 40, 0).astype(np.float32)
    assert Watch().show(porch(), 15).show(switched, 15).messages == []


def test_somebody_close_up_is_no_fault() -> None:
    """Who rings covers half of the view for as long as it takes."""
    covered = porch()
    covered[:, 60:130] = 50 + 0.3 * porch()[:, :70]
    assert Watch().show(porch(), 15).show(covered, 30).show(porch(), 10).messages == []


def test_a_blank_wall_and_noise_are_no_fault() -> None:
    """Where there is no structure, none can be lost."""
    assert Watch().show(np.full((120, 160), 100, np.float32), 30, noise_levels=5).messages == []


def test_the_table_of_the_view_is_complete() -> None:
    """Blocked is said once, when it begins, and clear once, when it ends."""
    assert set(NEXT) == set(View)
    for view, row in NEXT.items():
        assert set(row) == set(Sight)
        for after, told in row.values():
            assert told == {(View.CLEAR, View.BLOCKED): (BLOCKED,), (View.BLOCKED, View.CLEAR): (CLEAR,)}.get((view, after), ())


def test_a_look_costs_nothing_between_looks() -> None:
    """Once a second is enough: twenty frames at 10/s are looked at twice."""
    health = Health()
    cells = porch()[:60, :80]
    looks = []
    for number in range(20):
        health.structure_levels = -1.0
        health.look(cells, number / 10)
        looks.append(health.structure_levels >= 0)
    assert sum(looks) == 2


@pytest.mark.parametrize("shape", [(60, 80), (45, 80), (16, 16), (8, 3)])
def test_a_look_knows_no_neighbours_but_those_in_the_picture(shape: tuple[int, int]) -> None:
    """All rows are one to it; the end of one is not beside the beginning of the next."""
    cells = np.random.default_rng(3).uniform(90, 110, shape).astype(np.float32)
    then = np.random.default_rng(4).uniform(90, 110, shape).astype(np.float32)
    edges, usual = (np.stack((of[1:, 1:] - of[1:, :-1], of[1:, 1:] - of[:-1, 1:])) for of in (cells, then))
    health = Health()
    health.look(then, 0.0)
    health.look(cells, 1.0)
    assert health.structure_levels == pytest.approx(float(np.abs(edges[0, :, 1:] - edges[0, :, :-1]).mean()), rel=1e-5)
    assert health.likeness == pytest.approx(float((edges * usual).sum() / np.sqrt((edges**2).sum() * (usual**2).sum())), abs=1e-5)
