"""The place as it is when nobody is there, and how noisy each part of it is.

Rule 1: whatever stands still becomes the place; whatever keeps moving becomes its noise.
Rule 2: a cell has changed only by more than its noise, a floor, and a share of the light that was taken out there.
"""

from __future__ import annotations

import math

import numpy as np

from device.see.detector_body import Around, Mask
from device.see.detector_cells import Cells
from device.see.detector_light import Light

# Each was varied by a quarter up and down on 15 real sequences (23 events) and rendered scenes: where no number of
# visitors stands, 51 of them (56 events), of which all were told with 5 false alarms; else 57 of several seeds (58
# events each). "Flat": nothing, or one false alarm more or less. "180 real": the 15, as they are and begun later, at
# half the rate, darkened and with noise.
SIGMAS = 4.0  # 3: 25 false alarms rendered; 5: 3 real visitors missed
FLOOR_LEVELS = 1.2  # a codec's steps and rounding. 1.0: two false alarms more in three seeds; 1.5: told 0.1 s later
LIGHT_SHARE = 0.15  # what saturation, gamma and half-shadows leave of a change of light; flat
LIGHT_SHARE_UNSTEADY = 0.5  # while the whole picture changes; flat
NEAR_CELLS = 9  # of 3 x 3: their sum is compared, which is a step less than their mean
SIGMA_OF_MEAN = 1.25  # a Gaussian's standard deviation is 1.25 times its mean deviation
NOISE_FIRST_LEVELS = 1.0  # between a day's noise (0.2 levels) and a night's (2), learnt within LEARN_S
NOISE_UP_S = 4.0  # leaves quieten themselves within a gust. 3: one visitor missed; 5: 8 false alarms
NOISE_DOWN_S = 8.0  # two gusts. 6: 9 false alarms; 10: flat
# What a place does again and again, it does at least: gusts come in seconds to half a minute, flags and branches with
# them, and reach a cell farther than before. A mean, and not cut off at NOISE_MOST_LEVELS: who passes once hardly moves
# it. Without it 32 false alarms for 174 rendered visitors of three seeds, with it 14.
LASTING_S = 40.0  # 20: one visitor more missed of 174, as many false alarms
# A look, at first: who comes in the first seconds is not the place. 1: three more of 180 real visitors are missed where
# recordings begin later, are darker or noisier, and a quarter fewer false alarms; 0.05: half as many again.
LASTING_RATE_MOST = 0.1
LASTING_EVERY_S = 0.5  # often enough for a mean of 40 s, and costs a fifth
LASTING_MOVING_SHARE = 0.25  # while an episode is on: with 1.0 two real visitors on a busy path are missed; flat below
NOISE_MOST_LEVELS = 30.0  # a bright coat may not blind a cell for long. 22: 7 false alarms (flags); 38: flat
PLACE_S = 3.0  # a visitor at 0.35 m/s crosses a cell in 0.5 s and must not be followed; flat
ABSORB_S = 0.6  # a ghost of 80 levels is below the floor in 2.4 s. 0.45: 4 false alarms; 0.75: 7
LATELY_S = 0.3  # three frames: what moves at all differs from them; flat
STILL_SIGMAS, STILL_LEVELS = 2.0, 1.0  # half of what counts as changed; flat


class Place:
    """What is known of each cell of a grid, shape (rows, columns), in levels of luma."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.cells: Cells = np.zeros(shape, np.float32)
        self.noise: Cells = np.full(shape, NOISE_FIRST_LEVELS, np.float32)
        self._lasting: Cells = np.zeros(shape, np.float32)
        self.lately: Cells = np.zeros(shape, np.float32)
        self._light = Light(shape)
        self.correction = self._light.correction  # levels of light that the last look took out
        # Of the last `changed`, in levels: the signed difference, and what its sum over 3 x 3 has to exceed.
        self.difference, self.limit = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._beside, self._reaching = Around(self.difference), Around(self._lasting)
        self._reach: Cells = self._reaching.join(np.maximum)  # the most of a cell's and its neighbours' lasting noise
        self._size, self._scratch, self._recent, self._then = (np.empty(shape, np.float32) for _ in range(4))
        self._ones, self._most = np.ones(self.cells.size, np.float32), np.full(shape, NOISE_MOST_LEVELS, np.float32)
        self._changed, self._still = np.empty(shape, np.bool_), np.empty(shape, np.bool_)
        self._seen, self._looks, self._look_s = 0, 0, 0.0

    def restart(self, cells: Cells) -> None:
        """Forget everything and take this for the place."""
        self.jump(cells)
        self.noise.fill(NOISE_FIRST_LEVELS)
        self._lasting.fill(0.0)
        self._reaching.join(np.maximum)
        self._seen, self._looks, self._look_s = 0, 0, 0.0

    def jump(self, cells: Cells) -> None:
        """Take this for the place, as noisy as before."""
        self.cells[:] = cells
        self.lately[:] = cells

    def relight(self, cells: Cells, quiet: bool) -> float:
        """Light the place as the frame is lit; how unsteady the light is, as a share."""
        self._seen += 1
        return self._light.relight(self.cells, cells, quiet)

    def changed(self, cells: Cells, unsteady: bool) -> Mask:
        """Which cells differ from the place, after `relight`; valid until the next call."""
        return self._differ(cells, self.cells, LIGHT_SHARE_UNSTEADY if unsteady else LIGHT_SHARE, self._changed)

    def apart(self, before: Cells, cells: Cells) -> Mask:
        """Which cells differ from the place as it was before, lit as the frame is; after `learn`, until the next."""
        self._then[:] = before
        self._light.relight(self._then, cells, quiet=False)
        return self._differ(cells, self._then, LIGHT_SHARE, self._still)

    def _differ(self, cells: Cells, place: Cells, light_share: float, out: Mask) -> Mask:
        size, limit = self._size, self.limit
        np.subtract(cells, place, out=self.difference)
        np.abs(self._beside.join(np.add), out=size)
        np.maximum(self.noise, self._reach, out=limit)
        limit *= SIGMAS * NEAR_CELLS
        limit += FLOOR_LEVELS * NEAR_CELLS
        if self._light.changes:
            limit += np.multiply(self.correction, light_share * NEAR_CELLS, out=self._scratch)
        return np.greater(size, limit, out=out)

    def light_explains(self, least_levels: float, times: float) -> bool:
        """Whether light explains a change of so many levels, and so many times what it does not; after `changed`."""
        light_levels = self._mean(self.correction)
        return light_levels > least_levels and light_levels > times * self._mean(self._size) / NEAR_CELLS

    def _mean(self, levels: Cells) -> float:
        return float(np.dot(levels.reshape(-1), self._ones)) / levels.size  # a third of what mean() costs

    def learn(self, cells: Cells, dt_s: float, any_changed: bool, unsteady: bool, moving: bool) -> None:
        """Let the place, its noise and the last moment follow the frame; after `changed`, once.

        moving: an episode is on, so what changes is mostly somebody and not the place.
        """
        diff, size, scratch = self.difference, self._size, self._scratch
        recent = np.subtract(cells, self.lately, out=self._recent)
        rate = min(1.0, max(dt_s / PLACE_S, 1 / (self._seen + 1)))  # at first the plain mean of what was seen
        noise_rate = min(1.0, max(dt_s / NOISE_DOWN_S, 0.5 / (self._seen + 1)))
        size *= SIGMA_OF_MEAN / NEAR_CELLS
        self._learn_lasting(dt_s, moving)
        if any_changed:
            np.minimum(size, self._most, out=size)
        size -= self.noise
        if any_changed:
            still = self._changed if unsteady else self._find_still(recent)
            scratch.fill(rate)
            np.copyto(scratch, min(1.0, dt_s / ABSORB_S), where=still)  # half of what putmask costs
            diff *= scratch
            scratch.fill(noise_rate)
            np.copyto(scratch, dt_s / NOISE_UP_S, where=self._changed)
            size *= scratch
        else:
            diff *= rate
            size *= noise_rate
        self.cells += diff
        self.noise += size
        recent *= 1 - math.exp(-dt_s / LATELY_S)
        self.lately += recent

    def _learn_lasting(self, dt_s: float, moving: bool) -> None:
        self._look_s += dt_s
        if self._look_s < LASTING_EVERY_S:
            return
        self._looks += 1
        rate = max(self._look_s / LASTING_S, min(LASTING_RATE_MOST, 1 / (self._looks + 1)))
        new = np.subtract(self._size, self._lasting, out=self._scratch)
        new *= rate * (LASTING_MOVING_SHARE if moving else 1.0)
        self._lasting += new
        self._reaching.join(np.maximum)
        self._look_s = 0.0

    def _find_still(self, recent: Cells) -> Mask:
        """Which changed cells have not changed again within the last moment: left behind, not moving."""
        limit = np.multiply(self.noise, STILL_SIGMAS, out=self._scratch)
        limit += STILL_LEVELS
        still = np.less(np.abs(recent, out=self._then), limit, out=self._still)
        still &= self._changed
        return still
