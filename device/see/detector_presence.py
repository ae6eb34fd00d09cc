"""Whether somebody who has stopped is still there: the end of an episode waits for them.

Rule 1: who is there hides the place as it was, and is never as still as a bag or a car.
Rule 2: a look a second, and only while an episode is on and nothing moves.
"""

from __future__ import annotations

import math

import numpy as np

from device.see.detector_body import Box, Mask
from device.see.detector_cells import Cells
from device.see.detector_place import Place

# Measured with 20 drawn visitors who stand for a minute, in five lights.
LOOK_S = 1.0
REACH_CELLS = 6  # about the last body's window: who stops turns and leans
LEAST_CELLS = 3  # of them differ from the place as it was; flat from 2 to 6
# Mean change of those cells since they were last lively, as a multiple of the typical cell's elsewhere: people by day
# have 2 to 60, in the noise of a night 1.1 to 4; parked cars and bags 0.6 to 1.3. 2: twelve of the 20 are told twice.
LIVELY = 1.3
NOISE_LEAST_LEVELS = 0.05  # a codec's picture may not change at all
STILL_S = 2.2  # two looks. 3.5: two real visitors who come to one desk after one another are one
STAYS_MOST_S = 120.0  # whatever it is, the next visitor must be told


class Presence:
    """Somebody's presence on a grid of that shape (rows, columns)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._before: Cells = np.zeros(shape, np.float32)
        self._last: Cells = np.zeros(shape, np.float32)
        self._change: Cells = np.empty(shape, np.float32)
        self._ranked = np.empty(shape[0] * shape[1], np.float32)
        self._near: Box = (slice(0), slice(0))
        self._moved_s = self._lively_s = self._look_s = -math.inf
        self._looks, self._here = 0, False

    def remember(self, place: Cells) -> None:
        """Nobody is there: this is the place as it was."""
        self._before[:] = place

    def moved(self, box: Box, t_s: float) -> None:
        """A body has moved in that window."""
        self._near = _around(box)
        self._moved_s = self._lively_s = self._look_s = t_s
        self._looks, self._here = 0, True

    def stays(self, place: Place, cells: Cells, t_s: float) -> bool:
        """Whether somebody is still there; asked once a frame while nothing moves, after the place has learnt."""
        if t_s - self._look_s >= LOOK_S:
            self._look_s = t_s
            self._look(place, cells, t_s)
        return self._here and t_s - self._lively_s <= STILL_S and t_s - self._moved_s <= STAYS_MOST_S

    def _look(self, place: Place, cells: Cells, t_s: float) -> None:
        apart = place.apart(self._before, cells)
        there = apart[self._near]
        self._here = int(np.count_nonzero(there)) >= LEAST_CELLS and not apart.all()
        if not self._looks:
            self._last[:] = place.lately
        elif self._here:
            change = np.subtract(place.lately, self._last, out=self._change)
            np.abs(change, out=change)
            elsewhere = self._typical(change, apart)
            if float(change[self._near][there].mean()) > LIVELY * (elsewhere + NOISE_LEAST_LEVELS):
                self._lively_s = t_s
                self._last[:] = place.lately
        self._looks += 1

    def _typical(self, change: Cells, apart: Mask) -> float:
        """Median of a change where nothing is apart, in a buffer that is there already."""
        ranked = self._ranked
        np.copyto(ranked, change.reshape(-1))
        np.putmask(ranked, apart.reshape(-1), -1.0)
        aside = int(np.count_nonzero(apart))
        middle = aside + (ranked.size - aside) // 2
        ranked.partition(middle)
        return float(ranked[middle])


def _around(box: Box) -> Box:
    rows, columns = box
    return (slice(max(0, rows.start - REACH_CELLS), rows.stop + REACH_CELLS),
            slice(max(0, columns.start - REACH_CELLS), columns.stop + REACH_CELLS))
