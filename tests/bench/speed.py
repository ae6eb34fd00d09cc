"""How long one frame takes: the detector beside those of its peers that look at frames in memory, and a copy.

Measured: processor time (of all threads) of one step per frame, on the same rendered frames with a visitor
in view, already in memory; each contestant in turn, order rotating, median over the turns.
Not measured: rendering, the camera, memory that is cold (ten frames a second leave it colder than this),
and whether the answer is right: that is the weather's and the recordings' part.

Rule 1: the same frames for all, and OpenCV gets one thread, as the detector has.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from device.see.frame import Grey
from device.see.porch import DEMO, Porch
from tests.bench import FRAMES_PER_S
from tests.bench.peers import OURS, peers

# Width, height, frames that are drawn: the watching stream, then up to the largest that a webcam gives by
# default. Drawing takes 4 ms to 0.3 s a frame, which bounds how many there are.
SIZES = ((160, 120, 60), (320, 240, 40), (640, 480, 20), (1280, 720, 10))
SEED = 1  # any; the same at each size
FIRST = 25  # 2.5 s into the demo its first visitor is in full view
TURNS_LEAST = 5  # a median of fewer is no median
COPY = "one copy"

Step = Callable[[Grey, float], object]


@dataclass(frozen=True, slots=True)
class Size:
    """One picture size: microseconds per frame by contestant, and its median ratio to the detector of the same turn."""

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
    """All sizes, smallest first."""

    sizes: tuple[Size, ...]
    faults: tuple[str, ...] = ()

    @property
    def growth(self) -> tuple[float, float]:
        """From the smallest to the largest size: how many times the pixels, how many times the detector's time."""
        first, last = self.sizes[0], self.sizes[-1]
        return last.pixels / first.pixels, last.per_frame_us[OURS] / first.per_frame_us[OURS]


def measure(seconds: float) -> Speed:
    """Measure for about `seconds`, drawing included; a slow machine takes longer, for TURNS_LEAST turns of each size."""
    began_s, share_s = time.monotonic(), seconds / len(SIZES)
    return Speed(tuple(_size(*size, began_s + share_s * number) for number, size in enumerate(SIZES, 1)))


def _size(width_px: int, height_px: int, count: int, until_s: float) -> Size:
    porch = Porch(DEMO, SEED, width_px, height_px, FRAMES_PER_S)
    there = [porch.frame(FIRST + number).luma.copy() for number in range(count)]
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
    return Size(width_px, height_px, turns, {name: statistics.median(spent_us[name]) for name in contestants}, ratios)


def _turn(step: Step, frames: list[Grey], clock: Iterator[int]) -> float:
    """Return microseconds of processor time per frame; process_time leaves a busy neighbour out."""
    began_ns = time.process_time_ns()
    for frame in frames:
        step(frame, next(clock) / FRAMES_PER_S)
    return (time.process_time_ns() - began_ns) / len(frames) / 1e3
