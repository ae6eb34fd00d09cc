"""The two sums over cells that are made of few calls: the same as cell by cell, in every shape."""

from __future__ import annotations

import numpy as np
import pytest

from device.see.detector_body import WINDOW_CELLS, Around, Window

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
