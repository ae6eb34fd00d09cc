"""The detector over a recording, as fast as it goes.

Rule 1: it is the device's own detector at the device's own pace and size; only the frames come from a file.
Rule 2: a machine reads JSON lines on standard output; people's words and the progress go elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from device.config import Camera
from device.errors import ConfigError
from device.messages import SeeToTell
from device.see.detector import Detector, Reason
from device.see.frame import Watched
from device.see.mask import watched
from device.see.video import Recording, watch_size

WORDS = {
    SeeToTell.MOTION_STARTED: "motion",
    SeeToTell.MOTION_ENDED: "motion ended",
    SeeToTell.VIEW_BLOCKED: "view blocked",
    SeeToTell.VIEW_CLEAR: "view clear",
}


# What a second is said to have been: of its frames' reasons the last in this order.
WEIGHT = [Reason.QUIET, Reason.TOO_SMALL, Reason.LIGHT_UNSTEADY, Reason.GATHERING, Reason.LIGHT_JUMP, Reason.WARMING_UP,
          Reason.HOLDING, Reason.STANDING, Reason.BODY]


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


@dataclass(frozen=True, slots=True)
class Told:
    """What would have been told, and at which frame of the recording as stored."""

    message: SeeToTell
    frame: int
    t_s: float

    def json(self) -> dict[str, object]:
        """As a machine reads it."""
        return {"event": self.message.name.lower(), "frame": self.frame, "t_s": round(self.t_s, 3)}

    def words(self) -> str:
        """As a person reads it."""
        return f"{_clock(self.t_s)}  {WORDS[self.message]}"


@dataclass(frozen=True, slots=True)
class Second:
    """Why a second was, or was not, motion: what weighed most in it. No picture is in it, so it can be shown."""

    t_s: float
    reason: Reason
    evidence: float  # the most, as a share of what is enough
    changed_share: float  # the most, of the picture
    noise_levels: float

    @classmethod
    def of(cls, detector: Detector, t_s: float, before: Second | None) -> Second:
        """Add the detector's last look to what is known of the same second."""
        now = cls(t_s, detector.reason, detector.evidence, detector.changed_share, detector.noise_levels)
        if before is None:
            return now
        reason = max(before.reason, now.reason, key=WEIGHT.index)
        return cls(before.t_s, reason, max(before.evidence, now.evidence),
                   max(before.changed_share, now.changed_share), now.noise_levels)

    def json(self) -> dict[str, object]:
        """As a machine reads it."""
        return {"event": "second", "t_s": round(self.t_s, 3), "reason": self.reason.name.lower(),
                "evidence": round(self.evidence, 2), "changed_share": round(self.changed_share, 4),
                "noise_levels": round(self.noise_levels, 2)}

    def words(self) -> str:
        """As a person reads it."""
        return (f"{_clock(self.t_s)}      evidence {self.evidence:4.0%}, changed {self.changed_share:5.1%}, "
                f"noise {self.noise_levels:4.1f}: {self.reason.value}")


def _clock(t_s: float) -> str:
    return f"{int(t_s // 60):4d}:{t_s % 60:05.2f}"


@dataclass(slots=True)
class Run:
    """One pass of the detector over a recording, and what the detector itself took."""

    recording: Recording
    detector: Detector
    frames: int = 0  # looked at
    took_s: float = 0.0

    def lines(self, explain: bool, seen: Callable[[int], None]) -> Iterator[Told | Second]:
        """Yield what is told, and with `explain` a line a second; an open episode ends with the recording."""
        index, t_s, moving = -1, 0.0, False
        second: Second | None = None
        for index, frame in self.recording.frames(Camera().frames_per_s):
            began_s = time.perf_counter()
            found = self.detector.step(frame)
            self.took_s += time.perf_counter() - began_s
            self.frames += 1
            t_s = frame.t_s
            if second is not None and int(t_s) > int(second.t_s):
                yield second
                second = None
            for message in found:
                moving = message is SeeToTell.MOTION_STARTED or (moving and message is not SeeToTell.MOTION_ENDED)
                yield Told(message, index, t_s)
            if explain:
                second = Second.of(self.detector, t_s, second)
            seen(index + 1)
        if second is not None:
            yield second
        if moving:
            yield Told(SeeToTell.MOTION_ENDED, index, t_s)

    @property
    def each_us(self) -> float | None:
        """Microseconds a frame in the detector."""
        return round(1e6 * self.took_s / self.frames, 1) if self.frames else None


@dataclass(frozen=True, slots=True)
class How:
    """How a recording is replayed."""

    frames_per_s: float | None = None
    zone: Zone | None = None
    sensitivity: int = 3
    mask: tuple[str, ...] = ()
    json: bool = False
    explain: bool = False

    def detector(self, recording: Recording) -> Detector:
        """Make the detector that looks where zone and mask both allow."""
        wide, high = watch_size(recording.width_px, recording.height_px)
        where = watched(self.mask, high, wide)
        if self.zone is not None:
            zone = self.zone.watched(recording.width_px, recording.height_px)
            where = zone if where is None else zone & where
        return Detector(self.sensitivity, where)


def replay(path: Path, how: How) -> int:
    """Print the events of a recording. Raise RecordingError where it cannot be read to its end."""
    recording = Recording(path, how.frames_per_s)
    count = 0
    try:
        run = Run(recording, how.detector(recording))
        with _progress(path.name, recording.count) as seen:
            try:
                for line in run.lines(how.explain, seen):
                    count += isinstance(line, Told) and line.message is SeeToTell.MOTION_STARTED
                    print(json.dumps(line.json()) if how.json else line.words(), flush=True)
            finally:  # what was found up to there is right, whatever came then
                if how.json:
                    print(json.dumps({"event": "end", "frames": run.frames, "detector_us_per_frame": run.each_us}))
                elif run.frames:
                    print(f"{count} times motion; {run.frames} frames looked at, {run.each_us} us each in the detector")
    finally:
        recording.close()
    return 0


@contextlib.contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show in a terminal, and only there, how far it is; hand out what moves the bar."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} frames"),
                  TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(name, total=total)
        yield lambda done: progress.update(bar, completed=done)
