"""Sums over cells that are made of few calls are the same as cell by cell, in every shape; and whose a window is."""

from __future__ import annotations

import numpy as np
import pytest

from device.see.detector_body import WINDOW_CELLS, Around, Window, at_side, nothing_beside, opposite

SHAPES = [(60, 80), (45, 80), (9, 5), (10, 6), (8, 20), (20, 8)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("join", "dtype"), [(np.add, np.float32), (np.maximum, np.uint8)])
def test_around_joins_each_cell_with_its_neighbours_and_no_other(shape: tuple[int, int], join: np.ufunc, dtype: type) -> None:
    """The last column has nothing to do with the next row's first."""
    cells = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    padded = np.pad(cells, 1, constant_values=0)
    wanted = join.reduce(np.stack([padded[y:y + shape[0], x:x + shape[1]] for y in range(3) for x in range(3)]))
    assert np.array_equal(Around(cells).join(join), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.95, 1.0])
def test_the_densest_window_is_the_first_of_those_with_most_cells(shape: tuple[int, int], share: float) -> None:
    """Also at the border, and where the picture is smaller than the window."""
    cells = (np.random.default_rng(2).random(shape) < share).astype(np.uint8)
    tall, wide = (min(most, size) for most, size in zip(WINDOW_CELLS, shape, strict=True))
    counts = np.lib.stride_tricks.sliding_window_view(cells, (tall, wide)).sum(axis=(2, 3))
    top, left = np.unravel_index(counts.argmax(), counts.shape)
    assert Window(cells).densest() == (counts.max(), (slice(top, top + tall), slice(left, left + wide)))


def window(left: int) -> tuple[slice, slice]:
    """One of the usual size."""
    return slice(20, 29), slice(left, left + 5)


def test_only_windows_at_the_two_sides_are_opposite() -> None:
    """Whoever fills most of the view is still one."""
    assert opposite(window(2), window(75), 80)
    assert opposite(window(70), window(0), 80)
    assert not opposite(window(2), window(60), 80)


@pytest.mark.parametrize("left", [3, 72])
def test_one_body_that_reaches_from_side_to_side_has_something_beside_its_window(left: int) -> None:
    """Cells between the two windows say so; its own breadth does not."""
    changed = np.zeros((60, 80), np.bool_)
    changed[15:40, max(0, left - 6) : left + 11] = True
    assert nothing_beside(window(left), changed)
    changed[30, 30:50] = True
    assert not nothing_beside(window(left), changed)


@pytest.mark.parametrize(("left", "near"), [(0, True), (3, True), (4, False), (71, False), (72, True), (75, True)])
def test_a_window_is_at_a_side_or_not(left: int, near: bool) -> None:
    """The upper and the lower edge are none."""
    assert at_side(window(left), 80) is near
