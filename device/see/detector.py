"""Motion at the door, told from light, noise and weather: frames in, the start and end of an episode out.

Rule 1: pure numpy; no clock, no I/O. Time is the frame's; nothing of a frame outlives the step but means of cells.
Rule 2: a body is what the light does not explain, larger than the noise, and traced through several frames.
Rule 3: whatever stands still becomes the place, within seconds.

The method, a frame at a time, each step about a line of `Detector._look`:

1. Cells of 2 x 2 px (of 160 wide) are averaged: half the noise, a quarter of the work.
2. The *place* (`detector_place`), a running average (Heikkila and Silven 1999), is lit as the frame is lit
   (`detector_light`).
3. The signed difference is averaged over 3 x 3 cells: noise falls to a third, leaves and drops that are bright
   on one side and dark on the other cancel, a coat does not.
4. A cell has changed if the difference exceeds SIGMAS times the cell's own noise (a running mean of the
   difference, fast up and slow down, as sigma-delta's variance: Manzanera and Richefeu 2007; or its mean over 40 s
   there and beside it, where that is more), plus a floor, plus a share of the light that was taken out there.
   Leaves and flags so raise their own threshold.
5. Changed cells are traced back through overlapping changed cells (`detector_body`), and the densest
   window of traced cells is this frame's size of body. What lamps, insects and flags do is taken off it
   (`detector_doubt`): little of it glares, its edges are the place's own, the light changes elsewhere too, or it
   moves where something has moved again and again.
6. Sizes are summed until there is enough (CUSUM, Page 1954): the larger, the sooner, and sooner at the picture's edge,
   where people come in. What ends is held with less (hysteresis), and a table says what is told (`detector_episode`).
7. Who stops is there until the place is as it was before they came, or as still as a bag (`detector_presence`). Who
   goes out at the side is not, and who is at the other side then is somebody else: a cat's alert hides no visitor.

What has changed but is still, compared with the last 0.3 s, is absorbed soon: so a car that has left, or a bag
that was put down, leaves no ghost (Cucchiara 2003 calls it so).
"""

from __future__ import annotations

import enum
import math

import numpy as np

from device.messages import SeeToTell
from device.see.detector_body import NOTHING_CELLS, Mask, Trace, at_side, nothing_beside, opposite
from device.see.detector_cells import Cells, Grid
from device.see.detector_doubt import Doubt, entering
from device.see.detector_episode import NEXT, Notice, Stage
from device.see.detector_light import Steadiness
from device.see.detector_place import Place
from device.see.detector_presence import Presence
from device.see.frame import Frame, Grey, Watched
from device.see.health import Health

# Measured as in `detector_place`; "flat" as there.
# Evidence is the sum over frames (at 10/s) of the cells in the densest window, by sensitivity 1 to 5. In three seeds 48
# tells 0.1 s later with one false alarm less, 34 sooner with three more.
EVIDENCE_CELLS = (95.0, 63.0, 40.0, 32.0, 25.0)
# What is more than this share of enough counts by its square, for nuisances have 16 cells (half of them) to 27 (nine of
# ten) in the window of 45, and who is near 30 and more. 0.3: two false alarms more in three seeds; 0.55: flat.
QUICK_SHARE = 0.42
# Of enough, so that two frames are needed: an insect right before a lamp fills the window in one. Without: a false
# alarm in the real recordings, and told 0.1 s sooner there.
FRAME_MOST = 0.75
DRIFT_CELLS = 6.5  # taken off each frame. 5: three false alarms more in three seeds, 0.1 s sooner; 8: flat
KEEP_CELLS = 6  # of a traced body go on with an episode; flat
TRACE_CS = 28  # three frames at 10/s: an insect is elsewhere by then. 21: 7 false; 35: a real visit of 1.1 s is missed
HOLD_S = 1.3  # real visitors came 2.2 s after one another; who stands is held by `detector_presence`
# Who has gone out at the side is not waited for, and whoever comes next is told. 0.5: two visitors more of 812, eight
# alerts; at the upper and lower edge too: people right at the camera are told twice.
LEFT_S = 0.7
OTHER_CELLS = 20  # at the other side are somebody else; 12 and 28: flat
LEARN_S = 1.5  # 15 frames: the mean of the noise is known to a quarter
JUMP_SHARE = 0.1  # of light: lamps and the infrared filter do 0.2 and more, bodies 0.002; flat
CHANGED_MOST = 0.4  # of the cells, after light is taken out; a visitor who fills half of the view has 0.1 to 0.3
LIGHT_JUMP_LEVELS, LIGHT_EXPLAINS = 5.0, 4.0  # mean change, and its ratio to what is left: lamps 5 and more; flat
BLIND_S, BLIND_REST_S = 0.4, 1.0  # exposure follows within 4 frames; blind for 0.4 s of any second; flat
STEP_MOST_S = 0.5  # what was not seen for longer is not learnt faster
GAP_S = 2.0  # in which a visitor crosses the view, and the sun goes in


class Reason(enum.Enum):
    """Why the last frame did, or did not, count as motion."""

    WARMING_UP = "the first seconds: the noise is not known yet"
    QUIET = "nothing differs from the place"
    TOO_SMALL = "something differs, too small or too brief for a body"
    GATHERING = "something may be a body: not enough evidence yet"
    LIGHT_UNSTEADY = "the light of the whole picture is changing: a larger change is asked for"
    LIGHT_JUMP = "the light of the whole picture jumped: looking again in a moment"
    BODY = "a body moves"
    HOLDING = "it has just stopped moving"
    STANDING = "somebody stands there, hardly moving"


class Detector:
    """Tells when something moves in front of the camera.

    sensitivity: 1 (least) to 5. watched: bool (height, width), False where nothing may be looked at
    (zeroed before anything else); None: everything. ValueError for anything else.
    """

    def __init__(self, sensitivity: int = 3, watched: Watched | None = None) -> None:
        if sensitivity not in (1, 2, 3, 4, 5):
            raise ValueError(f"sensitivity is {sensitivity}: must be 1, 2, 3, 4 or 5")
        self._enough = EVIDENCE_CELLS[int(sensitivity) - 1]
        self._watched = watched
        self._stage = Stage.LEARNING
        self._health = Health()
        self._size_px: tuple[int, ...] = ()
        self._t_s = -math.inf
        self._changed: Mask | None = None
        self.changed_share = 0.0  # of the cells, 0 to 1
        self.body_cells = 0.0  # that count, of the densest window: 0 to 45
        self.evidence = 0.0  # share of what is enough, 0 to 1; 1 while an episode is on
        self.unrest_share = 0.0  # by which three quarters of the picture changed at once
        self.reason = Reason.WARMING_UP

    @property
    def noise_levels(self) -> float:
        """Mean noise of a cell's difference, in levels; computed when asked for."""
        return float(self._place.noise.mean()) if self._size_px else 0.0

    @property
    def changed(self) -> Mask | None:
        """A copy of which cells changed in the last frame, bool (rows, columns); None before the first look."""
        return self._changed.copy() if self._changed is not None else None

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
        told = self._tell(self._look(self._grid.cells(luma), dt_s))
        return told + self._health.look(self._place.cells, t_s)

    def _tell(self, notice: Notice) -> tuple[SeeToTell, ...]:
        self._stage, told = NEXT[self._stage][notice]
        return told

    def _begin(self, luma: Grey, t_s: float) -> None:
        """Make what this size of frame needs, and take the frame for the place."""
        if luma.shape != self._size_px:
            self._grid = Grid(luma.shape[0], luma.shape[1], self._watched)
            shape = self._grid.shape
            self._place, self._trace = Place(shape), Trace(shape)
            self._doubt, self._presence = Doubt(shape), Presence(shape)
            self._size_px = luma.shape
        self._place.restart(self._grid.cells(luma))
        self._changed = None
        self._trace.clear()
        self._doubt.restart()
        self._steadiness = Steadiness()
        self._t_s = self._began_s = t_s
        self._moved_s = self._jump_s = -math.inf
        self._whose = self._trace.box  # the window of the body that was told
        self.reason, self.changed_share, self.body_cells = Reason.WARMING_UP, 0.0, 0.0
        self.evidence = self.unrest_share = 0.0

    def _look(self, cells: Cells, dt_s: float) -> Notice:
        self.unrest_share = self._place.relight(cells, self._stage is Stage.CALM and self.changed_share == 0)
        unsteady = self._steadiness.unsteady(self.unrest_share, self._t_s, dt_s)
        changed = self._changed = self._place.changed(cells, unsteady)
        count = int(np.count_nonzero(changed))
        self.changed_share = count / changed.size
        if self._is_blind():
            self._place.jump(cells)
            self._trace.clear()
            self.reason, self.body_cells = Reason.LIGHT_JUMP, 0.0
            return Notice.NOTHING
        self.body_cells = self._body(cells, changed, count, dt_s)
        self._doubt.learn(self._place, changed, dt_s, self._stage is Stage.MOVING)
        self._place.learn(cells, dt_s, count > 0, unsteady, self._stage is Stage.MOVING)
        return self._judge(cells, changed, dt_s, count, unsteady)

    def _body(self, cells: Cells, changed: Mask, count: int, dt_s: float) -> float:
        """How many cells of this frame's largest body count; 0 where they are too few to make a difference."""
        if not count:
            return self._trace.clear()
        self._trace.follow(changed, count, dt_s)
        least = 1 if self._stage is Stage.CALM and self.evidence > 0 else KEEP_CELLS
        body = self._trace.body(changed, TRACE_CS, least) if count >= least else 0
        return self._doubt.weigh(self._place, cells, changed, count, self._trace.box, body, least)

    def _is_blind(self) -> bool:
        """After a jump of light, for a moment, the place is whatever is seen; never twice within a second."""
        jumped = self.unrest_share > JUMP_SHARE or self.changed_share > CHANGED_MOST
        if self.changed_share > 0 and not jumped:
            jumped = self._place.light_explains(LIGHT_JUMP_LEVELS, LIGHT_EXPLAINS)
        if jumped and self._t_s > self._jump_s + BLIND_REST_S:
            self._jump_s = self._t_s
        return self._t_s < self._jump_s + BLIND_S

    def _judge(self, cells: Cells, changed: Mask, dt_s: float, count: int, unsteady: bool) -> Notice:
        """Weigh this frame's body against what is enough."""
        t_s, body = self._t_s, self.body_cells
        if self._stage is Stage.LEARNING:
            self.reason = Reason.WARMING_UP
            return Notice.LEARNT if t_s - self._began_s >= LEARN_S else Notice.NOTHING
        if self._stage is Stage.MOVING:
            return self._go_on(cells, changed, count)
        if self.evidence == 0:
            self._presence.remember(self._place.cells)
        times = entering(changed, self._trace.box, body) if body else 1.0
        share = (body - DRIFT_CELLS) / self._enough * times
        gained = self.evidence + min(FRAME_MOST, share * max(1.0, share / QUICK_SHARE)) * dt_s * 10
        self.evidence = min(1.0, max(0.0, gained))
        if self.evidence >= 1.0:
            self._whose = self._trace.box
            return self._moves(Notice.BODY)
        if count == 0:
            self.reason = Reason.QUIET
        elif unsteady:
            self.reason = Reason.LIGHT_UNSTEADY
        else:
            self.reason = Reason.GATHERING if body else Reason.TOO_SMALL
        return Notice.NOTHING

    def _go_on(self, cells: Cells, changed: Mask, count: int) -> Notice:
        """Whether the episode goes on, ends, or is somebody else's now."""
        t_s, window, columns = self._t_s, self._trace.box, changed.shape[1]
        if not opposite(window, self._whose, columns):
            self._whose = window
        elif self.body_cells >= OTHER_CELLS and nothing_beside(window, changed):
            self._whose = window
            return self._moves(Notice.ANOTHER)
        if self.body_cells >= KEEP_CELLS:
            return self._moves(Notice.BODY)
        stays = self._presence.stays(self._place, cells, t_s)
        left = count <= NOTHING_CELLS and at_side(window, columns)
        if t_s - self._moved_s <= (LEFT_S if left else HOLD_S):
            self.reason = Reason.HOLDING
            return Notice.NOTHING
        if stays and not left:
            self.reason = Reason.STANDING
            return Notice.NOTHING
        self.evidence, self.reason = 0.0, Reason.QUIET
        return Notice.STILL

    def _moves(self, notice: Notice) -> Notice:
        """A body moves, just now and there."""
        self._moved_s, self.reason = self._t_s, Reason.BODY
        self._presence.moved(self._trace.box, self._t_s)
        return notice
