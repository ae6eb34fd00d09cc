"""Light is taken out: the remembered place is lit again as this frame is lit, block by block.

Rule 1: light is a smooth factor; whatever has an edge finer than a block stays for the detector.
Rule 2: how far most of the picture changed at once says how unsteady the light is; a body cannot do that.

Local normalisation of the mean (Marr's and Land's retinex; Toth, Aach, Metzler 2000 for change detection): the
factor is the ratio of block means, laid over the picture bilinearly, as two small matrix products each way.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from device.see.detector_body import Mask
from device.see.detector_cells import Cells

# A block of 4 cells is 8 px of 160. With 3.5 there are fewer false alarms of clouds and insects (21 for 170 rendered
# events), but a coat 16 levels from a plain wall is no longer told, and real visitors 0.1 s later; with 5 three
# times as many false alarms.
BLOCK_CELLS = 4.0
# Added to means before the ratio is taken: the black level. Keeps the noise of a dark block out of the factor.
PEDESTAL_LEVELS = 4.0
# A visitor who fills half of the view leaves the typical block's light within 0.2 %; sun, lamps and headlights move
# it by 1 to 50 %. The lower quartile and not the median: a real visitor who filled a third of the view was missed.
UNREST_QUANTILE = 0.25
# Of every block: less is the noise of a day at 320 x 240 (0.17 in nine of ten frames), and a sixth of FLOOR_LEVELS.
# Saves a tenth of what a frame with nobody there costs. 0.22 and more: of 200 pairs of coats one ends otherwise; 0.6: a
# real visitor is told 0.5 s later.
STEADY_LEVELS = 0.2


def _hats(count: int, knots: int) -> npt.NDArray[np.float32]:
    """Linear interpolation from `knots` block means to `count` cells, as a matrix (count, knots)."""
    at = (np.arange(count) + 0.5) / count * knots - 0.5
    hats = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(knots)[None, :]))
    hats[at < 0, 0] = 1.0
    hats[at > knots - 1, -1] = 1.0
    return np.ascontiguousarray(hats, np.float32)


# By how much the lower quartile of blocks changes in a frame: 0.001 by day, 0.003 in the noise of a night, 0.01 to 0.09
# while a lamp, the sun or headlights change.
UNREST_SHARE = 0.0045  # 0.006: four false alarms more of headlights, of 17; 0.003: a real visitor is missed
UNREST_USUAL = 1.5  # and more than it usually does here, for mains flicker is always there (0.02 to 0.06)
UNREST_USUAL_S, UNREST_USUAL_MOST = 10.0, 0.1
UNSTEADY_S = 0.3  # exposure follows in steps with two steady frames between them
UNSTEADY_MOST_S = 3.0  # headlights pass in 2.5 s; longer than that nobody may hide behind light
UNSTEADY_REST_S = 1.0  # so long must it be steady before another 3 s are granted


class Steadiness:
    """Whether the light of the whole picture is changing just now."""

    def __init__(self) -> None:
        self._usual = 0.0
        self._since_s = self._last_s = -math.inf

    def unsteady(self, unrest_share: float, t_s: float, dt_s: float) -> bool:
        """Judge the next frame's unrest (as `Light.relight` gives it) at time t_s, dt_s after the last."""
        if unrest_share > UNREST_SHARE + UNREST_USUAL * self._usual:
            if t_s - self._last_s > UNSTEADY_REST_S:
                self._since_s = t_s
            self._last_s = t_s
        self._usual += (min(unrest_share, UNREST_USUAL_MOST) - self._usual) * dt_s / UNREST_USUAL_S
        return t_s - self._last_s < UNSTEADY_S and t_s - self._since_s < UNSTEADY_MOST_S


def likeness(place: Cells, cells: Cells, changed: Mask) -> float:
    """How alike the edges at changed cells are to the place's, whatever the light: 1 the same, 0 nothing in common.

    Light that changes at a corner or a fence, with no block to hold it, makes the edges there stronger or fainter;
    a body has others. (Normalised correlation of gradients.)
    """
    size, wide = changed.size, changed.shape[1]
    both = np.empty((2, *changed.shape), np.float32)
    both[0], both[1] = place, cells
    flat, there = both.reshape(2, size), changed.reshape(size)
    edges, seen = np.empty((2, size - wide + size - 1), np.float32), np.empty(size - wide + size - 1, np.bool_)
    beside = size - wide  # where the edges from row to row end, and those from column to column begin
    np.subtract(flat[:, wide:], flat[:, :-wide], out=edges[:, :beside])
    np.subtract(flat[:, 1:], flat[:, :-1], out=edges[:, beside:])
    np.logical_or(there[wide:], there[:-wide], out=seen[:beside])
    np.logical_or(there[1:], there[:-1], out=seen[beside:])
    seen[beside + wide - 1 :: wide] = False  # from a row's end to the next one's beginning
    edges *= seen
    (power_then, common), (_, power_now) = np.dot(edges, edges.T).tolist()
    power = power_then * power_now
    return common / math.sqrt(power) if power > 0 else 0.0


class Light:
    """Compares the light of two pictures of cells, of one shape (rows, columns)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, columns = shape
        tall = _hats(rows, max(2, round(rows / BLOCK_CELLS)))
        wide = _hats(columns, max(2, round(columns / BLOCK_CELLS)))
        self._up, self._across = tall, np.ascontiguousarray(wide.T)
        self._down = np.ascontiguousarray((tall / tall.sum(0)).T)
        self._along = np.ascontiguousarray(wide / wide.sum(0))
        blocks = tall.shape[1], wide.shape[1]
        self._half = np.empty((blocks[0], columns), np.float32)
        self._now, self._then = np.empty(blocks, np.float32), np.empty(blocks, np.float32)
        self._size, self._pedestal = np.empty(blocks, np.float32), np.full(blocks, PEDESTAL_LEVELS, np.float32)
        self._rank = int(self._size.size * UNREST_QUANTILE)
        self._step: Cells = np.empty(shape, np.float32)
        self._most = np.full(shape, 255.0, np.float32)  # as a number: three times slower
        self.correction: Cells = np.empty(shape, np.float32)  # levels, 0 or more: how much light was taken out
        self.changes = True  # whether any was

    def relight(self, place: Cells, cells: Cells, quiet: bool) -> float:
        """Light `place` as `cells` are lit, in place; say how unsteady the light is, as a share (0: steady).

        quiet: nothing differed from the place in the last frame; then light that is steady is left as it is.
        """
        now, then = self._now, self._then
        np.dot(np.dot(self._down, cells, out=self._half), self._along, out=now)
        np.dot(np.dot(self._down, place, out=self._half), self._along, out=then)
        now -= then
        self.changes = not (quiet and np.abs(now, out=self._size).max() < STEADY_LEVELS)
        then += self._pedestal
        now /= then  # the share by which each block is brighter than the place was
        np.abs(now, out=self._size)
        change = self._size.reshape(-1)
        change.partition(self._rank)
        if not self.changes:
            self.correction.fill(0.0)
            return float(change[self._rank])
        step = np.dot(self._up, np.dot(now, self._across, out=self._half), out=self._step)
        lit = np.add(place, PEDESTAL_LEVELS, out=self.correction)
        step *= lit  # levels
        place += step
        np.minimum(place, self._most, out=place)  # and never much below black, for what is added to black is scaled
        np.abs(step, out=self.correction)
        return float(change[self._rank])
