"""How much of what looks like a body counts: less of what insects, lamps and flags do, more of who comes in.

Rule 1: every weight is a slope and never a step, so that no pixel of a face or a coat decides when its wearer is told.
Rule 2: nothing here is computed but for a window that holds a body, and twice a second.

An insect in the infrared lamp is a few cells that glare, and the mean over 3 x 3 makes it three times as large. Light
that a block does not hold has the place's own edges, and is somewhere else too. A flag moves where it has moved before.
Who comes in over the picture's edge is seen in part at first.
"""

from __future__ import annotations

import numpy as np

from device.see.detector_body import Box, Mask
from device.see.detector_cells import Cells
from device.see.detector_light import likeness
from device.see.detector_place import NEAR_CELLS, Place

# As in `detector_place`; "three seeds" are 174 drawn visitors, told with four false alarms as it is.
# Half of the insects that seemed a body had 2 to 8 cells in their core, nine in ten visitors 7 or more.
CORE_SHARE, CORE_SLOPE = 0.25, 0.1
GLARE_LEVELS = 65.0  # insects have 65 to 190; a visitor far off, who is small too, 30 to 50. 0: two of them are missed
# Of the levels beyond GLARE_LEVELS, until it is CORE_SHARE of all: no pixel of a coat or a face changes by a step how
# much of its wearer counts.
GLARE_SHARE = 0.5
BODY_OF_CORE = 1.5  # times what glares in it is a body at most. 2: three false alarms more; 1.3: real visitors missed
# An insect that crawls before the infrared lamp is a white disc of up to 25 cells, with a rim that the picture's own
# sharpness draws; of people little is white. Without: two false alarms more in three seeds, five in another.
WHITE_LEVELS, WHITE_SLOPE_LEVELS, WHITE_CELLS = 230.0, 20.0, 2
# Clouds' and headlights' edges have a median of 0.97 to 0.99, 95 % of visitors' less than 0.9. 0.95: two visitors far
# off are missed of 232; without: 20 false alarms instead of 12.
LIKE_LIGHT, UNLIKE_LIGHT = 0.99, 0.95
# Cells that are lit anew where nothing has changed, for each that has: headlights 2 to 20, nine in ten visitors 1.3 and
# less. Without: 48 false alarms more in three seeds, all of headlights.
LIT_ALL, LIT_NONE = 4.0, 2.0
LIT_SHARE = 0.4 / NEAR_CELLS  # of what a change has to exceed
LIT_FAR_CELLS = 6  # a body's own light reaches a block and a half
LIT_USUAL, LIT_USUAL_S = 1.5, 10.0  # mains flicker and a shaking mount light the place always
# What changes again and again takes OFTEN_CELLS off a body, the whole of them from OFTEN_SHARE of the time on: where a
# flag waves, snow falls and insects fly it is 0.005 to 0.02, nine in ten visitors have less than 0.003.
OFTEN_CELLS, OFTEN_SHARE, OFTEN_S = 7.5, 0.01, 30.0
OFTEN_MOVING_SHARE = 0.1  # while an episode is on. 0.05: a flag that makes an alert of each gust is never learnt
OFTEN_RATE_MOST = 0.1  # at first the plain mean of what was seen
# Half of the real visitors were told at the edge, one in seven of the false alarms: there a body of so many cells to
# so many counts up to so many times. Sides, and the upper and lower edge. Without: real visitors are told 0.1 s
# later, with four false alarms less and three visitors more for 638.
SIDE_TIMES, SIDE_CELLS, SIDE_ALL_CELLS = 1.8, 14.0, 20.0
END_TIMES, END_CELLS, END_ALL_CELLS = 2.0, 6.0, 16.0
EDGE_CELLS = 2.0  # reach it. 3: 0.04 s later; 5: 0.07 s; flat otherwise
LOOK_S, LOOKS_LATE = 0.5, 2  # so that who is coming just now is not held against themselves


def core(cells: Cells, difference: Cells) -> float:
    """How many cells of a window differ by up to a quarter of the most there, as far as that glares, and are not white.

    cells, difference: float32 (rows, columns) in levels, as they are and what they differ from the place by.
    """
    size = np.abs(difference)
    most = float(np.maximum.reduce(size, axis=None))
    least = min(CORE_SHARE * most, max(0.0, most - GLARE_LEVELS) * GLARE_SHARE)
    if least <= 0:
        return float(size.size)
    counts = _share((size - np.float32(least)) / np.float32(least * CORE_SLOPE) + np.float32(0.5))
    if np.maximum.reduce(cells, axis=None) <= WHITE_LEVELS:
        return float(np.add.reduce(counts, axis=None))
    beyond: Cells = np.minimum(cells - WHITE_LEVELS, size - GLARE_LEVELS)
    white = np.pad(_share(beyond / np.float32(WHITE_SLOPE_LEVELS)), WHITE_CELLS)
    for _ in range(WHITE_CELLS):
        white = np.maximum(np.maximum(white[:-2], white[1:-1]), white[2:])
        white = np.maximum(np.maximum(white[:, :-2], white[:, 1:-1]), white[:, 2:])
    return float(((1 - white) * counts).sum())


def _share(values: Cells) -> Cells:
    """Cut off at 0 and 1; a quarter of what np.clip costs for so few."""
    return np.minimum(np.maximum(values, 0.0, out=values), 1.0, out=values)


class Doubt:
    """What there is to hold against a body, on a grid of that shape (rows, columns)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._often: Cells = np.zeros(shape, np.float32)
        self._scratch: Cells = np.empty(shape, np.float32)
        self._lit: Mask = np.empty(shape, np.bool_)
        self._late = np.empty((LOOKS_LATE + 1, *shape), np.bool_)  # what had changed in the last looks, in turn
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self._often.fill(0.0)
        self._looks, self._look_s, self._lit_usual = 0, 0.0, 0.0

    def weigh(self, place: Place, cells: Cells, changed: Mask, count: int, box: Box, body_cells: float,
              least_cells: float) -> float:
        """How many cells of a body in a window count, 0 if fewer than `least_cells`; after `Place.changed`."""
        if body_cells < least_cells:
            return 0.0
        body = min(float(body_cells), BODY_OF_CORE * core(cells[box], place.difference[box]))
        there = changed[box]
        often = float(np.vdot(self._often[box], there)) / max(1, int(np.count_nonzero(there)))
        body -= OFTEN_CELLS * min(1.0, often / OFTEN_SHARE)
        if body < least_cells:
            return 0.0
        lit = max(0.0, self._lit_cells(place, changed, box) - LIT_USUAL * self._lit_usual) / count
        body *= _slope(lit, LIT_ALL, LIT_NONE)
        if body < least_cells:
            return 0.0
        rows, columns = box
        rim = slice(max(0, rows.start - 1), rows.stop + 1), slice(max(0, columns.start - 1), columns.stop + 1)
        body *= _slope(likeness(place.cells[rim], cells[rim], changed[rim]), LIKE_LIGHT, UNLIKE_LIGHT)
        return body if body >= least_cells else 0.0

    def learn(self, place: Place, changed: Mask, dt_s: float, moving: bool) -> None:
        """Learn what the place does by itself; once a frame, after `Place.changed`, before it learns."""
        self._look_s += dt_s
        if self._look_s < LOOK_S:
            return
        self._looks += 1
        rate = max(self._look_s / LIT_USUAL_S, min(1.0, 1 / self._looks))
        self._lit_usual += (self._lit_cells(place, changed, None) - self._lit_usual) * rate
        np.copyto(self._late[self._looks % len(self._late)], changed)
        if self._looks > LOOKS_LATE:
            late = self._late[(self._looks - LOOKS_LATE) % len(self._late)]
            new = np.subtract(late, self._often, out=self._scratch)
            new *= max(self._look_s / OFTEN_S, min(OFTEN_RATE_MOST, 1 / (self._looks + 1)))
            if moving:
                new *= OFTEN_MOVING_SHARE
            self._often += new
        self._look_s = 0.0

    def _lit_cells(self, place: Place, changed: Mask, box: Box | None) -> int:
        """How many cells are lit anew where nothing has changed, far from a box."""
        lit = np.greater(place.correction, np.multiply(place.limit, LIT_SHARE, out=self._scratch), out=self._lit)
        np.greater(lit, changed, out=lit)  # lit and not changed
        count = int(np.count_nonzero(lit))
        if box is None or count == 0:
            return count
        rows, columns = box
        near = lit[max(0, rows.start - LIT_FAR_CELLS) : rows.stop + LIT_FAR_CELLS,
                   max(0, columns.start - LIT_FAR_CELLS) : columns.stop + LIT_FAR_CELLS]
        return count - int(np.count_nonzero(near))


def entering(changed: Mask, box: Box, body_cells: float) -> float:
    """How many times over a body in a window counts for reaching the picture's edge: 1 to END_TIMES."""
    (rows, columns), (tall, wide) = box, changed.shape
    side, end = (
        max(reached * int(np.count_nonzero(line)) for reached, line in lines)
        for lines in (
            ((columns.start == 0, changed[rows, 0]), (columns.stop == wide, changed[rows, -1])),
            ((rows.start == 0, changed[0, columns]), (rows.stop == tall, changed[-1, columns])),
        )
    )
    return 1 + max(
        (SIDE_TIMES - 1) * _slope(side, 0.0, EDGE_CELLS) * _slope(body_cells, SIDE_CELLS, SIDE_ALL_CELLS),
        (END_TIMES - 1) * _slope(end, 0.0, EDGE_CELLS) * _slope(body_cells, END_CELLS, END_ALL_CELLS),
    )


def _slope(value: float, none_at: float, all_at: float) -> float:
    """0 at the one and before, 1 at the other and beyond."""
    return min(1.0, max(0.0, (value - none_at) / (all_at - none_at)))
