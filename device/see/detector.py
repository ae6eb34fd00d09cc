"""Motion at the door, told from light, noise and weather: frames in, the start and end of an episode out.

Rule 1: pure numpy; no clock, no I/O. Time is the frame's; nothing of a frame outlives the step but means of cells.
Rule 2: a body is what the light does not explain, larger than the noise, and traced through several frames.
Rule 3: whatever stands still becomes the place, within seconds.

The method, a frame at a time, each step a line of `Detector._look`:

1. Cells of 2 x 2 px (of 160 wide) are averaged: half the noise, a quarter of the work.
2. The *place*, a running average (Heikkila and Silven 1999), is lit as the frame is lit (`detector_light`).
3. The signed difference is averaged over 3 x 3 cells: noise falls to a third, leaves and drops that are bright
   on one side and dark on the other cancel, a coat does not.
4. A cell has changed if the difference exceeds SIGMAS times the cell's own noise (a running mean of the
   difference, fast up and slow down, as sigma-delta's variance: Manzanera and Richefeu 2007), plus a floor,
   plus a share of the light that was taken out there. Leaves so raise their own threshold.
5. Changed cells are traced back through overlapping changed cells (`detector_body`), and the densest
   window of traced cells is this frame's size of body.
6. Sizes are summed until there is enough (CUSUM, Page 1954): the larger, the sooner. What ends is held
   with less (hysteresis), and a table says what is told (`detector_episode`).

What has changed but is still, compared with the last 0.3 s, is absorbed soon: so a car that has left, or a bag
that was put down, leaves no ghost (Cucchiara 2003 calls it so).
"""

from __future__ import annotations

import enum
import math

import numpy as np

from device.messages import SeeToTell
from device.see.detector_body import Trace, around
from device.see.detector_cells import Cells, Grid
from device.see.detector_episode import NEXT, Notice, Stage
from device.see.detector_light import Light
from device.see.frame import Frame, Grey, Watched

# How much evidence is enough, in cells summed over frames at 10/s, by sensitivity 1 to 5.
EVIDENCE_CELLS = (90.0, 60.0, 40.0, 28.0, 20.0)
DRIFT_CELLS = 8.0
DRIFT_UNSTEADY_CELLS = 21.0
KEEP_CELLS = 6
TRACE_CS = 28
HOLD_S = 1.8
LEARN_S = 1.5
SIGMAS = 4.0
FLOOR_LEVELS = 1.5
LIGHT_SHARE = 0.15
LIGHT_SHARE_UNSTEADY = 0.5
SIGMA_OF_MEAN = 1.25  # a Gaussian's standard deviation is 1.25 of its mean deviation
NOISE_FIRST_LEVELS = 1.0
NOISE_UP_S, NOISE_DOWN_S, NOISE_MOST_LEVELS = 4.0, 8.0, 30.0
PLACE_S = 3.0
ABSORB_S = 0.6
LATELY_S = 0.3
STILL_SIGMAS, STILL_LEVELS = 2.0, 1.0
UNREST_SHARE, UNREST_USUAL, UNREST_USUAL_S, UNREST_MOST = 0.006, 1.5, 10.0, 0.1
UNSTEADY_S, UNSTEADY_MOST_S, UNSTEADY_REST_S = 0.3, 3.0, 1.0
JUMP_SHARE = 0.1
LIGHT_JUMP_LEVELS, LIGHT_EXPLAINS = 5.0, 4.0
CHANGED_MOST = 0.4
BLIND_S, BLIND_REST_S = 0.4, 1.0
STEP_MOST_S = 0.5
GAP_S = 2.0


class Reason(enum.Enum):
    """Why the last frame did, or did not, count as motion."""

    WARMING_UP = "the first seconds: the noise is not known yet"
    QUIET = "nothing differs from the place"
    TOO_SMALL = "something differs, too small or too brief for a body"
    GATHERING = "something may be a body: not enough evidence yet"
    LIGHT_UNSTEADY = "the light of the whole picture is changing: more evidence is asked for"
    LIGHT_JUMP = "the light of the whole picture jumped: looking again in a moment"
    BODY = "a body moves"
    HOLDING = "it has just stopped moving"


class Detector:
    """Tells when something moves in front of the camera.

    sensitivity: 1 (least) to 5. watched: bool (height, width), False where nothing may be looked at
    (zeroed before anything else); None: everything. ValueError for anything else.
    """

    def __init__(self, sensitivity: int = 3, watched: Watched | None = None) -> None:
        if sensitivity not in (1, 2, 3, 4, 5):
            raise ValueError(f"sensitivity is {sensitivity}: must be 1, 2, 3, 4 or 5")
        self._enough = EVIDENCE_CELLS[sensitivity - 1]
        self._watched = watched
        self._stage = Stage.LEARNING
        self._size_px: tuple[int, ...] = ()
        self._t_s = -math.inf
        self.changed_share = 0.0  # of the cells, 0 to 1
        self.body_cells = 0  # in the densest window, 0 to 45
        self.evidence = 0.0  # share of what is enough, 0 to 1
        self.unrest_share = 0.0  # by which three quarters of the picture changed at once
        self.reason = Reason.WARMING_UP

    @property
    def noise_levels(self) -> float:
        """Mean noise of a cell's difference, in levels; computed when asked for."""
        return float(self._noise.mean()) if self._size_px else 0.0

    def step(self, frame: Frame) -> tuple[SeeToTell, ...]:
        """Look at the next frame and say what has begun or ended, mostly nothing.

        frame: uint8 (height, width), 16 x 16 or more; its time finite and not before the last frame's.
        A frame of another size, or after a gap of 2 s, begins anew. ValueError for anything else.
        """
        luma, t_s = frame.luma, frame.t_s
        if luma.ndim != 2 or luma.dtype != np.uint8:
            raise ValueError(f"luma is {luma.dtype}{list(luma.shape)}: must be uint8[height, width]")
        if not math.isfinite(t_s):
            raise ValueError(f"t_s is {t_s}: must be a finite number of seconds")
        if not t_s >= self._t_s:
            raise ValueError(f"t_s went back from {self._t_s} to {t_s}: frames must come in order")
        if luma.shape != self._size_px or t_s - self._t_s > GAP_S:
            self._begin(luma, t_s)
            return self._tell(Notice.LOST)
        dt_s = min(t_s - self._t_s, STEP_MOST_S)
        self._t_s = t_s
        return self._tell(self._look(self._grid.cells(luma), dt_s))

    def _tell(self, notice: Notice) -> tuple[SeeToTell, ...]:
        self._stage, told = NEXT[self._stage][notice]
        return told

    def _begin(self, luma: Grey, t_s: float) -> None:
        """Make the buffers for this size of frame, and take the frame for the place."""
        if luma.shape != self._size_px:
            self._grid = Grid(luma.shape[0], luma.shape[1], self._watched)
            shape = self._grid.shape
            self._light, self._trace = Light(shape), Trace(shape)
            self._place, self._lately, self._noise = (np.empty(shape, np.float32) for _ in range(3))
            self._diff, self._size, self._limit, self._tall = (np.empty(shape, np.float32) for _ in range(4))
            self._changed, self._still = np.empty(shape, np.bool_), np.empty(shape, np.bool_)
            self._size_px = luma.shape
        cells = self._grid.cells(luma)
        self._place[:], self._lately[:], self._noise[:] = cells, cells, NOISE_FIRST_LEVELS
        self._trace.clear()
        self._t_s = self._began_s = t_s
        self._seen = 0
        self._usual_unrest = self.evidence = self.unrest_share = 0.0
        self._moved_s = self._jump_s = self._unsteady_s = self._restless_s = -math.inf
        self.reason, self.changed_share, self.body_cells = Reason.WARMING_UP, 0.0, 0

    def _look(self, cells: Cells, dt_s: float) -> Notice:
        self._seen += 1
        self.unrest_share = self._light.relight(self._place, cells)
        unsteady = self._is_unsteady(dt_s)
        np.subtract(cells, self._place, out=self._diff)
        light_share = LIGHT_SHARE_UNSTEADY if unsteady else LIGHT_SHARE
        changed = self._compare(light_share)
        count = int(np.count_nonzero(changed))
        self.changed_share = count / changed.size
        if self._is_blind(cells, light_share):
            return Notice.NOTHING
        self.body_cells = 0
        if count:
            self.body_cells = self._trace.follow(changed, dt_s, TRACE_CS)
        else:
            self._trace.clear()
        self._learn(cells, dt_s, count > 0, unsteady)
        return self._judge(dt_s, count, unsteady)

    def _is_unsteady(self, dt_s: float) -> bool:
        """Whether the light of the whole picture is changing, more than it always does here (mains flicker)."""
        unrest, t_s = self.unrest_share, self._t_s
        usual = self._usual_unrest
        self._usual_unrest += (min(unrest, UNREST_MOST) - usual) * dt_s / UNREST_USUAL_S
        if unrest > UNREST_SHARE + UNREST_USUAL * usual:
            if t_s - self._restless_s > UNSTEADY_REST_S:
                self._unsteady_s = t_s
            self._restless_s = t_s
        return t_s - self._restless_s < UNSTEADY_S and t_s - self._unsteady_s < UNSTEADY_MOST_S

    def _compare(self, light_share: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which cells differ from the place; leaves the size of the difference in `_size`."""
        size, limit = self._size, self._limit
        around(self._diff, np.add, self._tall, size)
        size *= 1 / 9
        np.abs(size, out=size)
        np.multiply(self._noise, SIGMAS, out=limit)
        limit += FLOOR_LEVELS
        correction = self._light.correction
        correction *= light_share
        limit += correction
        return np.greater(size, limit, out=self._changed)

    def _is_blind(self, cells: Cells, light_share: float) -> bool:
        """After a jump of light, for a moment, the place is whatever is seen; never twice within a second."""
        t_s = self._t_s
        jumped = self.unrest_share > JUMP_SHARE or self.changed_share > CHANGED_MOST
        if self.changed_share and not jumped:
            light_levels = float(self._light.correction.mean()) / light_share
            jumped = light_levels > max(LIGHT_JUMP_LEVELS, LIGHT_EXPLAINS * float(self._size.mean()))
        if jumped and t_s > self._jump_s + BLIND_REST_S:
            self._jump_s = t_s
        if not t_s < self._jump_s + BLIND_S:
            return False
        self._place[:] = cells
        self._lately[:] = cells
        self._trace.clear()
        self.reason = Reason.LIGHT_JUMP
        return True

    def _learn(self, cells: Cells, dt_s: float, any_changed: bool, unsteady: bool) -> None:
        """Let the place, the noise and the last moment follow the frame."""
        diff, size, noise, scratch = self._diff, self._size, self._noise, self._limit
        recent = np.subtract(cells, self._lately, out=self._tall)
        rate = min(1.0, max(dt_s / PLACE_S, 1 / (self._seen + 1)))
        noise_rate = max(dt_s / NOISE_DOWN_S, 0.5 / (self._seen + 1))
        size *= SIGMA_OF_MEAN
        np.minimum(size, NOISE_MOST_LEVELS, out=size)
        size -= noise
        if any_changed:
            changed, still = self._changed, self._still
            if unsteady:
                np.copyto(still, changed)
            else:
                np.multiply(noise, STILL_SIGMAS, out=scratch)
                scratch += STILL_LEVELS
                scratch -= np.abs(recent)
                np.greater(scratch, 0.0, out=still)
                still &= changed
            scratch.fill(rate)
            np.putmask(scratch, still, min(1.0, dt_s / ABSORB_S))
            diff *= scratch
            scratch.fill(noise_rate)
            np.putmask(scratch, changed, dt_s / NOISE_UP_S)
            size *= scratch
        else:
            diff *= rate
            size *= noise_rate
        self._place += diff
        noise += size
        recent *= 1 - math.exp(-dt_s / LATELY_S)
        self._lately += recent

    def _judge(self, dt_s: float, count: int, unsteady: bool) -> Notice:
        """Weigh this frame's body against what is enough."""
        t_s, body = self._t_s, self.body_cells
        if self._stage is Stage.LEARNING:
            self.reason = Reason.WARMING_UP
            return Notice.LEARNT if t_s - self._began_s >= LEARN_S else Notice.NOTHING
        drift = DRIFT_UNSTEADY_CELLS if unsteady else DRIFT_CELLS
        gained = self.evidence + (body - drift) * dt_s * 10 / self._enough
        self.evidence = min(1.0, max(0.0, gained))
        if self._stage is Stage.MOVING:
            if body >= KEEP_CELLS:
                self._moved_s = t_s
                self.reason = Reason.BODY
                return Notice.BODY
            if t_s - self._moved_s <= HOLD_S:
                self.reason = Reason.HOLDING
                return Notice.NOTHING
            self.evidence, self.reason = 0.0, Reason.QUIET
            return Notice.STILL
        if self.evidence >= 1.0:
            self._moved_s = t_s
            self.reason = Reason.BODY
            return Notice.BODY
        if count == 0:
            self.reason = Reason.QUIET
        elif unsteady:
            self.reason = Reason.LIGHT_UNSTEADY
        else:
            self.reason = Reason.GATHERING if body else Reason.TOO_SMALL
        return Notice.NOTHING
