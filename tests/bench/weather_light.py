"""Light that changes: sun in and out, lamp, infrared filter, headlights, mains flicker.

Rule 1: each effect is a function of time alone, so it goes on for hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin, tau

import numpy as np

from device.see.porch_place import NORMALS
from device.see.porch_scene import Run, check
from device.see.porch_view import View


def eased(share: float) -> float:
    """0 to 1 with soft ends."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def switched(t_s: float, first_s: float, every_s: float, fade_s: float) -> float:
    """A switch that turns over at first_s and then each every_s: 0 before, fading to 1, later back to 0."""
    if t_s < first_s:
        return 0.0
    turns, since_s = divmod(t_s - first_s, every_s)
    share = eased(since_s / fade_s)
    return share if int(turns) % 2 == 0 else 1 - share


@dataclass(frozen=True, slots=True)
class SunInOut:
    """The sun goes in and comes out, all over the scene at once, within `fade_s`."""

    first_s: float = 8.0
    every_s: float = 14.0
    fade_s: float = 1.5  # the edge of a low cloud, 10 m wide, at 7 m/s

    def __post_init__(self) -> None:
        check("first_s", self.first_s, 0.0, 3600.0)
        check("every_s", self.every_s, 1.0, 3600.0)
        check("fade_s", self.fade_s, 0.05, 600.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _SunRun(self)


class _SunRun(Run):
    def __init__(self, how: SunInOut) -> None:
        self._how = how

    def light(self, view: View) -> None:
        gone = switched(view.t_s, self._how.first_s, self._how.every_s, self._how.fade_s)
        view.lights.sun_lx *= 1 - 0.92 * gone
        view.lights.ambient_lx *= 1 + 0.25 * gone


@dataclass(frozen=True, slots=True)
class LampSwitch:
    """The porch lamp goes on and off: at once (`warm_s` small), or warming up as old energy savers do."""

    first_s: float = 10.0
    every_s: float = 17.0
    warm_s: float = 0.05
    starts_on: bool = True

    def __post_init__(self) -> None:
        check("first_s", self.first_s, 0.0, 3600.0)
        check("every_s", self.every_s, 1.0, 3600.0)
        check("warm_s", self.warm_s, 0.01, 120.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _LampRun(self)


class _LampRun(Run):
    def __init__(self, how: LampSwitch) -> None:
        self._how = how

    def light(self, view: View) -> None:
        share = switched(view.t_s, self._how.first_s, self._how.every_s, self._how.warm_s)
        view.lights.lamp_cd *= 1 - share if self._how.starts_on else share


@dataclass(frozen=True, slots=True)
class IrCut:
    """At dusk the camera swings its infrared filter out and lights its LEDs; later back again.

    The LEDs come on first, the filter follows within a few frames, then the exposure finds its way.
    """

    first_s: float = 15.0
    every_s: float = 25.0
    ir_cd: float = 400.0
    filter_s: float = 0.2  # a solenoid and a few frames of the driver

    def __post_init__(self) -> None:
        check("first_s", self.first_s, 0.0, 3600.0)
        check("every_s", self.every_s, 2.0, 3600.0)
        check("ir_cd", self.ir_cd, 1.0, 10_000.0)
        check("filter_s", self.filter_s, 0.02, 2.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _IrCutRun(self)


class _IrCutRun(Run):
    def __init__(self, how: IrCut) -> None:
        self._how = how

    def light(self, view: View) -> None:
        how = self._how
        leds = switched(view.t_s, how.first_s, how.every_s, 0.06)
        out = switched(view.t_s - 0.25, how.first_s, how.every_s, how.filter_s)
        view.lights.ir_cd = how.ir_cd * leds * (0.02 + 0.98 * out)  # a cut filter passes 2 % of 850 nm
        view.lights.ambient_lx *= 1 + 0.4 * out  # without it the sensor sees more of everything
        moving = 4 * out * (1 - out)  # half-way the filter's frame darkens the picture
        for name in ("ambient_lx", "lamp_cd", "ir_cd"):
            setattr(view.lights, name, getattr(view.lights, name) * (1 - 0.5 * moving))


@dataclass(frozen=True, slots=True)
class Headlights:
    """Cars turn behind the camera: their beams sweep over house and garden, with moving shadows."""

    every_s: float = 11.0
    sweep_s: float = 3.0
    candela: float = 12_000.0  # a dipped beam's bright part: 10,000 to 20,000 cd

    def __post_init__(self) -> None:
        check("every_s", self.every_s, 1.0, 3600.0)
        check("sweep_s", self.sweep_s, 0.2, 60.0)
        check("candela", self.candela, 1.0, 1e5)

    def __call__(self, view: View, seed: int) -> Run:
        return _HeadlightsRun(self, view, seed)


POSTS = ((-0.6, -2.0, 0.10), (1.9, -1.0, 0.10), (3.4, 3.0, 0.18), (0.9, -4.0, 0.25))  # x, z, radius in metres


class _HeadlightsRun(Run):
    def __init__(self, how: Headlights, view: View, seed: int) -> None:
        self._how, self._seed = how, seed
        self._x, self._y, self._z = view.place.world()
        self._normal = NORMALS[view.place.normal]

    def light(self, view: View) -> None:
        turn = int(view.t_s // self._how.every_s)
        r = np.random.default_rng([self._seed, turn, 71])
        start_s = turn * self._how.every_s + float(r.uniform(0.1, 0.4)) * self._how.every_s
        share = (view.t_s - start_s) / (self._how.sweep_s * float(r.uniform(0.6, 1.5)))
        if not 0 <= share <= 1:
            return
        way = 1.0 if r.uniform() < 0.5 else -1.0
        at_x, at_z = way * (share - 0.5) * 24.0, -13.0  # m: crosses behind the camera
        aim = way * (0.5 - share) * -1.5 + way * 0.35  # rad from straight ahead: it turns as it goes
        dx, dy, dz = self._x - np.float32(at_x), self._y - np.float32(0.7), self._z - np.float32(at_z)
        far2 = dx * dx + dy * dy + dz * dz
        off = np.arctan2(dx, dz) - np.float32(aim)
        up = dy / np.sqrt(far2)
        beam = np.exp(-0.5 * (off / 0.22) ** 2) * (
            0.06 + 0.94 / (1 + np.exp((up - 0.01) * 90))
        )  # dipped: dark above
        n = self._normal
        cosine = np.clip(-(n[..., 0] * dx + n[..., 1] * dy + n[..., 2] * dz) / np.sqrt(far2), 0, 1)
        light = np.float32(self._how.candela * sin(pi * share)) * beam * cosine / far2
        for px, pz, radius in POSTS:  # things between car and house throw shadows that run the other way
            k = (pz - at_z) / np.maximum(dz, 0.1)
            aside = np.abs(np.float32(at_x) + dx * k - np.float32(px))
            light *= np.clip((aside - radius) / 0.06 + 0.5, 0.05, 1)
        view.lights.extra_lx = np.where(self._z > 200, 0, light).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Flicker:
    """Mains flicker under a rolling shutter: bands that roll at the beat of mains and camera.

    depth: how much of the lamp's light swings at 100 Hz. What is left of it depends on the exposure:
    over whole periods it averages out.
    """

    depth: float = 0.8
    beat_hz: float = 0.35
    readout_s: float = 0.025
    lamp_cd: float = 4000.0  # a flood light; exposure falls below the 10 ms that would average it out

    def __post_init__(self) -> None:
        check("depth", self.depth, 0.0, 1.0)
        check("beat_hz", self.beat_hz, 0.0, 50.0)
        check("readout_s", self.readout_s, 0.001, 0.1)
        check("lamp_cd", self.lamp_cd, 0.0, 1e5)

    def __call__(self, view: View, seed: int) -> Run:
        return _FlickerRun(self, view, seed)


class _FlickerRun(Run):
    def __init__(self, how: Flicker, view: View, seed: int) -> None:
        self._how = how
        self._row_s = np.linspace(0, how.readout_s, view.rows, dtype=np.float32)[:, None]
        self._phase = float(np.random.default_rng([seed, 72]).uniform(0, tau))

    def light(self, view: View) -> None:
        view.lights.lamp_cd = self._how.lamp_cd
        left = abs(float(np.sinc(100.0 * view.exposure_us * 1e-6))) * self._how.depth
        beat = tau * self._how.beat_hz * view.t_s + self._phase
        view.lights.lamp_share = (1 + left * np.cos(np.float32(tau * 100) * self._row_s + beat)).astype(
            np.float32
        )
