"""From changed cells to bodies: what is dense, and where it can be traced back through the last frames.

Rule 1: a body overlaps itself a moment ago; a streak of rain or an insect does not.
Rule 2: nothing loops over cells; the cost of an empty scene is one count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]  # shape (rows, columns)
Box = tuple[slice, slice]  # rows, columns
# The window in which cells are counted: a standing person at 3 to 6 m is 5 x 9 cells or more; smaller ones fit in.
WINDOW_CELLS = (9, 5)
# Frames at 15/s count 7 hundredths, at 10/s and slower 10: never are two frames enough for three.
STEP_MOST_CS, TRACE_MOST_CS = 10, 200
# What appears while hardly anything else changes is given the benefit of a frame: 0.1 s sooner, and streaks of rain are
# many more cells. 0: told 0.1 s later and a false alarm less in three seeds; 80: flat.
CALM_FIRST_CS, CALM_CELLS = np.uint8(20), 40


def around(a: npt.NDArray[Any], join: np.ufunc, tall: npt.NDArray[Any], out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`join` each cell with its neighbours into `out`; the border has fewer. `tall` is scratch; both contiguous."""
    join(a[1:], a[:-1], out=tall[1:])
    tall[0] = a[0]
    join(tall[:-1], a[1:], out=tall[:-1])
    # All rows as one, which costs half: only the first and the last column are not what they seem then.
    run, into = tall.reshape(-1), out.reshape(-1)
    join(run[1:], run[:-1], out=into[1:])
    out[:, 0] = tall[:, 0]
    last = out[:, -1].copy()
    join(into[:-1], run[1:], out=into[:-1])
    out[:, -1] = last
    return out


def densest(cells: npt.NDArray[np.uint8]) -> tuple[int, Box]:
    """The most cells (0 or 1) in any window of WINDOW_CELLS; and that window, the first of several."""
    rows, columns = cells.shape
    tall, wide = min(WINDOW_CELLS[0], rows), min(WINDOW_CELLS[1], columns)
    # All rows as one, which costs half: what runs over a row's end is not looked at.
    counts = np.zeros((rows - tall + 1, columns), np.uint8)
    by_row = _sums(cells.reshape(-1), tall, columns)
    counts.reshape(-1)[: by_row.size - wide + 1] = _sums(by_row, wide, 1)
    counts[:, columns - wide + 1 :] = 0
    top, left = divmod(int(counts.argmax()), columns)
    return int(counts[top, left]), (slice(top, top + tall), slice(left, left + wide))


def _sums(run: npt.NDArray[np.uint8], count: int, apart: int) -> npt.NDArray[np.uint8]:
    """Sums of `count` values, so far apart, from sums of 1, 2, 4 and so on: few calls, of bytes."""
    power, size, total, summed = run, 1, run[:0], 0
    while True:
        if count & size:
            rest = run.size - (count - 1) * apart
            total = power[summed * apart :][:rest] + total[:rest] if summed else power
            summed += size
        if summed == count:
            return total[: run.size - (count - 1) * apart]
        power = power[size * apart :] + power[: -size * apart]
        size *= 2


class Trace:
    """How long each changed cell can be traced back through changed neighbours, in 1/100 s."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._age = np.zeros(shape, np.uint8)
        self._tall, self._wide = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        self._most = np.full(shape, TRACE_MOST_CS, np.uint8)  # numpy takes three times as long for a number
        self._first = np.full(shape, CALM_FIRST_CS, np.uint8)
        self._count = 0  # of the cells that had changed in the last frame
        self.box: Box = (slice(0), slice(0))  # of the body that was found last

    def clear(self) -> int:
        """Forget what was traced; the size of no body, 0."""
        if self._count:
            self._age[:] = 0
            self._count = 0
        return 0

    def follow(self, changed: Mask, count: int, dt_s: float) -> None:
        """Trace the changed cells, `count` of them, on by one frame."""
        age = self._age
        older = around(age, np.maximum, self._tall, self._wide)
        np.minimum(older, self._most, out=older)
        older += np.uint8(min(STEP_MOST_CS, round(dt_s * 100)))
        if self._count < CALM_CELLS:
            np.maximum(older, self._first, out=older)
        self._count = count
        np.multiply(older, changed.view(np.uint8), out=age)

    def body(self, changed: Mask, least_cs: int, least_cells: int) -> int:
        """The largest body's cells in its densest window, or 0 if there are less than `least_cells`; after `follow`.

        A body is what has been traced for `least_cs` or longer, with the changed cells beside it.
        """
        known = np.greater_equal(self._age, least_cs)
        if not np.count_nonzero(known):  # half of what any() costs
            return 0
        body = around(known.view(np.uint8), np.maximum, self._tall, self._wide)
        body &= changed.view(np.uint8)
        if np.count_nonzero(body) < least_cells:
            return 0
        size, self.box = densest(body)
        return size
