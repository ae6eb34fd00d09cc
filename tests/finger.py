"""`doorstep` on gpiozero's own mock pins, and the finger and the eye that a test has on them.

As a program it runs the command line with the mock pins in the place of a board's; for `run` it does so in `keep`.
A test moves the finger through a Unix socket at the path in FINGER, and the wall clock of all three by the file in CLOCK.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin

BUTTON, LED = 17, 27


@dataclass(frozen=True, slots=True)
class Finger:
    """What a test can do: touch the button, and look at the light."""

    path: Path

    def _do(self, what: str) -> str:
        with socket.socket(socket.AF_UNIX) as talk:
            end_s = time.monotonic() + 20
            while talk.connect_ex(str(self.path)):
                assert time.monotonic() < end_s, "keep has no pins"
                time.sleep(0.02)
            talk.sendall(what.encode())
            return talk.recv(100).decode()

    def press(self) -> None:
        self._do("down")
        time.sleep(0.12)  # longer than contacts bounce
        self._do("up")
        time.sleep(0.06)

    def hold(self, seconds: float = 3.3) -> None:
        self._do("down")
        time.sleep(seconds)
        self._do("up")

    def light(self) -> str:
        """Return off, on, slow or fast, by looking for up to two seconds."""
        return self._do("light")

    def break_light(self) -> None:
        self._do("break")


def _serve(listener: socket.socket, opened: threading.Event) -> None:
    class BrokenPin(MockPin):
        """A pin whose level cannot be changed any more."""

        def _set_state(self, value: bool) -> None:
            pass

    opened.wait()  # a touch before there is a button is none; and two who ask at once for a pin would get two
    while True:
        talk, _ = listener.accept()
        with talk:
            what = talk.recv(100).decode()
            button, led = Device.pin_factory.pin(BUTTON), Device.pin_factory.pin(LED)
            if what == "down":
                button.drive_low()
            elif what == "up":
                button.drive_high()
            elif what == "break":
                led.__class__ = BrokenPin
            elif what == "light":
                talk.sendall(_looks(led).encode())
                continue
            talk.sendall(b"done")


def _looks(led: MockPin) -> str:
    """What an eye would see of the pin's latest changes."""
    led.clear_states()
    time.sleep(0.5)
    if len(led.states) > 3:  # the first is none
        return "fast"
    end_s = time.monotonic() + 1.2
    while len(led.states) == 1 and time.monotonic() < end_s:
        time.sleep(0.02)
    return "slow" if len(led.states) > 1 else "on" if led.state else "off"


def move_clock(ahead_s: Callable[[], float]) -> None:
    """Have the wall clock be wrong, as on a Pi that has no battery for it. What the kernel dates stays as it is."""
    true_s = time.time
    time.time = lambda: true_s() + ahead_s()
    if sys.argv[1] == "keep":
        from device.keep import clip

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Wrong:
                return super().now(tz) + timedelta(seconds=ahead_s())

        clip.datetime = Wrong


def follow(path: str) -> Callable[[], float]:
    """Return what reads the seconds that a test has written there, without a call that confinement would refuse."""
    with Path(path).open("rb") as file:
        page = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    return lambda: struct.unpack("d", page)[0]


def _serve_confined(path: str) -> None:
    """Move the finger from within: open the way to it now, and start its thread once threads are confined as `keep` is."""
    from device import sandbox

    listener, give_up, shut, opened = socket.socket(socket.AF_UNIX), sandbox.give_up, sandbox.shut, threading.Event()
    Path(path).unlink(missing_ok=True)  # of a keep that was killed
    listener.bind(path)
    listener.listen()

    def give_up_and_serve(*arguments: Any) -> None:
        give_up(*arguments)
        threading.Thread(target=_serve, args=(listener, opened), daemon=True).start()

    def shut_and_open(*arguments: Any) -> None:
        shut(*arguments)  # once the panel is open
        opened.set()

    sandbox.give_up, sandbox.shut = give_up_and_serve, shut_and_open


def main() -> int:
    from device import cli

    if sys.argv[1] == "run":
        from device import run

        run.House.modules = dict.fromkeys(("see", "tell", "keep") if "CLOCK" in os.environ else ("keep",), "tests.finger")
    elif "CLOCK" in os.environ:
        move_clock(follow(os.environ["CLOCK"]))
    elif "CLOCK_BACK_S" in os.environ:
        move_clock(lambda: -float(os.environ["CLOCK_BACK_S"]))
    if sys.argv[1] == "keep":
        Device.pin_factory = MockFactory()
        _serve_confined(os.environ["FINGER"])
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
