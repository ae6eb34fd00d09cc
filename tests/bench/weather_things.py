"""Things that move or are left and are no visitors: a flag, a bag, a mount that shakes.

Rule 1: none of them is an event; a bag that is left is part of its visitor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import tau

import numpy as np

from device.see.porch_air import gusts
from device.see.porch_people import draw_bag
from device.see.porch_place import F32, Noise
from device.see.porch_scene import Run, check
from device.see.porch_view import View
from device.see.porch_visit import Walker


@dataclass(frozen=True, slots=True)
class Flag:
    """A striped flag on a pole at the corner of the house."""

    wind: float = 1.0

    def __post_init__(self) -> None:
        check("wind", self.wind, 0.0, 5.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _FlagRun(self, seed)


class _FlagRun(Run):
    AT = (-0.45, 2.62, 4.9)  # m: top of the pole's end of the cloth
    LONG_M, HIGH_M = 1.1, 0.7

    def __init__(self, how: Flag, seed: int) -> None:
        self._how, self._seed = how, seed
        self._phase = float(np.random.default_rng([seed, 81]).uniform(0, tau))

    def draw(self, view: View) -> None:
        x0, y0, z0 = self.AT
        col, row, scale = view.project((x0, y0, z0))
        pole = view.capsule((x0, 1.4, z0), (x0, y0 + 0.1, z0), 0.02, 0.02)
        view.paint(pole, 0.4 * view.lights.ambient_lx + 0.1 * view.lights.sun_lx)
        rows = slice(max(0, int(row - 0.4 * scale)), min(view.rows, int(row + 1.6 * scale)))
        cols = slice(max(0, int(col)), min(view.cols, int(col + 1.3 * scale)))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        wind = self._how.wind * max(0.1, 1 + 1.2 * float(gusts(self._seed, view.t_s)))
        u = (np.arange(cols.start, cols.stop, dtype=np.float32)[None, :] + 0.5 - col) / scale
        down = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5 - row) / scale
        reach = self.LONG_M * min(1.0, 0.55 + 0.3 * wind)  # a slack flag hangs
        droop = max(0.0, 0.8 - 0.5 * wind)
        angle = 9.0 * u / self.LONG_M - tau * (0.8 + 0.6 * wind) * view.t_s + self._phase
        wave = 0.09 * min(1.5, wind + 0.2) * (u / self.LONG_M) * np.sin(angle)
        v = (down - droop * u - wave) / self.HIGH_M
        edge = 1.0 / (scale * self.HIGH_M)
        cover: F32 = (
            np.clip(v / edge + 0.5, 0, 1)
            * np.clip((1 - v) / edge + 0.5, 0, 1)
            * np.clip((reach - u) * scale + 0.5, 0, 1)
        ).astype(np.float32)
        cloth = np.where(np.mod(v * 3, 2) < 1, 0.65, 0.15) * (1 + 0.35 * np.cos(angle) * min(1.0, wind))
        ambient, sun, lamp, ir, extra = view.light_at((x0 + 0.5, 2.2, z0))
        lux = 0.7 * ambient + 0.45 * sun + 0.4 * lamp + ir + 0.5 * extra
        view.lin[rows, cols] += ((cloth * lux).astype(np.float32) - view.lin[rows, cols]) * cover


@dataclass(frozen=True, slots=True)
class Branch:
    """A leafy branch hangs into the view, 2 m from the camera, and is tossed by the wind."""

    wind: float = 1.0
    size: float = 0.45  # share of the picture's width and height that it reaches into

    def __post_init__(self) -> None:
        check("wind", self.wind, 0.0, 5.0)
        check("size", self.size, 0.05, 1.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _BranchRun(self, view, seed)


class _BranchRun(Run):
    """Leaves of 4 cm with gaps between them, drawn once; each frame looks them up a little beside."""

    Z_M = 2.0

    def __init__(self, how: Branch, view: View, seed: int) -> None:
        self._how, self._seed = how, seed
        self._scale = view.place.focal_px / self.Z_M  # pixels a metre: 58 at 120 rows
        self._margin = int(0.35 * self._scale)  # it never swings farther
        wide, high = int(how.size * view.cols), int(how.size * view.rows)
        self._box = (slice(0, high + self._margin), slice(view.cols - wide - self._margin, view.cols))
        rows, cols = high + 3 * self._margin, wide + 3 * self._margin
        row, col = (a.astype(np.float32) for a in np.mgrid[0:rows, 0:cols])
        noise = Noise(seed)
        u, v = col / (0.05 * self._scale), row / (0.05 * self._scale)
        from_corner = np.hypot((cols - col) / (wide + 1.5 * self._margin), row / (high + 1.5 * self._margin))
        ragged = noise(u * 0.25, v * 0.25) + 0.7 * noise(u, v)
        self._alpha: F32 = np.clip((1.15 - 1.6 * from_corner + 0.6 * ragged) * 3 + 0.5, 0, 1).astype(
            np.float32
        )
        self._leaf: F32 = (1 + 0.75 * noise.rough(u + 40, v)).astype(np.float32)
        r = np.random.default_rng([seed, 84])
        self._hertz, self._phase = r.uniform((0.35, 0.8, 1.6), (0.6, 1.3, 2.4)), r.uniform(0, tau, (2, 3))
        self._mode = noise(u * 0.12 + 9, v * 0.12)[: high + self._margin, : wide + self._margin]

    def draw(self, view: View) -> None:
        wind = self._how.wind * max(0.1, 1 + 1.2 * float(gusts(self._seed, view.t_s)))
        swing = np.sin(tau * self._hertz * view.t_s + self._phase) * (0.06, 0.03, 0.03) * wind * self._scale
        swing = np.clip(swing, -0.3 * self._margin, 0.3 * self._margin)
        rows, cols = self._mode.shape
        dx = np.float32(swing[0, 0] + swing[0, 1]) + np.float32(swing[0, 2]) * self._mode
        dy = np.float32(0.6 * (swing[1, 0] + swing[1, 1])) + np.float32(swing[1, 2]) * self._mode
        row = np.arange(rows, dtype=np.float32)[:, None] + self._margin - dy
        col = np.arange(cols, dtype=np.float32)[None, :] + self._margin - dx
        i, j = row.astype(np.int32), col.astype(np.int32)
        a, b = row - i, col - j

        def look(of: F32) -> F32:
            top = of[i, j] * (1 - b) + of[i, j + 1] * b
            return np.asarray(top * (1 - a) + (of[i + 1, j] * (1 - b) + of[i + 1, j + 1] * b) * a, np.float32)

        ambient, sun, lamp, ir, extra = view.light_at((0.9, 2.2, self.Z_M))
        lux = 0.09 * (0.6 * ambient + 0.35 * sun + 0.5 * lamp + 0.5 * extra) + 0.45 * ir
        there = view.lin[self._box]
        there += (look(self._leaf) * np.float32(lux) - there) * look(self._alpha)


@dataclass(frozen=True, slots=True)
class Bag:
    """Visitor number `visitor` brings a bag and leaves it; it is taken away at `taken_s`, or stays."""

    visitor: int = 0
    taken_s: float | None = None

    def __post_init__(self) -> None:
        check("visitor", self.visitor, 0, 1000)
        if self.taken_s is not None:
            check("taken_s", self.taken_s, 0.0, 86_400.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _BagRun(self)


class _BagRun(Run):
    def __init__(self, how: Bag) -> None:
        self._how = how
        self._walker: Walker | None = None

    def meet(self, walkers: Sequence[Walker]) -> None:
        if self._how.visitor < len(walkers):
            self._walker = walkers[self._how.visitor]
            self._walker.drop_bag()

    def draw(self, view: View) -> None:
        walker = self._walker
        if walker is None or view.t_s < walker.arrived_s + min(1.0, walker.visit.stand_s):
            return
        if self._how.taken_s is None or view.t_s < self._how.taken_s:
            x, z = walker.bag_place()
            draw_bag(view, (x, 0.0, z))


@dataclass(frozen=True, slots=True)
class Shake:
    """The mount gives in the wind: the whole picture shifts by parts of a pixel, or by more."""

    px_at_160: float = 0.4  # 3.5 mrad: a bracket on a wooden post in a fresh breeze
    wind: float = 1.0

    def __post_init__(self) -> None:
        check("px_at_160", self.px_at_160, 0.0, 10.0)
        check("wind", self.wind, 0.0, 5.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _ShakeRun(self, seed)


class _ShakeRun(Run):
    """Two modes of the bracket, 3 to 9 Hz, excited by the gusts."""

    def __init__(self, how: Shake, seed: int) -> None:
        self._how, self._seed = how, seed
        r = np.random.default_rng([seed, 83])
        self._hertz, self._phase = r.uniform((3, 5), (5, 9)), r.uniform(0, tau, (2, 2))

    def bend(self, view: View) -> None:
        force = (
            self._how.px_at_160
            * view.rows
            / 120
            * self._how.wind
            * max(0.05, 1 + 1.5 * float(gusts(self._seed, view.t_s)))
        )
        swing = np.sin(tau * self._hertz * view.t_s + self._phase) * (0.7, 0.4)
        dx, dy = float(force * swing[0].sum()), float(0.6 * force * swing[1].sum())
        view.shift_px = (dx, dy)
        view.lin = shifted(view.lin, dx, dy)


def shifted(lin: F32, dx: float, dy: float) -> F32:
    """The picture moved by dx columns and dy rows, bilinear, edges repeated."""
    pad = int(max(abs(dx), abs(dy))) + 2
    p = np.pad(lin, pad, mode="edge")
    i, j = int(np.floor(-dy)), int(np.floor(-dx))
    a, b = np.float32(-dy - i), np.float32(-dx - j)
    rows, cols = lin.shape
    q = p[pad + i : pad + i + rows + 1, pad + j : pad + j + cols + 1]
    q = q[:-1] * (1 - a) + q[1:] * a
    return np.asarray(q[:, :-1] * (1 - b) + q[:, 1:] * b, np.float32)
