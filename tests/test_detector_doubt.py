"""What looks like a body and is none: lamps, insects and flags; and what they must not hide.

Rule 1: frames are drawn, or made of numbers from a seed; time is their own.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from device.see import detector_doubt
from device.see.detector import Detector
from device.see.detector_body import Mask
from device.see.detector_cells import Cells
from device.see.detector_doubt import END_TIMES, LOOK_S, OFTEN_CELLS, SIDE_TIMES, Doubt, entering
from device.see.detector_light import likeness
from device.see.detector_place import Place
from device.see.frame import Frame
from tests.bench.weather import porch
from tests.watched import ON

SHAPE = (60, 80)
BOX = (slice(24, 33), slice(10, 15))


@pytest.mark.parametrize(("name", "seed", "seconds"), [
    ("headlights_empty", 0, 18), ("headlights_empty", 33, 8), ("headlights", 32, 8), ("headlights", 33, 8),
    ("insects_empty", 31, 20), ("insects_empty", 32, 8), ("insects_empty", 0, 20),
])
def test_headlights_and_white_insects_are_nobody(name: str, seed: int, seconds: int) -> None:
    """A beam that sweeps over the wall, an insect that crawls before the infrared lamp: the commonest false alarms."""
    detector, stage = Detector(), porch(name, seed)
    told = [message for number in range(seconds * 10) for message in detector.step(stage.frame(number))]
    assert ON not in told


def seen(place: Place, cells: Cells) -> Mask:
    """What has changed in a frame, as the detector finds it."""
    place.relight(cells, quiet=False)
    return place.changed(cells, unsteady=False)


def known() -> tuple[Place, Cells]:
    place, cells = Place(SHAPE), np.random.default_rng(4).uniform(60, 140, SHAPE).astype(np.float32)
    place.restart(cells)
    place.noise.fill(0.3)
    return place, cells


def body(cells: Cells) -> Cells:
    """Somebody fills the window, with a coat of their own."""
    shown = cells.copy()
    shown[BOX] = np.random.default_rng(5).uniform(150, 200, (9, 5))
    return shown


def weighed(doubt: Doubt, place: Place, cells: Cells) -> float:
    changed = seen(place, cells)
    return doubt.weigh(place, cells, changed, int(np.count_nonzero(changed)), BOX, 45, 1)


def test_a_body_counts_whole_in_steady_light() -> None:
    place, cells = known()
    assert weighed(Doubt(SHAPE), place, body(cells)) == 45


def test_a_body_does_not_count_while_light_sweeps_over_the_rest() -> None:
    """And does where the light always does so: mains flicker, a shaking mount."""
    place, cells = known()
    doubt, lit = Doubt(SHAPE), body(cells)
    lit[:, 40:] *= 1.2
    assert weighed(doubt, place, lit) == 0
    for number in range(40):
        flickers = cells.copy()
        flickers[:, 40:] *= 1.2 if number % 2 else 1.0
        doubt.learn(place, seen(place, flickers), LOOK_S, moving=False)
    place.restart(cells)
    place.noise.fill(0.3)
    assert weighed(doubt, place, lit) > 30


@pytest.mark.parametrize("moving", [False, True])
def test_what_changes_again_and_again_counts_less(moving: bool) -> None:
    """A flag that makes an alert of every gust is a flag still; who is just coming is not held against themselves."""
    place, cells = known()
    doubt = Doubt(SHAPE)
    for number in range(60):
        doubt.learn(place, seen(place, body(cells) if number % 3 == 0 else cells), LOOK_S, moving)
        place.restart(cells)
        place.noise.fill(0.3)
    assert weighed(doubt, place, body(cells)) == pytest.approx(45 - OFTEN_CELLS)
    doubt.restart()
    place.restart(cells)
    place.noise.fill(0.3)
    for _ in range(2):
        doubt.learn(place, seen(place, body(cells)), LOOK_S, moving=False)
    place.restart(cells)
    place.noise.fill(0.3)
    assert weighed(doubt, place, body(cells)) == 45


@pytest.mark.parametrize("shape", [(11, 7), (9, 5), (2, 2), (1, 6), (6, 1)])
def test_edges_are_alike_where_something_changed_and_nowhere_else(shape: tuple[int, int]) -> None:
    """All rows are one to it; the end of one is not beside the beginning of the next."""
    r = np.random.default_rng(6)
    place, cells = (r.uniform(0, 200, shape).astype(np.float32) for _ in range(2))
    changed = r.random(shape) < 0.4
    changed[0, 0] = True
    products = np.zeros(3)
    for (y, x), (down, right) in itertools.product(np.ndindex(shape), ((1, 0), (0, 1))):
        if y + down < shape[0] and x + right < shape[1] and (changed[y, x] or changed[y + down, x + right]):
            then, now = (float(of[y + down, x + right] - of[y, x]) for of in (place, cells))
            products += then * now, then * then, now * now
    assert likeness(place, cells, changed) == pytest.approx(products[0] / np.sqrt(products[1] * products[2]), abs=1e-5)


@pytest.mark.parametrize("least_cells", [1, 15, 25, 46])
def test_a_body_counts_whole_or_not_at_all_if_less_makes_no_difference(least_cells: int) -> None:
    """What is not weighed to the end would not have been enough."""
    place, cells = known()
    doubt = Doubt(SHAPE)
    shown = body(cells)
    shown[BOX] = np.where(np.indices((9, 5)).sum(0) % 3 == 0, shown[BOX], cells[BOX])
    changed = seen(place, shown)
    count = int(np.count_nonzero(changed))
    whole = doubt.weigh(place, shown, changed, count, BOX, 45, 1)
    assert 15 < whole < 25
    assert doubt.weigh(place, shown, changed, count, BOX, 45, least_cells) == (whole if whole >= least_cells else 0)


LEFT, RIGHT = (slice(24, 33), slice(0, 5)), (slice(24, 33), slice(75, 80))
UPPER, LOWER = (slice(0, 9), slice(10, 15)), (slice(51, 60), slice(10, 15))


@pytest.mark.parametrize(("box", "body_cells", "times"), [
    (BOX, 45.0, 1.0), (LEFT, 45.0, SIDE_TIMES), (RIGHT, 45.0, SIDE_TIMES), (UPPER, 45.0, END_TIMES), (LOWER, 45.0, END_TIMES),
    (LEFT, 13.0, 1.0), (UPPER, 6.0, 1.0), (RIGHT, 17.0, (1 + SIDE_TIMES) / 2), (LOWER, 11.0, (1 + END_TIMES) / 2),
    ((slice(0, 9), slice(0, 5)), 11.0, (1 + END_TIMES) / 2),
])
def test_a_body_counts_more_at_the_edge_of_the_picture(box: tuple[slice, slice], body_cells: float, times: float) -> None:
    changed = np.zeros(SHAPE, np.bool_)
    changed[box] = True
    assert entering(changed, box, body_cells) == pytest.approx(times)


def test_a_window_at_the_edge_counts_more_only_as_far_as_what_changed_reaches_it() -> None:
    changed = np.zeros(SHAPE, np.bool_)
    changed[24:33, 1:5] = True
    assert entering(changed, LEFT, 36.0) == 1.0
    changed[24, 0] = True
    assert entering(changed, LEFT, 37.0) == pytest.approx((1 + SIDE_TIMES) / 2)


def test_who_comes_in_over_the_edge_is_told_sooner_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = porch("overcast", 31)
    frames = [Frame(frame.luma.copy(), frame.t_s) for frame in map(stage.frame, range(80, 140))]

    def told_s() -> float:
        detector = Detector()
        return next(frame.t_s for frame in frames if ON in detector.step(frame))

    sooner_s = told_s()
    monkeypatch.setattr(detector_doubt, "SIDE_TIMES", 1.0)
    monkeypatch.setattr(detector_doubt, "END_TIMES", 1.0)
    assert sooner_s < told_s()
