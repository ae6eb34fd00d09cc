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
    tall, wide = min(WINDOW_CELLS[0], cells.shape[0]), min(WINDOW_CELLS[1], cells.shape[1])
    by_row = _sums(cells, tall)
    # All rows as one: what runs over a row's end is not looked at.
    counts = np.empty_like(by_row)
    counts.reshape(-1)[: counts.size - wide + 1] = _sums(by_row.reshape(-1), wide)
    counts = counts[:, : cells.shape[1] - wide + 1]
    top, left = divmod(int(counts.argmax()), counts.shape[1])
    return int(counts[top, left]), (slice(top, top + tall), slice(left, left + wide))


def _sums(a: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Sums of `count` neighbours along the first axis, from sums of 1, 2, 4 and so on: few calls, of bytes."""
    power, size, total, summed = a, 1, a[:0], 0
    while True:
        if count & size:
            rest = a.shape[0] - count + 1
            total = power[summed : summed + rest] + total[:rest] if summed else power
            summed += size
        if summed == count:
            return total[: a.shape[0] - count + 1]
        power = power[size:] + power[:-size]
        size *= 2


class Trace:
    """How long each changed cell can be traced back through changed neighbours, in 1/100 s."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._age = np.zeros(shape, np.uint8)
        self._tall, self._wide = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        self._most = np.full(shape, TRACE_MOST_CS, np.uint8)  # numpy takes three times as long for a number
        self._first = np.full(shape, CALM_FIRST_CS, np.uint8)
        self._count = 0  # of the cells that had changed in the last frame
        self.box: Box = (slice(0), slice(0))  # of the body that `follow` found

    def clear(self) -> int:
        """Forget what was traced; the size of no body, 0."""
        if self._count:
            self._age[:] = 0
            self._count = 0
        return 0

    def follow(self, changed: Mask, count: int, dt_s: float, least_cs: int) -> int:
        """Trace the changed cells, `count` of them, on by one frame; the largest body's cells in its densest window.

        A body is what has been traced for `least_cs` or longer, with the changed cells beside it.
        """
        age, new = self._age, changed.view(np.uint8)
        older = around(age, np.maximum, self._tall, self._wide)
        np.minimum(older, self._most, out=older)
        older += np.uint8(min(STEP_MOST_CS, round(dt_s * 100)))
        if self._count < CALM_CELLS:
            np.maximum(older, self._first, out=older)
        self._count = count
        np.multiply(older, new, out=age)
        known = np.greater_equal(age, least_cs)
        if not known.any():
            return 0
        body = around(known.view(np.uint8), np.maximum, self._tall, self._wide)
        body &= new
        size, self.box = densest(body)
        return size
