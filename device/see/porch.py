"""A rendered front porch to stand in for a camera: the demo's picture, and the benchmarks' weather.

Rule 1: pure. No clock, no I/O; the same scene, seed and size give the same bytes.
Rule 2: no picture of a real place or person went into it; everything is drawn from numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from device.see.frame import Frame
from device.see.porch_air import Clouds, Wind
from device.see.porch_build import build, hang_on_door
from device.see.porch_scene import (
    AutoExposure,
    Effect,
    Light,
    Mark,
    Run,
    Scene,
    Sensor,
    Visit,
    Way,
)
from device.see.porch_sensor import Exposure, Imager
from device.see.porch_view import Lights, View
from device.see.porch_visit import FEW_PX, Walker, depth_of

__all__ = [
    "DEMO",
    "AutoExposure",
    "Effect",
    "Light",
    "Mark",
    "Porch",
    "Run",
    "Scene",
    "Sensor",
    "Visit",
    "Way",
]

# Somebody comes up the drive at once, and a new visitor every 25 s: an alert, a calm, an alert.
DEMO = Scene(
    visits=(Visit(0.5, Way.DRIVE, stand_s=4.0),),
    every_s=25.0,
    effects=(Wind(0.5), Clouds(0.25)),
    what="the demo's porch: a visitor every 25 s",
)
# The demo's visitors: which ways they take, in turn with the seed. All of them ring or pass in full view.
DEMO_WAYS = (Way.DRIVE, Way.STREET, Way.NEAR, Way.DRIVE)


class Porch:
    """Renders one scene. Frames are asked for in rising order; buffers are reused between them.

    seed: 0 to 2**31; geometry, timing and noise follow from it, and content too unless the scene says.
    width_px 32 to 1920, height_px 24 to 1080, frames_per_s 1 to 60; ValueError outside.
    """

    def __init__(
        self,
        scene: Scene,
        seed: int = 0,
        width_px: int = 160,
        height_px: int = 120,
        frames_per_s: float = 10.0,
    ) -> None:
        for name, value, low, high in (
            ("seed", seed, 0, 2**31),
            ("width_px", width_px, 32, 1920),
            ("height_px", height_px, 24, 1080),
            ("frames_per_s", frames_per_s, 1, 60),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}: must be between {low} and {high}")
        self.scene, self.seed, self.frames_per_s = scene, seed, frames_per_s
        self._content = seed if scene.content is None else scene.content
        place = build(width_px, height_px, seed=seed)
        hang_on_door(place, self._content)
        self.view = View(place, scene.light, frames_per_s)
        self._imager = Imager(scene.sensor, (height_px, width_px), seed)
        self._exposure = Exposure(scene.exposure, frames_per_s)
        self._walkers = [
            Walker(visit, number, seed, self._content) for number, visit in enumerate(scene.visits)
        ]
        self._next_number = len(self._walkers)
        self._next_s = scene.every_s or float("inf")
        self.runs = [effect(self.view, seed * 131 + number) for number, effect in enumerate(scene.effects)]
        for run in self.runs:
            run.meet(self._walkers)
        self._last = -1
        self._ready = False

    @property
    def visits(self) -> list[tuple[int, int, str]]:
        """Ground truth: (first frame, last frame, what), both included, in which a visitor is in view.

        Of an endless scene: the visits that began before the last frame that was asked for, or in its
        first minute.
        """
        end_s = (
            self.scene.seconds
            if self.scene.seconds is not None
            else max(60.0, self._last / self.frames_per_s)
        )
        self._plan(end_s)
        return self._spans(0.0)

    def well_in_view(self, least_px: float = FEW_PX) -> list[tuple[int, int, str]]:
        """As `visits`, but only while more than `least_px` (of a 160 x 120 picture) are covered."""
        return self._spans(least_px)

    def _spans(self, least_px: float) -> list[tuple[int, int, str]]:
        last = None if self.scene.seconds is None else int(self.scene.seconds * self.frames_per_s) - 1
        found = []
        self.view.lights = Lights(*self.view.base)
        for walker in self._walkers:
            span = walker.in_view(self.view, least_px)
            if span is not None and (last is None or span[0] <= last):
                end = span[1] if last is None else min(span[1], last)
                found.append((span[0], end, walker.visit.what or walker.visit.way.value))
        return sorted(found)

    def _plan(self, until_s: float) -> None:
        """Invent the endless scene's visitors up to a time."""
        every_s = self.scene.every_s
        while every_s is not None and self._next_s <= until_s:
            r = np.random.default_rng([self.seed, self._next_number, 41])
            visit = Visit(
                self._next_s + float(r.uniform(0, 0.2 * every_s)),
                DEMO_WAYS[int(r.integers(0, len(DEMO_WAYS)))],
                float(r.uniform(1.1, 1.7)),
                float(r.uniform(3.0, 6.0)),
            )
            self._walkers.append(Walker(visit, self._next_number, self.seed, self._content))
            self._next_number += 1
            self._next_s += every_s

    def frame(self, index: int) -> Frame:
        """Frame number `index`, from 0; its luma is valid until the next is asked for.

        ValueError if frames are asked for in falling order.
        """
        if index <= self._last or index < 0:
            raise ValueError(f"frame {index} was asked for after {self._last}: ask in rising order")
        if not self._ready:
            self._settle(index)
        self._last = index
        view = self.view
        exposure_us, gain = self._exposure.now()
        view.exposure_us = exposure_us
        self._render(index / self.frames_per_s)
        mean = self._imager.take(view.lin, exposure_us, gain, index)
        self._exposure.see(mean)
        told = self.scene.exposure.told
        return Frame(self._imager.luma, view.t_s, exposure_us if told else None, gain if told else None)

    def _settle(self, index: int) -> None:
        """Before the first frame the camera has been running for a while: exposure fits the empty porch."""
        self._render(index / self.frames_per_s, people=False)
        self._exposure.settle(float(np.minimum(self.view.lin, np.percentile(self.view.lin, 98)).mean()))
        for _ in range(40):
            exposure_us, gain = self._exposure.now()
            full = self.view.lin * np.float32(exposure_us * 1e-6 * gain / 25.0)
            self._exposure.see(float(np.minimum(full, 1).mean()))
        self._ready = True

    def _render(self, t_s: float, people: bool = True) -> None:
        view = self.view
        view.t_s, view.lights, view.shift_px = t_s, Lights(*view.base), (0.0, 0.0)
        for run in self.runs:
            run.light(view)
        view.light_up()
        for run in self.runs:
            run.bend(view)
        for run in self.runs:
            run.draw(view)
        if people:
            self._plan(t_s)
            if self.scene.seconds is None:  # an endless scene forgets those who have left
                self._walkers = [walker for walker in self._walkers if walker.end_s > t_s - 600.0]
            here = [walker for walker in self._walkers if walker.visit.at_s <= t_s <= walker.end_s]
            for walker in sorted(here, key=lambda w: -depth_of(w, t_s)):
                walker.draw(view)
        for run in self.runs:
            run.front(view)

    def frames(self) -> Iterator[Frame]:
        """All frames of the scene; endless where the scene is."""
        index, count = 0, None if self.scene.seconds is None else int(self.scene.seconds * self.frames_per_s)
        while count is None or index < count:
            yield self.frame(index)
            index += 1
