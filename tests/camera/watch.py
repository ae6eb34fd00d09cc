"""`doorstep` on the virtual camera: a walker crosses the picture again and again.

SIGUSR1: the camera hangs. SIGUSR2: it goes on. At the end standard output has the stream sizes ever configured, and
when pictures larger than the watched ones were delivered.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys

import numpy as np

from device import sandbox
from device.cli import main
from device.sandbox_calls import Role
from device.see.camera import WATCH_HEIGHT_PX, WATCH_WIDTH_PX
from device.see.frame import Grey
from tests.camera import virtualcam

ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}  # numpy is loaded here before `see` can say so: it has one thread when confined
WARNINGS = "error,ignore:setDaemon() is deprecated:DeprecationWarning"  # picamera2's own; see conftest.py
EVERY = 60  # frames; 6 s: time to learn the place (1.5 s), to walk through it and to be gone
FIRST, STEP_PX = 25, 5  # frames before the walk, and its pace


def walker(n: int, width_px: int, height_px: int) -> Grey:
    """A door with a person-sized figure crossing it; sensor noise of a few levels. Large it is the same, enlarged."""
    if width_px > WATCH_WIDTH_PX:
        small = walker(n, WATCH_WIDTH_PX, WATCH_HEIGHT_PX)
        return small.repeat(height_px // WATCH_HEIGHT_PX, 0).repeat(width_px // WATCH_WIDTH_PX, 1)
    y, x = np.mgrid[:height_px, :width_px]
    picture = 90 + 30 * ((x // 20 + y // 20) % 2) + np.random.default_rng(n).integers(-2, 3, x.shape)
    left_px = (n % EVERY - FIRST) * STEP_PX
    if left_px >= 0:
        picture[40:100, left_px:left_px + 20] = 30
    return picture.astype(np.uint8)


def _shut_and_install(role: Role) -> None:
    """Load libcamera where `see` does: once it is confined."""
    shut(role)
    virtual = virtualcam.install()
    virtual.scene = walker
    signal.signal(signal.SIGUSR1, lambda *_: setattr(virtual, "hangs", True))
    signal.signal(signal.SIGUSR2, lambda *_: setattr(virtual, "hangs", False))
    atexit.register(lambda: print(json.dumps({"configured": virtual.configured, "large_at_s": virtual.large_at_s})))


if __name__ == "__main__":
    os.environ.update({name: os.environ.get(name, value) for name, value in virtualcam.ENVIRONMENT.items()})
    shut, sandbox.shut = sandbox.shut, _shut_and_install
    sys.exit(main(sys.argv[1:]))
