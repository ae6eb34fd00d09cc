"""Whether the camera can see at all: covered, sprayed, out of focus, dark by day, or turned away.

Rule 1: four seconds in a row are needed to say so, and to take it back; a person close up is neither.
Rule 2: night is not a fault: a picture that grew dark or dim slowly is the new normal.
Rule 3: looked at once a second, on the cells alone.

The measure is structure: the mean second difference of neighbouring cells of the remembered place (so noise is
averaged out, and soft shading does not count), which a cover or a smear takes away at once and night slowly; and
whether the edges are where they were (normalised correlation of the gradients with their average over the last
minutes: the "scene change" of CCTV tamper detection, Ribnick et al. 2006).
"""

from __future__ import annotations

import enum
import math

import numpy as np

from device.messages import SeeToTell
from device.see.detector_cells import Cells

LOOK_EVERY_S = 1.0  # four looks agree before anything is said
SAID_AFTER_S = 4.0  # a visitor who passes close up covers the view for 3 s at most; the promise is 10 s
USUAL_S = 60.0  # dusk takes 20 minutes from full to no structure: followed; a hand takes 0.2 s: not
SETTLE_S = 5.0  # the camera's own exposure settles within 2 s
BLANK_SHARE = 0.25  # rendered: a cap, spray or blur leave 0.02 to 0.11 of the structure, all weather 0.43 and more
MOVED_LIKENESS = 0.22  # rendered: 0.35 and more with half of the view filled for long, 0.11 and less after a turn
RESIGN_S = 900.0  # a camera that was turned on purpose, and has structure to see, is believed after a while
DARK_LEVELS, DAY_LEVELS = 20.0, 60.0  # a lamp that goes off at night leaves the dark, no fault; by day it is one
LEAST_STRUCTURE_LEVELS = 1.0  # below this there is nothing to lose: a blank wall, or a night without a lamp


class View(enum.Enum):
    """What is known of the view."""

    CLEAR = "as usual"
    BLOCKED = "covered, blurred, dark or turned"


class Sight(enum.Enum):
    """What one look says, after it has said so long enough."""

    UNSURE = "not long enough yet"
    USUAL = "the usual structure"
    FAULTY = "little structure, or elsewhere"


_BLOCKED, _CLEAR = SeeToTell.VIEW_BLOCKED, SeeToTell.VIEW_CLEAR
NEXT: dict[View, dict[Sight, tuple[View, tuple[SeeToTell, ...]]]] = {
    View.CLEAR: {
        Sight.UNSURE: (View.CLEAR, ()),
        Sight.USUAL: (View.CLEAR, ()),
        Sight.FAULTY: (View.BLOCKED, (_BLOCKED,)),
    },
    View.BLOCKED: {
        Sight.UNSURE: (View.BLOCKED, ()),
        Sight.USUAL: (View.CLEAR, (_CLEAR,)),
        Sight.FAULTY: (View.BLOCKED, ()),
    },
}


class Health:
    """Judges the view of one camera from its remembered place: cells, float32 (rows, columns), at rising times."""

    def __init__(self) -> None:
        self.view = View.CLEAR
        self.structure_levels = 0.0  # of the last look
        self.likeness = 1.0  # of the last look's edges with the usual ones, -1 to 1
        self._usual: Cells | None = None  # edges, as `_edges_of` gives them
        self._edges = self._second = np.empty((0, 0), np.float32)
        self._usual_levels = self._usual_mean = 0.0
        self._began_s = self._next_s = self._agreed_s = -math.inf
        self._last = Sight.UNSURE

    def look(self, cells: Cells, t_s: float) -> tuple[SeeToTell, ...]:
        """Judge the view once a second; say when it becomes blocked or clear, mostly nothing."""
        if t_s < self._next_s:
            return ()
        self._next_s = t_s + LOOK_EVERY_S
        edges = self._edges_of(cells)
        mean_levels = float(np.add.reduce(cells.reshape(-1))) / cells.size
        if self._usual is None:
            self._usual, self._usual_levels, self._began_s = edges.copy(), self.structure_levels, t_s
            self._usual_mean = mean_levels
            return ()
        power = float(np.vdot(edges, edges)) * float(np.vdot(self._usual, self._usual))
        self.likeness = float(np.vdot(edges, self._usual)) / math.sqrt(power) if power > 0 else 0.0
        blank = self.structure_levels < BLANK_SHARE * self._usual_levels
        sight = self._judge(blank, mean_levels)
        if not blank:  # a blank view is never learnt, or a cover would become the usual one
            usual_s = RESIGN_S if sight is Sight.FAULTY else min(USUAL_S, max(LOOK_EVERY_S, t_s - self._began_s))
            share = LOOK_EVERY_S / usual_s
            self._usual_mean += (mean_levels - self._usual_mean) * share
            edges -= self._usual
            edges *= share
            self._usual += edges
            self._usual_levels += (self.structure_levels - self._usual_levels) * share
        if sight is not self._last:
            self._last, self._agreed_s = sight, t_s
        if t_s - self._began_s < SETTLE_S or t_s - self._agreed_s < SAID_AFTER_S:
            sight = Sight.UNSURE
        self.view, told = NEXT[self.view][sight]
        return told

    def _edges_of(self, cells: Cells) -> Cells:
        """Differences to the cell on the left (0) and above (1), from the second row on; measures their structure too.

        All rows are one, for each of sixty short ones costs; what is no neighbour then is 0.
        """
        rows, columns = cells.shape
        each = (rows - 1) * columns - 1
        if self._edges.shape != (2, each):
            self._edges, self._second = np.empty((2, each), np.float32), np.empty(each - 1, np.float32)
            self._usual = None
        edges, second, run = self._edges, self._second, cells.reshape(-1)
        np.subtract(run[columns + 1 :], run[columns:-1], out=edges[0])
        np.subtract(run[columns + 1 :], run[1:-columns], out=edges[1])
        edges[:, columns - 1 :: columns] = 0.0
        np.abs(np.subtract(edges[0, 1:], edges[0, :-1], out=second), out=second)
        second[columns - 2 :: columns] = second[columns - 1 :: columns] = 0.0
        self.structure_levels = float(np.add.reduce(second)) / ((rows - 1) * (columns - 2))
        return np.clip(edges, -30.0, 30.0, out=edges)  # a door's frame may not outweigh everything else

    def _judge(self, blank: bool, mean_levels: float) -> Sight:
        if self._usual_levels < LEAST_STRUCTURE_LEVELS:
            return Sight.USUAL
        if blank:
            night = mean_levels < DARK_LEVELS and self._usual_mean < DAY_LEVELS
            return Sight.USUAL if night else Sight.FAULTY
        return Sight.FAULTY if self.likeness < MOVED_LIKENESS else Sight.USUAL
