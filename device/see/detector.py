"""Motion, told from light, noise and weather: frames in, the start and the end of an episode out.

Rule 1: pure numpy; no clock, no I/O. Time is the frame's, and nothing of a frame outlives the step but means of cells.
Rule 2: a body is what differs from the place in structure, is as large as a body, and overlaps itself a moment ago.
Rule 3: whatever stands still becomes the place.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from device.messages import SeeToTell
from device.see.detector_cells import Cells, Grid
from device.see.detector_episode import NEXT, Notice, Stage
from device.see.frame import Frame, Watched

AREAS = (20, 14, 10, 8, 6)  # cells, by sensitivity 1 to 5
BLOCK, PEDESTAL = 4.0, 4.0
PLACE_S, ABSORB_S, LATELY_S = 3.0, 0.6, 0.3
SIGMAS, FLOOR_LEVELS = 4.0, 2.5
NOISE_UP_S, NOISE_DOWN_S, NOISE_MOST_LEVELS = 4.0, 8.0, 30.0
KEEP_CELLS, TRACE_CS, HOLD_S, LEARN_S = 4, 18, 1.8, 1.5
JUMP_SHARE, JUMP_GAIN, BLIND_S, REARM_S = 0.4, 0.08, 0.4, 1.0
GAP_S = 2.0


def _hats(count: int, knots: int) -> npt.NDArray[np.float32]:
    x = (np.arange(count) + 0.5) / count * knots - 0.5
    hats = np.maximum(0, 1 - np.abs(x[:, None] - np.arange(knots)[None, :]))
    hats[x < 0, 0] = 1
    hats[x > knots - 1, knots - 1] = 1
    return np.ascontiguousarray(hats, np.float32)


class Detector:
    """Tells when something moves. `sensitivity` 1..5; `watched` bool (height, width), False is zeroed first."""

    def __init__(self, sensitivity: int = 3, watched: Watched | None = None) -> None:
        if sensitivity not in (1, 2, 3, 4, 5):
            raise ValueError(f"sensitivity is {sensitivity}: must be 1, 2, 3, 4 or 5")
        self._area = AREAS[sensitivity - 1]
        self._watched = watched
        self._stage = Stage.LEARNING
        self._grid: Grid | None = None
        self._size: tuple[int, ...] = ()

    def step(self, frame: Frame) -> tuple[SeeToTell, ...]:
        """Look at one frame; say what has begun or ended. ValueError for a frame that is none."""
        luma, t_s = frame.luma, frame.t_s
        if luma.dtype != np.uint8 or luma.ndim != 2:
            raise ValueError(f"luma is {luma.dtype}{list(luma.shape)}: must be uint8[height, width]")
        if not math.isfinite(t_s):
            raise ValueError(f"t_s is {t_s}: must be a finite number of seconds")
        if self._grid is None or luma.shape != self._size or t_s - self._t_s > GAP_S:
            self._start(luma, t_s)
            return self._tell(Notice.LOST)
        if t_s < self._t_s:
            raise ValueError(f"t_s went back from {self._t_s} to {t_s}: frames must come in order")
        return self._tell(self._look(self._grid.cells(luma), t_s))

    def _tell(self, notice: Notice) -> tuple[SeeToTell, ...]:
        self._stage, told = NEXT[self._stage][notice]
        return told

    def _start(self, luma: npt.NDArray[np.uint8], t_s: float) -> None:
        self._grid = Grid(luma.shape[0], luma.shape[1], self._watched)
        self._size = luma.shape
        cells = self._grid.cells(luma)
        rows, columns = cells.shape
        self._place, self._lately = cells.copy(), cells.copy()
        self._noise = np.ones(cells.shape, np.float32)
        self._trace = np.zeros(cells.shape, np.uint8)
        up = _hats(rows, max(2, round(rows / BLOCK)))
        across = _hats(columns, max(2, round(columns / BLOCK)))
        self._up, self._across = up, np.ascontiguousarray(across.T)
        self._down, self._along = np.ascontiguousarray((up / up.sum(0)).T), across / across.sum(0)
        self._n, self._t_s, self._began_s = 0, t_s, t_s
        self._jump_s = self._moved_s = -math.inf

    def _look(self, c: Cells, t_s: float) -> Notice:
        dt_s = min(t_s - self._t_s, 0.5)
        self._t_s = t_s
        self._n += 1
        place = self._place
        light = (self._down @ c @ self._along + PEDESTAL) / (self._down @ place @ self._along + PEDESTAL)
        gain = float(np.partition(light.ravel(), light.size // 2)[light.size // 2])
        place += PEDESTAL
        place *= self._up @ light @ self._across
        place -= PEDESTAL
        np.clip(place, 0, 255, out=place)
        d = c - place
        a = np.abs(d)
        active = a > SIGMAS * self._noise + FLOOR_LEVELS
        count = _around(active.view(np.uint8), np.add)
        core = (active & (count >= 5)) | (count >= 7)
        trace = np.minimum(_around(self._trace, np.maximum), 200) + np.uint8(min(10, round(dt_s * 100)))
        self._trace = trace * core
        old = self._trace > TRACE_CS
        size = _densest(old) if old.any() else 0
        share = float(active.mean())
        if (abs(math.log(gain)) > JUMP_GAIN or share > JUMP_SHARE) and t_s > self._jump_s + REARM_S:
            self._jump_s = t_s
        if t_s < self._jump_s + BLIND_S:
            place[:] = c
            self._lately[:] = c
            self._trace[:] = 0
            self._moved_s = t_s if self._stage is Stage.MOVING else self._moved_s
            return Notice.NOTHING
        lately = c - self._lately
        still = active & (np.abs(lately) < 2 * self._noise + 1)
        place += d * np.minimum(1, np.where(still, np.float32(dt_s / ABSORB_S), np.float32(max(dt_s / PLACE_S, 1 / (self._n + 1)))))
        self._lately += lately * np.float32(1 - math.exp(-dt_s / LATELY_S))
        pace = np.where(active, np.float32(dt_s / NOISE_UP_S), np.float32(max(dt_s / NOISE_DOWN_S, 0.5 / (self._n + 1))))
        self._noise += pace * (np.minimum(a * np.float32(1.25), NOISE_MOST_LEVELS) - self._noise)
        if self._stage is Stage.LEARNING:
            return Notice.LEARNT if t_s - self._began_s >= LEARN_S else Notice.NOTHING
        if size >= (KEEP_CELLS if self._stage is Stage.MOVING else self._area):
            self._moved_s = t_s
            return Notice.BODY
        return Notice.STILL if self._stage is Stage.MOVING and t_s - self._moved_s > HOLD_S else Notice.NOTHING


def _around(a: npt.NDArray[np.uint8], join: np.ufunc) -> npt.NDArray[np.uint8]:
    tall = a.copy()
    join(tall[1:], a[:-1], out=tall[1:])
    join(tall[:-1], a[1:], out=tall[:-1])
    wide = tall.copy()
    join(wide[:, 1:], tall[:, :-1], out=wide[:, 1:])
    join(wide[:, :-1], tall[:, 1:], out=wide[:, :-1])
    return wide


def _densest(cells: npt.NDArray[np.bool_]) -> int:
    tall, wide = min(9, cells.shape[0]), min(5, cells.shape[1])
    sums = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1), np.int32)
    sums[1:, 1:] = cells.cumsum(0).cumsum(1)
    return int((sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]).max())
