"""Others who come and go: a cat, a car.

Rule 1: each says in `marks` what it is to the ground truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin, sqrt

import numpy as np

from device.see.porch_scene import Mark, Run, check
from device.see.porch_view import View

Marks = tuple[list[Mark], list[Mark], list[Mark]]


@dataclass(frozen=True, slots=True)
class Cat:
    """A cat crosses the porch now and then. Ignored by the ground truth: it moves, and is nobody."""

    first_s: float = 12.0
    every_s: float = 30.0
    speed_m_per_s: float = 0.8

    def __post_init__(self) -> None:
        check("first_s", self.first_s, 0.0, 3600.0)
        check("every_s", self.every_s, 5.0, 3600.0)
        check("speed_m_per_s", self.speed_m_per_s, 0.1, 6.0)

    def __call__(self, view: View, seed: int) -> Run:
        return _CatRun(self, seed)


class _CatRun(Run):
    LEFT_M, RIGHT_M = -5.0, 7.0

    def __init__(self, how: Cat, seed: int) -> None:
        self._how, self._seed = how, seed

    def _lasts_s(self) -> float:
        return (self.RIGHT_M - self.LEFT_M) / self._how.speed_m_per_s

    def draw(self, view: View) -> None:
        turn, since = divmod(view.t_s - self._how.first_s, self._how.every_s)
        if turn < 0 or since > self._lasts_s():
            return
        r = np.random.default_rng([self._seed, int(turn), 82])
        way, z = (1.0 if r.uniform() < 0.5 else -1.0), float(r.uniform(3.7, 4.8))
        albedo = float(r.choice([0.06, 0.25, 0.5]))
        s = since * self._how.speed_m_per_s
        x = self.LEFT_M + s if way > 0 else self.RIGHT_M - s
        ambient, sun, lamp, ir, extra = view.light_at((x, 0.2, z))
        lux = (0.7 * ambient + 0.5 * sun + 0.6 * lamp + extra) * albedo + ir * (0.3 + 0.4 * albedo)
        shadow = view.capsule((x - 0.2 * way, 0.0, z), (x + 0.2 * way, 0.0, z), 0.08, 0.08, 2.0)
        if shadow is not None:
            view.darken(shadow.box, shadow.cover * 0.6, 0.5, direct=True)
        for k, leg in enumerate((-0.18, -0.14, 0.14, 0.18)):
            swing = 0.07 * sin(s * 14 + k * pi * 0.9)
            view.paint(
                view.capsule((x + way * leg, 0.16, z), (x + way * (leg + swing), 0.02, z), 0.022, 0.016),
                lux * 0.8,
            )
        view.paint(view.capsule((x - way * 0.2, 0.22, z), (x + way * 0.18, 0.22, z), 0.075, 0.07), lux)
        view.paint(view.capsule((x + way * 0.28, 0.30, z), (x + way * 0.31, 0.30, z), 0.055, 0.05), lux)
        view.paint(
            view.capsule(
                (x - way * 0.22, 0.26, z), (x - way * 0.42, 0.40 + 0.04 * sin(s * 5), z), 0.02, 0.015
            ),
            lux,
        )

    def marks(self, view: View, frames: int) -> Marks:
        fps, out, k = view.frames_per_s, list[Mark](), 0
        while (start := (self._how.first_s + k * self._how.every_s) * fps) < frames:
            out.append(Mark(int(start), min(frames - 1, int(start + self._lasts_s() * fps) + 1), "a cat"))
            k += 1
        return [], out, []


@dataclass(frozen=True, slots=True)
class Car:
    """A car comes from the right, parks, stays, drives off to the left.

    In the drive (z below 12 m) it is an event; in the street it is ignored while it moves. While it
    stands nothing moves.
    """

    at_s: float = 10.0
    stays_s: float = 30.0
    z_m: float = 17.2
    park_x_m: float = 5.0
    albedo: float = 0.3
    lamps: bool = False

    def __post_init__(self) -> None:
        check("at_s", self.at_s, 0.0, 3600.0)
        check("stays_s", self.stays_s, 1.0, 3600.0)
        check("z_m", self.z_m, 6.0, 30.0)
        check("park_x_m", self.park_x_m, -10.0, 20.0)
        check("albedo", self.albedo, 0.01, 0.95)

    def __call__(self, view: View, seed: int) -> Run:
        return _CarRun(self)


class _CarRun(Run):
    SLOW_M_PER_S2 = 1.5  # an easy braking
    FAST_M_PER_S = 7.0

    def __init__(self, how: Car) -> None:
        self._how = how
        self._reach_m = max(4.0, 1.1 * how.z_m * 0.72 + 4.0 - how.park_x_m)  # from out of view
        self._speed = min(self.FAST_M_PER_S, sqrt(2 * self.SLOW_M_PER_S2 * self._reach_m))
        self._brake_s = self._speed / self.SLOW_M_PER_S2
        self._come_s = (
            self._brake_s + max(0.0, self._reach_m - 0.5 * self._speed * self._brake_s) / self._speed
        )

    def _x(self, t: float) -> float | None:
        """Metres, at t seconds after it came into view."""
        if t < 0:
            return None
        if t < self._come_s:
            left = self._come_s - t
            off = (
                0.5 * self.SLOW_M_PER_S2 * left * left
                if left < self._brake_s
                else (0.5 * self._speed * self._brake_s + (left - self._brake_s) * self._speed)
            )
            return self._how.park_x_m + off
        t -= self._come_s + self._how.stays_s
        if t < 0:
            return self._how.park_x_m
        x = self._how.park_x_m - 0.5 * self.SLOW_M_PER_S2 * t * t
        return x if x > -12.0 - self._how.z_m else None

    def draw(self, view: View) -> None:
        x = self._x(view.t_s - self._how.at_s)
        if x is None:
            return
        z = self._how.z_m
        ambient, sun, lamp, ir, extra = view.light_at((x, 0.8, z))
        lux = 0.6 * ambient + 0.5 * sun + 0.5 * lamp + ir + extra
        paint = self._how.albedo * lux
        shadow = view.capsule((x - 2.0, 0.05, z), (x + 1.6, 0.05, z), 0.35, 0.35, 2.0)
        if shadow is not None:
            view.darken(shadow.box, shadow.cover * 0.9, 0.7, direct=True)
        view.paint(view.capsule((x - 0.9, 1.05, z), (x + 0.8, 1.05, z), 0.38, 0.38), paint)
        view.paint(view.capsule((x - 0.8, 1.12, z), (x + 0.7, 1.12, z), 0.24, 0.24), 0.08 * lux)
        view.paint(view.capsule((x, 0.9, z), (x, 1.4, z), 0.05, 0.05), paint)
        body = view.capsule((x - 1.85, 0.62, z), (x + 1.85, 0.66, z), 0.36, 0.36)
        if body is not None:
            view.paint(body, paint * (1.0 + 0.35 * body.across))
        for wheel in (-1.3, 1.35):
            view.paint(view.capsule((x + wheel, 0.32, z), (x + wheel, 0.33, z), 0.32, 0.32), 0.04 * lux)
            view.paint(view.capsule((x + wheel, 0.32, z), (x + wheel, 0.33, z), 0.15, 0.15), 0.4 * lux)
        if self._how.lamps:
            view.paint(view.capsule((x - 2.15, 0.68, z), (x - 2.1, 0.68, z), 0.10, 0.10, 2.0), 400.0)

    def marks(self, view: View, frames: int) -> Marks:
        fps, how = view.frames_per_s, self._how
        there = int(how.at_s * fps), int((how.at_s + self._come_s) * fps) + 1
        back = int((how.at_s + self._come_s + how.stays_s) * fps)
        gone = back + int((2 * (how.park_x_m + 3 + 0.75 * how.z_m) / self.SLOW_M_PER_S2) ** 0.5 * fps)
        spans = [
            Mark(a, min(b, frames - 1), what)
            for a, b, what in ((*there, "a car arrives and parks"), (back, gone, "the car drives off"))
            if a < frames
        ]
        if how.z_m < 12:
            edges = [Mark(m.start, min(m.start + int(0.3 * fps), m.end), "edge") for m in spans]
            edges += [
                Mark(max(m.start, m.end - int(fps)), min(frames - 1, m.end + int(fps)), "edge") for m in spans
            ]
            return spans, edges, []
        return [], spans, []
