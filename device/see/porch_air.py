"""Wind in the leaves and clouds before the sun: the weather that is always there.

Rule 1: speeds and sizes are in metres and seconds; what they do in pixels follows from the geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import tau

import numpy as np
import numpy.typing as npt

from device.see.porch_place import F32, SKY_M, Noise
from device.see.porch_scene import Run, check
from device.see.porch_view import View

F64 = npt.NDArray[np.float64]


def gusts(seed: int, t_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Strength of the wind at these times, about 0, from -1 to 1: gusts of 3 to 30 s, as near the ground."""
    r = np.random.default_rng([seed, 51])
    periods_s, phases = r.uniform((18, 9, 4.5, 2.5), (34, 16, 8, 4)), r.uniform(0, tau, 4)
    t = np.asarray(t_s, np.float64)[..., None]
    return np.asarray(np.sum(np.sin(tau * t / periods_s + phases) * (0.45, 0.3, 0.2, 0.15), axis=-1) / 1.1)


@dataclass(frozen=True, slots=True)
class Wind:
    """Leaves and branches move: `strength` 0 calm, 1 fresh breeze, 3 storm."""

    strength: float = 1.0

    def __post_init__(self) -> None:
        check("strength", self.strength, 0.0, 5.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _WindRun(self, view, seed)


class _WindRun(Run):
    """Boughs swing as a whole at 0.3 to 0.6 Hz, branches at 0.9 to 2.6 Hz, each plant by itself.

    Leaves are moved by looking up the still picture a little beside each pixel.
    """

    HERTZ = (
        (0.3, 0.9, 1.3, 1.9),
        (0.6, 1.3, 1.9, 2.6),
    )  # lowest and highest of the bough and three branch modes

    def __init__(self, wind: Wind, view: View, seed: int) -> None:
        self._wind, self._seed = wind, seed
        noise, r = Noise(seed + 5), np.random.default_rng([seed, 52])
        wide = max(1, round(view.rows / 60))
        weight = _blur(
            _blur(view.place.sway, wide), wide
        )  # dies out around the leaves: the sky there is stretched
        taken = np.zeros(weight.shape, np.bool_)
        flat, modes, self._plants = [], [], list[tuple[slice, F64, F64, float]]()
        start = 0
        for box in view.place.boxes:
            mine = np.zeros_like(taken)
            mine[box] = (weight[box] > 0.04) & ~taken[box]
            at = np.flatnonzero(mine)
            if at.size < 4:
                continue
            taken |= mine
            leaves = view.place.sway[box] > 0.5
            per_m = view.place.focal_px / float(view.place.depth_m[box][leaves].min(initial=SKY_M))
            reach = np.float32(max(box[0].stop - box[0].start, box[1].stop - box[1].start))
            x = ((at % view.cols - box[1].start) / reach).astype(np.float32)
            y = ((at // view.cols - box[0].start) / reach).astype(np.float32)
            sway = weight.ravel()[at] * np.float32(per_m)
            rows = [sway * np.float32(0.045)]  # a bough moves 4 cm in a breeze, branches 3 cm about it
            rows += [sway * np.float32(0.033) * noise(x * 5 + 3 * k, y * 5) for k in range(3)]
            flat.append(at)
            modes.append(np.stack(rows))
            late_s = box[1].start / view.cols * 1.5  # a gust crosses the garden in 1.5 s
            span = slice(start, start + at.size)
            self._plants.append((span, r.uniform(*self.HERTZ), r.uniform(0, tau, (2, 4)), late_s))
            start += at.size
        self._flat = np.concatenate(flat) if flat else np.zeros(0, np.intp)
        self._modes: F32 = np.concatenate(modes, axis=1) if modes else np.zeros((4, 0), np.float32)
        self._from = np.stack([self._flat % view.cols, self._flat // view.cols]).astype(np.float32)
        self._moved: F32 = np.empty_like(self._from)

    def bend(self, view: View) -> None:
        if not self._flat.size:
            return
        forces = np.maximum(
            0.15, 1.0 + 1.3 * gusts(self._seed, [view.t_s - plant[3] for plant in self._plants])
        )
        for (span, hertz, phase, _), force in zip(
            self._plants, (self._wind.strength * forces).tolist(), strict=True
        ):
            push = force * np.sin(tau * hertz * view.t_s + phase) * ((1, 1, 1, 1), (0, 0.5, 0.5, 0.5))
            np.matmul(push.astype(np.float32), self._modes[:, span], out=self._moved[:, span])
        col, row = self._from - self._moved
        col = np.minimum(np.maximum(col, np.float32(0)), np.float32(view.cols - 1.001))
        row = np.minimum(np.maximum(row, np.float32(0)), np.float32(view.rows - 1.001))
        i, j = row.astype(np.int32), col.astype(np.int32)
        row -= i
        col -= j
        at, still = i * view.cols + j, view.lin.ravel()
        top, low = still[at], still[at + view.cols]
        top += (still[at + 1] - top) * col
        low += (still[at + view.cols + 1] - low) * col
        view.lin.ravel()[self._flat] = top + (low - top) * row


def _blur(a: F32, reach: int) -> F32:
    p = np.pad(a, reach, mode="edge")
    p = np.add.reduce([p[k : k + a.shape[0]] for k in range(2 * reach + 1)])
    p = np.add.reduce([p[:, k : k + a.shape[1]] for k in range(2 * reach + 1)])
    return np.asarray(p / (2 * reach + 1) ** 2, np.float32)


@dataclass(frozen=True, slots=True)
class Clouds:
    """Clouds drift before the sun: shadows with wide soft edges cross the ground.

    cover: mean share of the sun that is taken, 0 to 1. drift_m_per_s: of the shadows over the ground.
    edge_m: length of the half-shadow; a cloud at 1000 m blurs by 9 m, as the sun is 0.5 degrees wide.
    """

    cover: float = 0.4
    drift_m_per_s: float = 7.0
    edge_m: float = 9.0

    def __post_init__(self) -> None:
        check("cover", self.cover, 0.0, 1.0)
        check("drift_m_per_s", self.drift_m_per_s, 0.0, 40.0)
        check("edge_m", self.edge_m, 1.0, 500.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _CloudRun(self, view, seed)


class _CloudRun(Run):
    """One long profile of cloud thickness, laid over the ground and moved with the wind."""

    def __init__(self, clouds: Clouds, view: View, seed: int) -> None:
        self._clouds = clouds
        r = np.random.default_rng([seed, 53])
        count, per_m = 4096, 1.0  # 4 km of clouds at a metre each, then again
        profile = np.zeros(count)
        for wave, weight in ((512, 1.0), (256, 0.8), (128, 0.6), (64, 0.35), (32, 0.2)):
            coarse = r.standard_normal(count // wave)
            at = np.arange(count) / wave
            i, a = np.floor(at).astype(int) % len(coarse), at % 1
            a = a * a * (3 - 2 * a)
            profile += weight * (coarse[i] * (1 - a) + coarse[(i + 1) % len(coarse)] * a)
        thick = np.clip((profile - np.quantile(profile, 1 - clouds.cover)) * 2.5 + 0.5, 0, 1)
        reach = max(1, int(clouds.edge_m))
        kernel = np.hanning(reach + 2)
        kernel /= kernel.sum()
        soft = np.convolve(np.concatenate([thick[-reach:], thick, thick[:reach]]), kernel, "same")[
            reach:-reach
        ]
        self._share: F32 = (1 - 0.88 * soft).astype(
            np.float32
        )  # under a cumulus an eighth of the sun's lux is left
        x, _, z = view.place.world()
        angle = float(r.uniform(-0.6, 0.6))
        along = x * np.float32(np.cos(angle)) + np.minimum(z, 60) * np.float32(np.sin(angle))
        self._along: F32 = ((along + 100) * per_m * 16).astype(
            np.float32
        )  # sixteenths of a metre: smooth in time
        fine = np.arange(count * 16) / 16
        self._fine: F32 = np.interp(
            fine, np.arange(count + 1), np.append(self._share, self._share[0])
        ).astype(np.float32)
        self._at = np.empty(self._along.shape, np.int32)
        self._out: F32 = np.empty_like(self._along)
        self._start_m = float(r.uniform(0, count))

    def light(self, view: View) -> None:
        start = (self._start_m + self._clouds.drift_m_per_s * view.t_s) * 16
        np.add(self._along, np.float32(start % self._fine.size), out=self._out)
        self._at[...] = self._out
        np.take(self._fine, self._at, mode="wrap", out=self._out)
        view.lights.sun_share = self._out
        mean = float(self._out[::8, ::8].mean())
        view.lights.ambient_lx *= 1.0 + 0.35 * (1 - mean)  # clouds scatter: the sky gets brighter
