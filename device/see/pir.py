"""The process with a motion sensor instead of a camera: a pin in, one-byte messages out.

Rule 1: what leaves is a SeeToTell, as from a camera; there is no picture, and nothing that could be recorded.
Rule 2: it says ALIVE because the pin was read, never because a timer did. A pin that cannot be read is told at once,
        and given up to a restart.
Rule 3: nothing of a camera, of numpy or of FFmpeg is loaded.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

from device import sandbox
from device.config import Config
from device.errors import CameraError
from device.log import Log
from device.messages import ALIVE_EVERY_S, SeeToTell, Sender
from device.notify import Manager
from device.runtime import runtime_folder
from device.sandbox_calls import Role
from device.see.gate import PAUSED_LOOK_S, Doing, Gate
from device.stopping import Stop

READ_EVERY_S = 0.05  # an HC-SR501 holds its output for 300 ms at least, a radar for seconds
STEADY_S = 0.1  # a spark of a light switch on the wire is shorter, a sensor's output longer
CALM_S = 3.0  # an HC-SR501 is blind for 2.5 s after its output falls: somebody who stays is one visit


class Presence:
    """From a level to the beginning and end of motion: pure, at rising times."""

    def __init__(self) -> None:
        self.moving = False
        self._differs_s: float | None = None  # since when the level says otherwise

    def step(self, active: bool, t_s: float) -> tuple[SeeToTell, ...]:
        """Take one reading; return what is to be said, mostly nothing."""
        if active is self.moving:
            self._differs_s = None
            return ()
        if self._differs_s is None:
            self._differs_s = t_s
        if t_s - self._differs_s < (STEADY_S if active else CALM_S):
            return ()
        self.moving, self._differs_s = active, None
        return (SeeToTell.MOTION_STARTED if active else SeeToTell.MOTION_ENDED,)


class Pin:
    """The sensor's output at BCM pin `number`, through gpiozero. Raise CameraError where it cannot be had or read.

    An InputDevice, which asks the kernel at each reading. A MotionSensor gives what its thread read last, also when the
    thread has died of an error: a sign of life that is none.
    """

    def __init__(self, number: int, folder: Path | None) -> None:
        if folder is not None:
            os.environ.setdefault("LG_WD", str(folder))  # lgpio makes a FIFO there; elsewhere it may not write
        # Without this gpiozero falls back, in silence, to factories that do not drive these pins.
        os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")
        try:
            from gpiozero import InputDevice

            self._device = InputDevice(number)  # pulled down: a sensor gives 3.3 V while it sees somebody
        except Exception as error:  # noqa: BLE001 - gpiozero, its factory and the kernel each have their own
            raise CameraError(f"no sensor at pin {number}: {str(error) or type(error).__name__}",
                              "does another program use it? sudo apt install python3-lgpio; on an installed door: "
                              "sudo deploy/install.sh, which lets doorstep-see have the pins") from None

    def is_active(self) -> bool:
        """Read the pin now."""
        try:
            return bool(self._device.is_active)
        except Exception as error:  # noqa: BLE001 - as above
            raise CameraError(f"the sensor's pin cannot be read: {str(error) or type(error).__name__}",
                              "are its chip and driver there? dmesg says more") from None

    def close(self) -> None:
        """Let the pin go."""
        with contextlib.suppress(Exception):  # a chip that is gone cannot be let go, and we are leaving
            self._device.close()


def run(config: Config, to_tell: Sender[SeeToTell], from_keep: socket.socket | None, manager: Manager) -> int:
    """Watch until asked to stop. Raise CameraError where the pin cannot be had; return 1 where it is lost."""
    log = Log("see")
    gate = Gate(from_keep, "", config, log)
    runtime = runtime_folder(dict(os.environ), config.id)
    folder = runtime / "see" if runtime else None  # beside that of `keep`, whose pipe has the same name
    if folder is not None:
        folder.mkdir(mode=0o700, exist_ok=True)
    sandbox.give_up(Role.SENSOR, [folder] if folder else [])  # before lgpio starts threads
    with contextlib.closing(Pin(config.camera.pin, folder)) as pin:
        sandbox.shut(Role.SENSOR)  # the pin is open
        presence, alive_s = Presence(), -ALIVE_EVERY_S
        with Stop() as stop:
            gate.first_word(stop)
            log.say(f"watching with a sensor at pin {config.camera.pin}")
            while not stop.asked:
                if gate.doing is Doing.PAUSED:
                    if presence.moving:
                        to_tell.send(SeeToTell.MOTION_ENDED)  # what was said to start is said to end
                    presence, alive_s = Presence(), -ALIVE_EVERY_S
                    manager.alive("paused")
                    gate.wait(PAUSED_LOOK_S, stop)
                    continue
                now_s = time.monotonic()
                try:
                    for word in presence.step(pin.is_active(), now_s):
                        to_tell.send(word)
                except CameraError as error:
                    to_tell.send(SeeToTell.CAMERA_LOST)
                    manager.say("no camera")
                    log.say(f"{error.message} ({error.hint})")
                    return 1
                if now_s - alive_s >= ALIVE_EVERY_S:
                    alive_s = now_s
                    to_tell.send_alive(SeeToTell.MOVING if presence.moving else SeeToTell.ALIVE)
                    manager.alive("watching")
                gate.wait(READ_EVERY_S, stop)
            log.say(f"stopped; {to_tell.unsent} messages were not taken")
    return 0
