"""`doorstep` with a motion sensor on gpiozero's own mock pins, and the hand that a test has on it.

As a program it runs the command line with mock pins; for `run` it does so in `see` and in `keep`, of which
tests/finger.py is the latter. A test moves the sensor through a Unix socket at the path in SENSOR.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin

PIN = 4


@dataclass(frozen=True, slots=True)
class Sensor:
    """What a test can do to the sensor: have it see somebody, or nobody, or break."""

    path: Path

    def _do(self, what: bytes) -> None:
        from tests.rig import until  # not in the program, which has nothing of a network

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talk:
            until(lambda: talk.connect_ex(str(self.path)) == 0, "a sensor")
            talk.send(what)

    def sees(self, somebody: bool) -> None:
        self._do(b"high" if somebody else b"low")

    def breaks(self) -> None:
        self._do(b"break")


def _serve(ear: socket.socket) -> None:
    class BrokenPin(MockPin):
        """A pin of a chip that is gone."""

        def _get_state(self) -> bool:
            raise OSError(19, "No such device")

    pin = Device.pin_factory.pin(PIN)
    while pin.pull != "down":  # until then it is nobody's
        time.sleep(0.01)
    while True:
        what = ear.recv(100)
        if what == b"high":
            pin.drive_high()
        elif what == b"low":
            pin.drive_low()
        else:
            pin.__class__ = BrokenPin


def _confined(path: str) -> None:
    """Open the test's way in now, and start its thread once threads are confined as `see` is."""
    from device import sandbox

    ear, give_up = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), sandbox.give_up
    ear.bind(path)

    def give_up_and_serve(*arguments: Any) -> None:
        give_up(*arguments)
        threading.Thread(target=_serve, args=(ear,), daemon=True).start()

    sandbox.give_up = give_up_and_serve


def main() -> int:
    from device import cli

    if sys.argv[1] == "run":
        from device import run

        run.House.modules = {"keep": "tests.finger", "see": "tests.sensor"}
    else:
        Device.pin_factory = MockFactory()
        _confined(os.environ["SENSOR"])
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
