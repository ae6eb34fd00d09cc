"""Whether the camera can see at all: covered, sprayed, out of focus, dark by day, or turned away.

Rule 1: four seconds in a row are needed to say so, and to take it back; a person close up is neither.
Rule 2: night is not a fault: a picture that grew dark or dim slowly is the new normal.
Rule 3: looked at twice a second, on the cells alone.

The measure is structure: the mean difference of neighbouring cells, less the noise, which a cover or a smear takes
away and night does slowly; and whether the edges are where they were (normalised correlation of the gradients with
their average over the last minutes: the "scene change" of CCTV tamper detection, Ribnick et al. 2006).
"""

from __future__ import annotations

import enum
import math

import numpy as np

from device.messages import SeeToTell
from device.see.detector_cells import Cells

LOOK_EVERY_S = 0.5  # 2 looks a second: 8 agree within 4 s
SAID_AFTER_S = 4.0  # a visitor who passes close up covers the view for 3 s at most; the promise is 10 s
USUAL_S = 60.0  # dusk takes 20 minutes from full to no structure: followed; a hand takes 0.2 s: not
SETTLE_S = 5.0  # the camera's own exposure settles within 2 s
BLANK_SHARE = 0.25  # rendered: covered or sprayed leaves under 0.1 of the structure, fog and rain 0.4 and more
MOVED_LIKENESS = 0.3  # rendered: 0.7 and more with half of the view filled, 0.1 and less after a turn
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
    """Judges the view of one camera from its cells, float32 (rows, columns), at rising times."""

    def __init__(self) -> None:
        self.view = View.CLEAR
        self.structure_levels = 0.0  # of the last look
        self.likeness = 1.0  # of the last look's edges with the usual ones, -1 to 1
        self._usual: Cells | None = None
        self._usual_levels = 0.0
        self._began_s = self._next_s = self._agreed_s = -math.inf
        self._last = Sight.UNSURE

    def look(self, cells: Cells, noise_levels: float, t_s: float) -> tuple[SeeToTell, ...]:
        """Judge the view now and then; say when it becomes blocked or clear. `noise_levels`: of a cell's mean."""
        if t_s < self._next_s:
            return ()
        self._next_s = t_s + LOOK_EVERY_S
        edges = np.stack((cells[1:, 1:] - cells[1:, :-1], cells[1:, 1:] - cells[:-1, 1:]))
        self.structure_levels = max(0.0, float(np.abs(edges).mean()) - noise_levels)
        np.clip(edges, -30.0, 30.0, out=edges)  # a door's frame may not outweigh everything else
        if self._usual is None or self._usual.shape != edges.shape:
            self._usual, self._usual_levels, self._began_s = edges, self.structure_levels, t_s
            return ()
        power = float(np.vdot(edges, edges)) * float(np.vdot(self._usual, self._usual))
        self.likeness = float(np.vdot(edges, self._usual)) / math.sqrt(power) if power > 0 else 0.0
        sight = self._judge()
        if sight is Sight.USUAL:  # what is faulty is not learnt, or a cover would become the usual view
            share = max(LOOK_EVERY_S / USUAL_S, min(1.0, LOOK_EVERY_S / max(LOOK_EVERY_S, t_s - self._began_s)))
            self._usual += (edges - self._usual) * np.float32(share)
            self._usual_levels += (self.structure_levels - self._usual_levels) * share
        if sight is not self._last:
            self._last, self._agreed_s = sight, t_s
        if t_s - self._began_s < SETTLE_S or t_s - self._agreed_s < SAID_AFTER_S:
            sight = Sight.UNSURE
        self.view, told = NEXT[self.view][sight]
        return told

    def _judge(self) -> Sight:
        if self._usual_levels < LEAST_STRUCTURE_LEVELS:
            return Sight.USUAL
        blank = self.structure_levels < BLANK_SHARE * self._usual_levels
        return Sight.FAULTY if blank or self.likeness < MOVED_LIKENESS else Sight.USUAL
