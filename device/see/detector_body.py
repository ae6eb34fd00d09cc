"""From changed cells to bodies: what is dense, where it can be traced back through the last frames, and whose it is.

Rule 1: a body overlaps itself a moment ago; a streak of rain or an insect does not. Nor is it at both sides at once.
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
AT_SIDE_CELLS = 3  # the first of several windows is so far from the edge. 2: flat; 0: three visitors of 812 are missed
# Of the picture's width, so that hardly anybody who fills the view reaches it. 0.6: a visitor more, but of 500 pairs of
# coats four more are told otherwise.
OPPOSITE_SHARE = 0.8
BODY_CELLS, NOTHING_CELLS = 8, 3  # 12 and 6: flat


class Around:
    """Joins each cell of one array with its neighbours; those of the border have fewer.

    of: contiguous, (rows, columns), never another array: a third of the time went into making views of it.
    """

    def __init__(self, of: npt.NDArray[Any]) -> None:
        tall, self._joined = np.empty_like(of), np.empty_like(of)
        # All rows as one, which costs half: only the first and the last column are not what they seem then.
        run, into = tall.reshape(-1), self._joined.reshape(-1)
        self._rows = (of[1:], of[:-1], tall[1:]), (tall[:-1], of[1:], tall[:-1])
        self._columns = (run[1:], run[:-1], into[1:]), (into[:-1], run[1:], into[:-1])
        self._top, self._first = (tall[0], of[0]), (self._joined[:, 0], tall[:, 0])
        self._last, self._kept = self._joined[:, -1], np.empty_like(of[:, -1])

    def join(self, by: np.ufunc) -> npt.NDArray[Any]:
        """Of the array as it is now, by `np.add` or `np.maximum`; the result is valid until the next call."""
        (above, below, out), (above_too, below_too, out_too) = self._rows
        by(above, below, out=out)
        np.copyto(*self._top)
        by(above_too, below_too, out=out_too)
        (left, right, out), (left_too, right_too, out_too) = self._columns
        by(left, right, out=out)
        np.copyto(*self._first)
        np.copyto(self._kept, self._last)
        by(left_too, right_too, out=out_too)
        np.copyto(self._last, self._kept)
        return self._joined


class Window:
    """Finds where most cells are, in one array of 0 or 1: uint8, contiguous, (rows, columns)."""

    def __init__(self, cells: npt.NDArray[np.uint8]) -> None:
        rows, self._columns = cells.shape
        self._size = tall, wide = min(WINDOW_CELLS[0], rows), min(WINDOW_CELLS[1], self._columns)
        # All rows as one, which costs half: what runs over a row's end is not looked at.
        by_row, self._adds = _sums(cells.reshape(-1), tall, self._columns)
        summed, by_column = _sums(by_row, wide, 1)
        self._adds += by_column
        self._counts = np.zeros((rows - tall + 1) * self._columns, np.uint8)
        self._summed = self._counts[: summed.size], summed
        self._beyond = self._counts.reshape(-1, self._columns)[:, self._columns - wide + 1 :]

    def densest(self) -> tuple[int, Box]:
        """The most cells in any window of WINDOW_CELLS; and that window, the first of several."""
        for one, other, out in self._adds:
            np.add(one, other, out=out)
        np.copyto(*self._summed)
        self._beyond.fill(0)
        at = int(self._counts.argmax())
        (top, left), (tall, wide) = divmod(at, self._columns), self._size
        return int(self._counts[at]), (slice(top, top + tall), slice(left, left + wide))


Run = npt.NDArray[np.uint8]  # one row


def _sums(run: Run, count: int, apart: int) -> tuple[Run, list[tuple[Run, Run, Run]]]:
    """Where sums of `count` values, so far apart, will be, and the additions that make them: of 1, 2, 4 and so on."""
    power, size, total, summed, adds = run, 1, run[:0], 0, []
    while True:
        if count & size:
            rest = run.size - (count - 1) * apart
            if summed:
                adds.append((power[summed * apart :][:rest], total[:rest], np.empty(rest, np.uint8)))
            total = adds[-1][2] if summed else power
            summed += size
        if summed == count:
            return total[: run.size - (count - 1) * apart], adds
        adds.append((power[size * apart :], power[: -size * apart], np.empty(power.size - size * apart, np.uint8)))
        power = adds[-1][2]
        size *= 2


class Trace:
    """How long each changed cell can be traced back through changed neighbours, in 1/100 s."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._age = np.zeros(shape, np.uint8)
        self._known, self._body = np.empty(shape, np.bool_), np.empty(shape, np.uint8)
        self._older, self._beside = Around(self._age), Around(self._known.view(np.uint8))
        self._window = Window(self._body)
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
        older = self._older.join(np.maximum)
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
        if not np.count_nonzero(np.greater_equal(self._age, least_cs, out=self._known)):  # half of what any() costs
            return 0
        body = np.bitwise_and(self._beside.join(np.maximum), changed.view(np.uint8), out=self._body)
        if np.count_nonzero(body) < least_cells:
            return 0
        size, self.box = self._window.densest()
        return size


def at_side(window: Box, columns: int) -> bool:
    """Whether a body there reaches, or nearly, the left or the right edge."""
    return int(window[1].start) <= AT_SIDE_CELLS or int(window[1].stop) >= columns - AT_SIDE_CELLS


def opposite(one: Box, other: Box, columns: int) -> bool:
    """Whether two windows are at the two sides of the picture."""
    return abs(int(one[1].start) - int(other[1].start)) >= OPPOSITE_SHARE * columns


def nothing_beside(window: Box, changed: Mask) -> bool:
    """Whether hardly anything has changed between a body at one side and the other side."""
    columns = window[1]
    left, right = changed[:, : max(0, columns.start - BODY_CELLS)], changed[:, columns.stop + BODY_CELLS :]
    return int(np.count_nonzero(right if columns.start < changed.shape[1] // 2 else left)) <= NOTHING_CELLS
