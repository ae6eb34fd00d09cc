"""How long one frame takes: the detector beside those of its peers that look at frames in memory, and a copy.

Measured: processor time (of all threads) of one step per frame, on the same rendered frames, with nobody there and
with a visitor in each, already in memory; each contestant in turn, order rotating, median over the turns.
Not measured: rendering, the camera, memory that is cold (ten frames a second leave it colder than this),
and whether the answer is right: that is the weather's and the recordings' part.

Rule 1: the same frames for all, as many at each size, and OpenCV gets one thread, as the detector has.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from device.see.frame import Grey
from device.see.porch import DEMO, Porch, Scene
from tests.bench import FRAMES_PER_S
from tests.bench.peers import OURS, peers

SIZES = ((160, 120), (320, 240), (640, 480), (1280, 720))  # the watching stream, to what a webcam gives by default
VISITOR = "a visitor"
SCENES = {"empty": Scene(), VISITOR: DEMO}
SEED = 1  # any; the same at each size
FIRST, FRAMES = 25, 60  # 2.5 s into the demo its first visitor is in full view, and then comes to the door
TURNS_LEAST = 5  # a median of fewer is no median
COPY = "one copy"

Step = Callable[[Grey, float], object]


@dataclass(frozen=True, slots=True)
class Size:
    """One picture size and scene: microseconds per frame by contestant, and its median ratio to the detector's in its turn."""

    scene: str
    width_px: int
    height_px: int
    turns: int
    per_frame_us: dict[str, float]
    detectors_each: dict[str, float]  # the contestant's time as a multiple of the detector's

    @property
    def pixels(self) -> int:
        return self.width_px * self.height_px


@dataclass(frozen=True, slots=True)
class Speed:
    """All scenes at all sizes, smallest first."""

    sizes: tuple[Size, ...]
    faults: tuple[str, ...] = ()

    @property
    def growth(self) -> tuple[float, float]:
        """From the smallest to the largest size: how many times the pixels, how many times the detector's time."""
        first, *_, last = (size for size in self.sizes if size.scene == VISITOR)
        return last.pixels / first.pixels, last.per_frame_us[OURS] / first.per_frame_us[OURS]


def measure(seconds: float) -> Speed:
    """Measure for about `seconds`, drawing included; a slow machine takes longer, for TURNS_LEAST turns of each size."""
    each = [(scene, *size) for size in SIZES for scene in SCENES]
    began_s, share_s = time.monotonic(), seconds / len(each)
    return Speed(tuple(_size(*one, began_s + share_s * number) for number, one in enumerate(each, 1)))


def _size(scene: str, width_px: int, height_px: int, until_s: float) -> Size:
    porch = Porch(SCENES[scene], SEED, width_px, height_px, FRAMES_PER_S)
    there = [porch.frame(FIRST + number).luma.copy() for number in range(FRAMES)]
    frames = there + there[-2:0:-1]  # there and back: nothing jumps however often it is shown
    kept = np.empty_like(there[0])
    contestants: dict[str, Step] = {**peers(there[0], FRAMES_PER_S, None), COPY: lambda luma, _: np.copyto(kept, luma)}
    clocks = {name: itertools.count() for name in contestants}
    names = list(contestants)
    for name in names:
        _turn(contestants[name], frames, clocks[name])  # buffers are made, models and noise are learnt
    spent_us: dict[str, list[float]] = {name: [] for name in names}
    turns = 0
    while turns < TURNS_LEAST or time.monotonic() < until_s:
        for name in names:
            spent_us[name].append(_turn(contestants[name], frames, clocks[name]))
        names.append(names.pop(0))  # nobody always runs on the cache that the same one left
        turns += 1
    ratios = {name: statistics.median(each / ours for each, ours in zip(spent_us[name], spent_us[OURS], strict=True))
              for name in contestants}
    return Size(scene, width_px, height_px, turns, {name: statistics.median(spent_us[name]) for name in contestants}, ratios)


def _turn(step: Step, frames: list[Grey], clock: Iterator[int]) -> float:
    """Return microseconds of processor time per frame; process_time leaves a busy neighbour out."""
    began_ns = time.process_time_ns()
    for frame in frames:
        step(frame, next(clock) / FRAMES_PER_S)
    return (time.process_time_ns() - began_ns) / len(frames) / 1e3
