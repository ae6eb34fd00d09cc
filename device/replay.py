"""The detector over a recording, as fast as it goes.

Rule 1: it is the device's own detector at the device's own pace and size; only the frames come from a file.
Rule 2: a machine reads JSON lines on standard output; people's words and the progress go elsewhere.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from device.config import Camera
from device.config import Detector as DetectorSettings
from device.errors import ConfigError
from device.messages import SeeToTell
from device.see.detector import Detector
from device.see.frame import Watched
from device.see.video import Recording, watch_size

WORDS = {
    SeeToTell.MOTION_STARTED: "motion",
    SeeToTell.MOTION_ENDED: "motion ended",
    SeeToTell.VIEW_BLOCKED: "view blocked",
    SeeToTell.VIEW_CLEAR: "view clear",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """A rectangle of the stored picture in pixels, half-open: x to x + width, y to y + height."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int

    @classmethod
    def parse(cls, text: str) -> Zone:
        """Read X,Y,W,H. Raise ConfigError where it is no rectangle."""
        try:
            zone = cls(*map(int, text.split(",")))
        except (TypeError, ValueError):
            raise ConfigError(f"--zone {text} is no rectangle", "give four whole numbers: X,Y,WIDTH,HEIGHT") from None
        if min(zone.x_px, zone.y_px) < 0 or min(zone.width_px, zone.height_px) < 1:
            raise ConfigError(f"--zone {text} is empty or outside", "X and Y from 0, WIDTH and HEIGHT from 1")
        return zone

    def watched(self, width_px: int, height_px: int) -> Watched:
        """Return it as a mask of the watching size of a picture of that size, any touched pixel in."""
        if self.x_px + self.width_px > width_px or self.y_px + self.height_px > height_px:
            raise ConfigError(f"--zone reaches outside the picture of {width_px} x {height_px}",
                              "X + WIDTH and Y + HEIGHT must fit into the picture")
        wide, high = watch_size(width_px, height_px)
        mask = np.zeros((high, wide), np.bool_)
        top, bottom = self.y_px * high // height_px, -(-(self.y_px + self.height_px) * high // height_px)
        left, right = self.x_px * wide // width_px, -(-(self.x_px + self.width_px) * wide // width_px)
        mask[top:bottom, left:right] = True
        return mask


@dataclass(slots=True)
class Cost:
    """What the detector itself took."""

    frames: int = 0  # looked at
    seconds: float = 0.0


def events(
    recording: Recording, detector: Detector, cost: Cost, seen: Progress
) -> Iterator[tuple[SeeToTell, int, float]]:
    """Yield (message, stored frame number, seconds from the beginning); an open episode ends with the recording."""
    bar = seen.add_task(recording.path.name, total=recording.count)
    index, t_s, moving = -1, 0.0, False
    for index, frame in recording.frames(Camera().frames_per_s):
        began_s = time.perf_counter()
        found = detector.step(frame)
        cost.seconds += time.perf_counter() - began_s
        cost.frames += 1
        t_s = frame.t_s
        for message in found:
            moving = message is SeeToTell.MOTION_STARTED or (moving and message is not SeeToTell.MOTION_ENDED)
            yield message, index, t_s
        seen.update(bar, completed=index + 1)
    if moving:
        yield SeeToTell.MOTION_ENDED, index, t_s


def replay(path: Path, frames_per_s: float | None, zone: Zone | None, sensitivity: int | None, as_json: bool) -> int:
    """Print the events of a recording. Raise RecordingError where it cannot be read to its end."""
    recording = Recording(path, frames_per_s)
    cost = Cost()
    progress = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} frames"),
                        TimeRemainingColumn(), console=Console(stderr=True), transient=True,
                        disable=not sys.stderr.isatty())
    count = 0
    try:
        watched = zone.watched(recording.width_px, recording.height_px) if zone else None
        detector = Detector(sensitivity or DetectorSettings().sensitivity, watched)
        with progress:
            for message, index, t_s in events(recording, detector, cost, progress):
                count += message is SeeToTell.MOTION_STARTED
                _print(message, index, t_s, as_json, progress)
    finally:
        recording.close()
        each_us = round(1e6 * cost.seconds / cost.frames, 1) if cost.frames else None
        if as_json:
            print(json.dumps({"event": "end", "frames": cost.frames, "detector_us_per_frame": each_us}))
        elif each_us is not None:
            print(f"{count} times motion; {cost.frames} frames looked at, {each_us} us each in the detector")
    return 0


def _print(message: SeeToTell, index: int, t_s: float, as_json: bool, progress: Progress) -> None:
    if as_json:
        print(json.dumps({"event": message.name.lower(), "frame": index, "t_s": round(t_s, 3)}), flush=True)
    else:
        progress.console.file.flush()
        print(f"{int(t_s // 60):4d}:{t_s % 60:05.2f}  {WORDS[message]}", flush=True)
