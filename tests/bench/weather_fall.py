"""What falls before the lens: rain and snow.

Rule 1: sizes, speeds and numbers are those of the real thing; how bright and how long a streak is follows
        from exposure, distance and light.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sin, tau

import numpy as np
import numpy.typing as npt

from device.see.porch_place import CAMERA_Y_M
from device.see.porch_scene import Run, check
from device.see.porch_view import View

F64 = npt.NDArray[np.float64]


def streaks(view: View, start: F64, end: F64, cover_px2: F64, radiance: F64) -> None:
    """Add many thin streaks at once: start and end are (n, 2) in column, row; cover is spread along them."""
    faint = cover_px2 * radiance < 0.01 * float(
        view.lin[::4, ::4].mean()
    )  # below a hundredth of the picture's mean
    start, end, cover_px2, radiance = start[~faint], end[~faint], cover_px2[~faint], radiance[~faint]
    if not len(start):
        return
    long = np.hypot(*(end - start).T)
    count = np.clip(np.ceil(long), 1, 4 * view.rows / 3).astype(int)
    which = np.repeat(np.arange(len(count)), count)
    step = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[which]
    at = start[which] + (end - start)[which] * step[:, None] - 0.5
    col, row = np.floor(at[:, 0]).astype(int), np.floor(at[:, 1]).astype(int)
    inside = (col >= 0) & (row >= 0) & (col < view.cols - 1) & (row < view.rows - 1)
    which, col, row = which[inside], col[inside], row[inside]
    a, b = at[inside, 0] - col, at[inside, 1] - row
    share = (cover_px2 / count)[which]
    flat, size = row * view.cols + col, view.rows * view.cols
    cover, light = np.zeros(size), np.zeros(size)
    for offset, weight in (
        (0, (1 - a) * (1 - b)),
        (1, a * (1 - b)),
        (view.cols, (1 - a) * b),
        (view.cols + 1, a * b),
    ):
        cover += np.bincount(flat + offset, share * weight, size)
        light += np.bincount(flat + offset, share * weight * radiance[which], size)
    cover_map = np.minimum(cover, 1).reshape(view.lin.shape).astype(np.float32)
    scale = np.where(cover > 1, 1 / np.maximum(cover, 1), 1)
    view.lin *= 1 - cover_map
    view.lin += (light * scale).reshape(view.lin.shape).astype(np.float32)


def project(view: View, x: F64, y: F64, z: F64) -> F64:
    """Points beside the lens' axis (y upwards from it) as (n, 2) columns and rows."""
    scale = view.place.focal_px / z
    cx, cy = view.place.centre_px
    return np.stack([cx + x * scale, cy - y * scale], 1)


def lit(view: View, x: F64, y: F64, z: F64, sky: float, albedo: float) -> F64:
    """Radiance of small bright things: sky light, and the infrared lamp beside the lens."""
    far2 = np.maximum(x * x + y * y + z * z, 0.01)  # nearer than 0.1 m the lamp's cone misses them
    ir = view.lights.ir_cd * albedo / far2 * np.exp(-1.5 * (x * x + y * y) / (z * z))
    return np.asarray(
        sky * view.lights.ambient_lx + 0.1 * view.lights.sun_lx + ir + 0.02 * view.lights.lamp_cd, np.float64
    )


@dataclass(frozen=True, slots=True)
class Rain:
    """Rain of so many millimetres an hour: 2 light, 10 heavy, 40 a cloudburst. Slanted by the wind."""

    mm_per_h: float = 10.0
    wind_m_per_s: float = 1.5

    def __post_init__(self) -> None:
        check("mm_per_h", self.mm_per_h, 0.1, 200.0)
        check("wind_m_per_s", self.wind_m_per_s, -20.0, 20.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _RainRun(self, view, seed)


class _RainRun(Run):
    """Drops by Marshall and Palmer (1948), speeds by Atlas (1973); new ones each frame, so far they fall."""

    def __init__(self, how: Rain, view: View, seed: int) -> None:
        self._how, self._seed = how, seed
        slope_per_mm = 4.1 * how.mm_per_h**-0.21
        least_mm = 0.8  # smaller drops leave nothing visible
        per_m3 = 8000 / slope_per_mm * np.exp(-slope_per_mm * least_mm)
        self._mean_mm, self._least_mm = 1 / slope_per_mm, least_mm
        self._far_m = 4.0  # farther drops are below a hundredth of a level
        self._wide = view.cols / view.place.focal_px
        self._high = view.rows / view.place.focal_px
        self._count = int(per_m3 * self._wide * self._high * self._far_m**3 / 3)

    def front(self, view: View) -> None:
        r = np.random.default_rng([self._seed, int(view.t_s * 1000), 73])
        n = int(r.poisson(self._count))
        z = np.maximum(self._far_m * r.uniform(0, 1, n) ** (1 / 3), 0.25)
        x, y = (r.uniform(-0.5, 0.5, n) * self._wide) * z, (r.uniform(-0.75, 0.35, n) * self._high) * z
        mm = self._least_mm + r.exponential(self._mean_mm, n)
        fall = 9.65 - 10.3 * np.exp(-0.6 * mm)
        blur_s = view.exposure_us * 1e-6
        start = project(view, x, y, z)
        end = project(view, x + self._how.wind_m_per_s * blur_s, y - fall * blur_s, z)
        cover = 0.785 * (mm * 1e-3 * view.place.focal_px / z) ** 2
        streaks(view, start, end, np.minimum(cover, 40.0), lit(view, x, y, z, 1.3, 0.3))
        ground = int(
            r.poisson(min(400.0, 12.0 * self._how.mm_per_h))
        )  # splashes on the slab: crowns of 1 to 2 cm
        z, x = r.uniform(3.3, 8.0, ground), r.uniform(-4, 5, ground)
        at = project(view, x, np.full(ground, -CAMERA_Y_M), z)
        streaks(
            view,
            at,
            at + np.array((0.0, 0.5)),
            0.785 * (0.015 * view.place.focal_px / z) ** 2,
            lit(view, x, x * 0, z, 1.0, 0.5),
        )


@dataclass(frozen=True, slots=True)
class Snow:
    """Flakes of 2 to 8 mm, `per_m3` of them, falling 1 m/s and swirling."""

    per_m3: float = 40.0
    wind_m_per_s: float = 0.7

    def __post_init__(self) -> None:
        check("per_m3", self.per_m3, 0.1, 1000.0)
        check("wind_m_per_s", self.wind_m_per_s, -20.0, 20.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _SnowRun(self, seed)


class _SnowRun(Run):
    """The same flakes from frame to frame, in a box that repeats."""

    BOX_M = np.array([8.0, 5.0, 5.5])

    def __init__(self, how: Snow, seed: int) -> None:
        self._how, self._seed = how, seed
        r = np.random.default_rng([seed, 74])
        n = int(how.per_m3 * float(self.BOX_M.prod()))
        self._at = r.uniform(0, 1, (n, 3)) * self.BOX_M
        self._m = r.gamma(4.0, 0.0009, n) + 0.0015
        self._fall = r.uniform(0.7, 1.4, n)
        self._phase, self._hertz = r.uniform(0, tau, n), r.uniform(0.2, 0.7, n)

    def _where(self, t_s: float) -> tuple[F64, F64, F64]:
        swirl = 0.12 * np.sin(tau * self._hertz * t_s + self._phase)
        drift = self._how.wind_m_per_s * (t_s + 2.0 * sin(t_s / 7.0))
        x = self._at[:, 0] + drift + swirl
        y = self._at[:, 1] - self._fall * t_s
        return np.mod(x, self.BOX_M[0]) - 4.0, np.mod(y, self.BOX_M[1]) - 3.0, self._at[:, 2] + 0.3

    def front(self, view: View) -> None:
        x, y, z = self._where(view.t_s)
        blur_s = view.exposure_us * 1e-6
        start = project(view, x, y, z)
        turn = tau * self._hertz
        aside = self._how.wind_m_per_s * (1 + 0.3 * np.sin(9 * self._phase)) + 0.12 * turn * np.cos(
            turn * view.t_s + self._phase
        )
        end = start + np.stack(
            [aside * blur_s * view.place.focal_px / z, self._fall * blur_s * view.place.focal_px / z], 1
        )
        cover = 0.785 * (self._m * view.place.focal_px / z) ** 2
        near = np.all((start > -20) & (start < (view.cols + 20, view.rows + 20)), axis=1)
        streaks(
            view, start[near], end[near], np.minimum(cover[near], 40.0), lit(view, x, y, z, 0.85, 0.8)[near]
        )
