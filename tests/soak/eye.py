"""`doorstep` with an eye of the soak's own: somebody walks past, the view is covered, or the camera fails, by its order.

As a program it runs the command line; for `run` it puts itself into `see` and mock pins into `keep`. Orders are bytes in the
FIFO at the path in ORDERS; the wall clock of all three is moved by the file in CLOCK.

Rule 1: frames come FASTER than their own time says; all else runs at its own pace.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests import finger
from tests.bench import latency

if TYPE_CHECKING:
    from device.config import Camera as Settings
    from device.see.clip import Clip
    from device.see.frame import Frame

WALK, HANG, UNPLUG = b"w", b"h", b"u"
FASTER = 4.0
HOLD_FRAMES, REST_FRAMES = 40, 120  # the detector is as it was: see latency.py
STEADY_AFTER_S = 3.0  # or a child that is killed often would be waited for most of the time


class Eye(latency.Door):
    """The latency benchmark's porch, which obeys orders and can be recorded."""

    def __init__(self, settings: Settings, orders: int) -> None:
        super().__init__()
        self._frame_s, self._orders, self._clip = 1 / settings.frames_per_s / FASTER, orders, None
        with contextlib.suppress(BlockingIOError):
            os.read(orders, 4096)  # what was meant for the one before

    _clip: Clip | None

    def frames(self) -> Iterator[Frame]:
        while True:
            match self._order():
                case b"w":
                    for place in [*range(latency.WALK_FRAMES), *[None] * (HOLD_FRAMES + REST_FRAMES)]:
                        yield self._next(place)
                case b"h":
                    time.sleep(1e6)
                case b"u":
                    from device.errors import CameraError

                    raise CameraError("the plug was pulled", "as ordered")
                case _:
                    yield self._next(None)

    def _order(self) -> bytes:
        try:
            return os.read(self._orders, 1)
        except BlockingIOError:
            return b""

    def _next(self, place: int | None) -> Frame:
        time.sleep(self._frame_s)
        frame = self._frame(place)
        if self._clip is not None:
            self._clip.add_grey(frame.luma.copy(), frame.t_s)
        return frame

    def record(self, clip: Clip | None) -> None:
        if self._clip is not None:
            self._clip.end()
        self._clip = clip
        if clip is not None:
            clip.frames_per_s = 1 / latency.FRAME_S

    def close(self) -> None:
        self.record(None)


def main() -> int:
    if sys.argv[1] == "run":
        from device import run

        run.House.modules = {"see": "tests.soak.eye", "tell": "tests.finger", "keep": "tests.finger"}
        run.STEADY_AFTER_S = STEADY_AFTER_S
    else:
        from device.see import process

        finger.move_clock(finger.follow(os.environ["CLOCK"]))
        orders = os.open(os.environ["ORDERS"], os.O_RDWR | os.O_NONBLOCK)  # now: confined, it may open nothing
        process.open_camera = lambda settings: Eye(settings, orders)
    from device import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
