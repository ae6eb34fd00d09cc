"""What flies or hangs before the lens: insects at the infrared lamp, a spider's web.

Rule 1: sizes and speeds are those of the real thing; how bright and how long a streak is follows from
        exposure, distance and light.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import tau

import numpy as np

from device.see.porch_air import gusts
from device.see.porch_place import F32
from device.see.porch_scene import Run, check
from device.see.porch_view import View
from tests.bench.weather_fall import F64, lit


@dataclass(frozen=True, slots=True)
class Insects:
    """Moths and midges at the lamp: streaks of a frame or two; some hover, some crawl on the housing."""

    per_min: float = 20.0
    hover_per_min: float = 1.0
    crawl_per_min: float = 0.5

    def __post_init__(self) -> None:
        check("per_min", self.per_min, 0.0, 1000.0)
        check("hover_per_min", self.hover_per_min, 0.0, 60.0)
        check("crawl_per_min", self.crawl_per_min, 0.0, 60.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _InsectRun(self, seed)


@dataclass(slots=True)
class _Flight:
    start_s: float
    last_s: float
    z_m: float
    size_m: float
    entry: tuple[float, float]  # shares of the picture
    speed: tuple[float, float]  # m/s, columns and rows
    wobble: F64  # amplitude in metres and hertz, phases: shape (6,)


class _InsectRun(Run):
    BLOCK_S = 10.0

    def __init__(self, how: Insects, seed: int) -> None:
        self._how, self._seed = how, seed
        self._block, self._flights = -2, list[_Flight]()

    def _hatch(self, block: int) -> list[_Flight]:
        """All that start in these ten seconds."""
        r = np.random.default_rng([self._seed, max(block, 0), 75])
        out = []
        for rate, kind in (
            (self._how.per_min, 0),
            (self._how.hover_per_min, 1),
            (self._how.crawl_per_min, 2),
        ):
            for _ in range(int(r.poisson(rate * self.BLOCK_S / 60)) if block >= 0 else 0):
                start = block * self.BLOCK_S + float(r.uniform(0, self.BLOCK_S))
                angle, side = float(r.uniform(0, tau)), float(r.uniform(0.1, 0.9))
                pace = float((r.uniform(0.8, 3.0), r.uniform(0.02, 0.10), r.uniform(0.004, 0.02))[kind])
                z = float((r.uniform(0.15, 0.8), r.uniform(0.25, 0.6), r.uniform(0.06, 0.10))[kind])
                last = float((1.6 * z / pace + 0.1, r.uniform(2, 6), r.uniform(3, 8))[kind])
                entry = (
                    0.5 - 0.55 * np.cos(angle) if kind == 0 else side,
                    0.5 - 0.55 * np.sin(angle) if kind == 0 else float(r.uniform(0.1, 0.9)),
                )
                swing = np.array(
                    [
                        (0.01, 0.05, 0.002)[kind],
                        *r.uniform(0.5, (9.0, 1.5, 0.5)[kind], 2),
                        *r.uniform(0, tau, 3),
                    ]
                )
                out.append(
                    _Flight(
                        start,
                        last,
                        z,
                        float(r.uniform(0.002, 0.007)),
                        (float(entry[0]), float(entry[1])),
                        (pace * float(np.cos(angle)), pace * float(np.sin(angle))),
                        swing,
                    )
                )
        return out

    def front(self, view: View) -> None:
        block = int(view.t_s // self.BLOCK_S)
        if block != self._block:
            self._block, self._flights = block, [*self._hatch(block - 1), *self._hatch(block)]
        blur_s = view.exposure_us * 1e-6
        for f in self._flights:
            if not f.start_s - blur_s <= view.t_s <= f.start_s + f.last_s:
                continue
            scale = view.place.focal_px / f.z_m
            times = np.linspace(view.t_s, view.t_s + blur_s, 5) - f.start_s  # wings and turns bend the streak
            amp, ha, hb, pa, pb, pc = f.wobble
            cols = f.entry[0] * view.cols + scale * (f.speed[0] * times + amp * np.sin(tau * ha * times + pa))
            rows = f.entry[1] * view.rows + scale * (f.speed[1] * times + amp * np.sin(tau * hb * times + pb))
            beat = 0.6 + 0.4 * np.sin(tau * 25 * times + pc)
            radius = max(0.5 * f.size_m * scale, 0.35)
            soft = 1.0 + 0.0012 * scale * max(0.0, 1 - f.z_m / 0.6)  # out of focus: aperture of 1.2 mm
            x = np.array([(cols[0] - view.place.centre_px[0]) / scale])
            y = np.array([(view.place.centre_px[1] - rows[0]) / scale])
            bright = float(lit(view, x, y, np.array([f.z_m]), 0.15, 0.5)[0])
            for k in range(4):
                long = float(np.hypot(cols[k + 1] - cols[k], rows[k + 1] - rows[k]))
                stay = min(1.0, 2 * radius / (4 * long + 2 * radius))  # share of the exposure it is there
                spot = view.strip(
                    (float(cols[k]), float(rows[k])),
                    (float(cols[k + 1]), float(rows[k + 1])),
                    radius,
                    radius,
                    soft,
                )
                if spot is not None:
                    there = view.lin[spot.box]
                    there += (
                        (np.float32(bright * beat[k]) - there)
                        * spot.cover
                        * np.float32(stay if k == 0 or long > radius else 0.25)
                    )


@dataclass(frozen=True, slots=True)
class Web:
    """Threads of a spider's web across the lens that swing in the wind, lit by the infrared lamp."""

    threads: int = 3
    swing_mm: float = 2.0
    wind: float = 1.0

    def __post_init__(self) -> None:
        check("threads", self.threads, 1, 20)
        check("swing_mm", self.swing_mm, 0.0, 50.0)
        check("wind", self.wind, 0.0, 5.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _WebRun(self, view, seed)


class _WebRun(Run):
    Z_M = 0.08

    def __init__(self, how: Web, view: View, seed: int) -> None:
        self._how, self._seed = how, seed
        r = np.random.default_rng([seed, 76])
        n = how.threads
        self._from = np.stack([r.uniform(-0.1, 1.1, n) * view.cols, np.zeros(n)], 1)
        self._to = np.stack([r.uniform(-0.1, 1.1, n) * view.cols, r.uniform(0.6, 1.2, n) * view.rows], 1)
        self._hertz, self._phase = r.uniform(0.4, 2.2, n), r.uniform(0, tau, n)
        self._cover = r.uniform(0.05, 0.2, n)  # a thread of 0.05 to 0.2 mm, blurred to 1 mm
        self._wide = max(1.0, 0.0006 * view.place.focal_px / self.Z_M)

    def front(self, view: View) -> None:
        wind = self._how.wind * max(0.1, 1 + float(gusts(self._seed, view.t_s)))
        scale = view.place.focal_px / self.Z_M
        push = self._how.swing_mm * 1e-3 * scale * wind * np.sin(tau * self._hertz * view.t_s + self._phase)
        light = 0.25 * view.lights.ambient_lx + 0.05 * view.lights.sun_lx + view.lights.ir_cd * 0.25
        for k in range(self._how.threads):
            knots = np.linspace(0, 1, 7)
            points = self._from[k] + (self._to[k] - self._from[k]) * knots[:, None]
            points[:, 0] += push[k] * np.sin(np.pi * knots)
            total: F32 = np.zeros_like(view.lin)
            for a, b in pairwise(points):
                spot = view.strip(
                    (float(a[0]), float(a[1])),
                    (float(b[0]), float(b[1])),
                    self._wide,
                    self._wide,
                    1.5 * self._wide,
                )
                if spot is not None:
                    np.maximum(total[spot.box], spot.cover, out=total[spot.box])
            view.lin += (np.float32(light) - view.lin) * total * np.float32(self._cover[k])
