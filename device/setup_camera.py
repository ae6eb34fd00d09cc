"""The camera's trial in `doorstep setup`: what it gives, as numbers.

Rule 1: no picture is shown, kept or passed on; of each frame there is a mean.
Rule 2: the process that opens it has nothing else: it is confined as `see` is, and says six numbers.
Rule 3: a driver that hangs is waited for ANSWER_MOST_S, and no longer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from device import sandbox
from device.config import Broker, Config, parse, to_toml
from device.errors import CameraError, DoorstepError
from device.sandbox_calls import Role
from device.see.camera import open_camera
from device.see.detector import Detector
from device.see.detector_cells import Grid
from device.see.frame import Frame
from device.see.health import DARK_LEVELS, LEAST_STRUCTURE_LEVELS, Health
from device.see.mask import watched
from device.stopping import die_with_parent

LASTS_S = 5.0  # the noise is known after 1.5 s, a camera's exposure settles within 2
ANSWER_MOST_S = 20.0  # opening, LASTS_S, and the 5 s after which silence is an error
PACE_LEAST = 0.7  # of the rate that was asked for
WHITE_LEVELS = 235.0  # what is brighter on average has lost most of what there is to see


@dataclass(frozen=True, slots=True)
class Seen:
    """What the camera gave."""

    frames_per_s: float
    width_px: float
    height_px: float
    brightness_levels: float  # mean of what is watched in the last frame, 0 to 255
    noise_levels: float  # as the detector says
    structure_levels: float  # as it judges whether the view is blocked

    def in_words(self, wanted_per_s: float) -> str:
        """Say it in one line."""
        size = f"{self.width_px:.0f} x {self.height_px:.0f}"
        return (f"{self.frames_per_s:.1f} frames/s of {wanted_per_s:g}, {size}, grey; "
                f"brightness {self.brightness_levels:.0f} of 255, noise {self.noise_levels:.1f}, "
                f"structure {self.structure_levels:.1f}")

    def doubts(self, wanted_per_s: float) -> Iterator[str]:
        """Say what may be wrong."""
        if not self.frames_per_s >= PACE_LEAST * wanted_per_s:
            yield (f"Fewer frames than asked for. In the dark cameras slow down; else ask for less: "
                   f"frames_per_s = {max(2, round(self.frames_per_s))} under [camera].")
        if self.brightness_levels < DARK_LEVELS:
            yield "It is dark: is the lens covered? At night without a lamp that is as it should be."
        if self.brightness_levels > WHITE_LEVELS:
            yield "Nearly all is white: does the sun or a lamp shine into the lens?"
        if self.structure_levels < LEAST_STRUCTURE_LEVELS:
            yield "There is hardly anything to see: a covered lens, a bare wall, or a focus that is far off?"


def measure(frames: Iterator[Frame], config: Config, lasts_s: float = LASTS_S) -> Seen:
    """Look at frames for a while. Raise CameraError where there are too few to say anything."""
    sensitivity, health, grid, detector = config.detector.sensitivity, Health(), None, Detector()
    began_s = last_s = time.monotonic()
    count, brightness_levels, share, size = 0, 0.0, 1.0, (0, 0)
    for frame in frames:
        last_s = time.monotonic()
        if grid is None or size != frame.luma.shape:
            size = frame.luma.shape
            mask = watched(config.camera.mask, *size)
            detector, grid, began_s, count = Detector(sensitivity, mask), Grid(*size, mask), last_s, 0
            share = 1.0 if mask is None else float(mask.mean())  # what is masked is zeroed
        detector.step(frame)
        cells = grid.cells(frame.luma)
        health.look(cells, frame.t_s)
        count, brightness_levels = count + 1, float(cells.mean()) / share
        if last_s - began_s >= lasts_s:
            break
    if count < 2 or last_s <= began_s:
        raise CameraError("the camera gave no two frames", "is it another program's? try: doorstep walk")
    return Seen((count - 1) / (last_s - began_s), size[1], size[0], brightness_levels, detector.noise_levels,
                health.structure_levels)


def look(config: Config) -> Seen:
    """Have a process that has the camera alone look for LASTS_S. Raise CameraError."""
    command = [sys.executable, "-m", "device.setup_camera", str(os.getpid())]
    try:  # a session of its own: Ctrl-C reaches us, and ends it
        done = subprocess.run(command, input=to_toml(replace(config, broker=Broker())), capture_output=True, text=True,
                              timeout=ANSWER_MOST_S, start_new_session=True, check=False,
                              env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})  # else numpy has threads before it
    except subprocess.TimeoutExpired:
        raise CameraError(f"the camera does not answer within {ANSWER_MOST_S:g} s",
                          "unplug it, and plug it in again") from None
    try:
        said = json.loads(done.stdout)
        if done.returncode == 0:
            return Seen(**{item.name: float(said[item.name]) for item in fields(Seen)})
        raise CameraError(str(said["message"]), str(said["hint"]))
    except (ValueError, KeyError, TypeError):
        why = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise CameraError(f"the camera's trial ended: {why[0]}", "try: doorstep walk") from None


def main() -> int:
    """`python -m device.setup_camera PARENT_PID`, settings on standard input: look, confined as `see` is, and print."""
    die_with_parent(int(sys.argv[1]), signal.SIGKILL)
    config = parse(sys.stdin.read())
    drawn = config.camera.source in ("porch", "file")
    role = Role.SEE if drawn else Role.CAMERA
    try:
        sandbox.give_up(role, reads=[Path(config.camera.path)] if config.camera.source == "file" else [])
        sandbox.shut(role)
        print(json.dumps(asdict(measure(open_camera(config.camera).frames(), config))), flush=True)
        os._exit(0)  # closing a driver that hangs does not return; the process's end lets it go
    except DoorstepError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}), flush=True)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
