"""From START to the first byte of a clip: how long a press waits for the camera, in the real `see`.

    python -m tests.bench.record [CYCLES] [SOURCE]

SOURCE is porch (default) or picamera2, the latter on the virtual camera (make test-camera, then its own Python). Measured
from just before START is sent until `keep`, the test, has the first byte, which is a whole first frame. The beginning of
that wait is the rest of a watched frame, 0.1 s at most. Not measured: a real sensor's start, and its exposure.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from device.messages import KeepToSee, SeeToTell
from tests.keeper import Keeper


def measure(cycles: int, source: str) -> list[float]:
    """Return how long each of so many presses waited, in seconds."""
    program, more = ("-m", "device"), {}
    if source == "picamera2":
        from tests.camera import watch

        program, more = ("-m", watch.__name__), {"PYTHONWARNINGS": watch.WARNINGS}
    waits_s = []
    toml = f'[camera]\nsource = "{source}"\nframes_per_s = 10\n'
    with tempfile.TemporaryDirectory() as folder, Keeper(Path(folder), toml, program=program, **more) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        for _ in range(cycles):
            began_s = time.monotonic()
            keeper.says(KeepToSee.START)
            with keeper.accepts() as clip:
                clip.take(0.0)
                waits_s.append(time.monotonic() - began_s)
                keeper.says(KeepToSee.STOP)
                clip.rest()
            keeper.listen(0.35)
    return waits_s


if __name__ == "__main__":
    waits_s = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2] if len(sys.argv) > 2 else "porch")
    print(f"START to the first byte, {len(waits_s)} presses: median {statistics.median(waits_s):.2f} s, "
          f"worst {max(waits_s):.2f} s, the first {waits_s[0]:.2f} s (aim: under 1 s)")
