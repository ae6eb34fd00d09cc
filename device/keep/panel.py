"""The button and the light: what a finger does, and what an eye sees.

Rule 1: a touch is made by the button alone; there is no other maker of one.
Rule 2: a light that does not do what it was told says so, so that nothing is recorded in the dark.
Rule 3: a touch is short (released before HOLD_S) or long (held for HOLD_S), never both.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from device import config
from device.bell import bell, drain, wake
from device.errors import PanelError
from device.keep.gate import Light

HOLD_S = 3.0
DEBOUNCE_S = 0.05  # contacts of cheap buttons bounce for 5 to 20 ms
# Seconds on, seconds off.
BLINKS: dict[Light, tuple[float, float]] = {Light.SLOW: (1.0, 1.0), Light.FAST: (0.1, 0.1)}


class Touch(enum.Enum):
    """What a finger did."""

    PRESS = "short"
    HOLD = "long"


class Panel(Protocol):
    """A button and a light. Opening happens in the constructor and raises PanelError."""

    trouble: str  # why the light did not do what it was told last; nothing where it did
    is_gone: bool  # nobody can touch it any more

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are touches."""

    def touches(self) -> Iterator[Touch]:
        """Yield what was done since the last call, oldest first; never blocks."""

    def show(self, light: Light) -> bool:
        """Have the light do this; False where it does not. Saying it again changes nothing."""

    def close(self) -> None:
        """Put the light out and let the pins go; may be called twice."""


def open_panel(settings: config.Recording, runtime: Path | None) -> Panel | None:
    """Open the configured panel, or with "auto" the one there is; None where this machine has none.

    runtime: a folder in memory, for lgpio's FIFO.
    """
    kind = settings.panel if settings.panel != "auto" else _at_hand()
    if kind == "gpio":
        return GpioPanel(settings.button_pin, settings.led_pin, runtime)
    if kind == "terminal":
        from device.keep.panel_terminal import TerminalPanel

        return TerminalPanel(sys.stdin.fileno())
    return None


def _at_hand() -> str:
    # Every Pi has gpiochip0. A desktop can have one too, on which our pins mean something else: a Pi says what it is.
    model = Path("/proc/device-tree/model")
    if Path("/dev/gpiochip0").exists() and model.exists() and b"Raspberry Pi" in model.read_bytes():
        return "gpio"
    return "terminal" if sys.stdin is not None and sys.stdin.isatty() else "none"


class GpioPanel:
    """A button from `button_pin` to ground and a light at `led_pin` (BCM numbers), through gpiozero."""

    def __init__(self, button_pin: int, led_pin: int, runtime: Path | None) -> None:
        if runtime is not None:
            os.environ.setdefault("LG_WD", str(runtime))  # lgpio makes a FIFO there; elsewhere it may not write
        # Without this gpiozero falls back, in silence, to factories that do not drive these pins.
        os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")
        self.trouble = ""
        self._touches: deque[Touch] = deque()
        self._rings, self._watch = bell()
        self.is_gone = False
        self._down = self._held = False
        self._shown: Light | None = None
        self._parts: list[Any] = []
        try:
            from gpiozero import LED, Button

            class WholeButton(Button):  # type: ignore[misc]  # gpiozero is not annotated
                """One that is touched while it is still being made would end gpiozero's thread, and be dead."""

                def _fire_activated(self) -> None:
                    if self._hold_thread is not None:
                        super()._fire_activated()

            self._light = LED(led_pin)
            self._parts.append(self._light)
            self._button = WholeButton(button_pin, pull_up=True, bounce_time=DEBOUNCE_S, hold_time=HOLD_S)
            self._parts.append(self._button)
        except Exception as error:  # noqa: BLE001 - gpiozero, its factory and the kernel each have their own
            self.close()
            raise PanelError(f"no button and light at pins {button_pin} and {led_pin}: {_why(error)}",
                             "does another program use them? may this user (group gpio)? "
                             'sudo apt install python3-lgpio; or: panel = "none"') from None
        # A thread of gpiozero's calls these; all they do is to note it and to ring.
        self._button.when_pressed = self._on_pressed
        self._button.when_held = self._on_held
        self._button.when_released = self._on_released

    def _on_pressed(self) -> None:
        self._down, self._held = True, False

    def _on_held(self) -> None:
        if self._down:  # else it was let go in this moment, and was short
            self._held = True
            self._note(Touch.HOLD)

    def _on_released(self) -> None:
        # Without a press that we have seen, as when the pin was low at our start, nobody has touched it.
        short, self._down = self._down and not self._held, False
        if short:
            self._note(Touch.PRESS)

    def _note(self, touch: Touch) -> None:
        self._touches.append(touch)
        wake(self._rings)

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are touches."""
        return self._watch.fileno()

    def touches(self) -> Iterator[Touch]:
        """Yield what was done since the last call."""
        drain(self._watch)
        while self._touches:
            yield self._touches.popleft()

    def show(self, light: Light) -> bool:
        """Have the light do this, and read back from the pin whether it does."""
        try:
            if light is not self._shown:
                if light in BLINKS:
                    self._light.blink(*BLINKS[light])
                else:
                    self._light.value = light is Light.ON
                self._shown = light
            does = light in BLINKS or self._light.is_lit is (light is Light.ON)
            self.trouble = "" if does else f"the pin is not {light.value}"
        except Exception as error:  # noqa: BLE001 - whatever it is, the light does not do what it was told
            self._shown, self.trouble = None, _why(error)
        return not self.trouble

    def close(self) -> None:
        """Put the light out and let the pins go."""
        while self._parts:
            with contextlib.suppress(Exception):  # a chip that is gone cannot be let go, and we are leaving
                self._parts.pop().close()
        self._rings.close()
        self._watch.close()


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
