"""Button and light: on pins, in a terminal, or not at all."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import mixins
from gpiozero.pins.mock import MockFactory

from device.config import Recording
from device.errors import PanelError
from device.keep.gate import Light
from device.keep.panel import GpioPanel, Touch, open_panel
from device.keep.panel_terminal import LINES, TerminalPanel
from tests.rig import environment, until


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal: a person's and a program's."""
    person, program = pty.openpty()
    yield person, program
    os.close(person)
    os.close(program)


def test_keys_are_touches_and_reading_them_never_waits(terminal: tuple[int, int]) -> None:
    """A keep that waits for a key is a keep that is dead."""
    person, program = terminal
    panel = TerminalPanel(program)
    began_s = time.monotonic()
    assert list(panel.touches()) == []
    assert time.monotonic() - began_s < 5
    os.write(person, b"rxp")
    assert select.select([panel.fileno()], [], [], 10)[0]
    assert list(panel.touches()) == [Touch.PRESS, Touch.HOLD]
    assert list(panel.touches()) == []
    panel.close()


def test_the_terminal_is_left_as_it_was(terminal: tuple[int, int]) -> None:
    """A shell that shows nothing of what is typed is a bad souvenir."""
    _, program = terminal
    before = termios.tcgetattr(program)
    panel = TerminalPanel(program)
    assert termios.tcgetattr(program) != before
    panel.close()
    panel.close()
    assert termios.tcgetattr(program) == before


def test_a_pipe_is_nobodys_finger() -> None:
    """Bytes that come from a file or a program open nothing."""
    read, write = os.pipe()
    try:
        with pytest.raises(PanelError, match="no terminal"):
            TerminalPanel(read)
    finally:
        os.close(read)
        os.close(write)


def test_inv_light_tells_the_truth_in_a_terminal_too(terminal: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    """Each state of the light has its line, said once until it changes."""
    panel = TerminalPanel(terminal[1])
    for light in Light:
        assert panel.show(light)
        assert panel.show(light)
    assert capsys.readouterr().out.splitlines() == [LINES[light] for light in Light]
    panel.close()


@pytest.mark.parametrize("panel", ["none", "auto"])
def test_without_a_board_and_a_terminal_there_is_no_panel(panel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service on a machine without pins: watching goes on, and nothing can be recorded."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert open_panel(Recording(panel=panel), None) is None


def test_pins_that_are_not_there_are_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a button that it cannot have, keep does not pretend."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    with pytest.raises(PanelError, match="no button and light at pins 17 and 27") as error:
        open_panel(Recording(panel="gpio"), None)
    assert 'panel = "none"' in error.value.hint


def test_in_a_terminal_the_demo_records_with_a_key(tmp_path: Path) -> None:
    """What a person without a board sees: r, the light's line, r, and what was recorded."""
    person, program = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "device", "demo"], stdin=program, stdout=program, stderr=program,
                               cwd=Path(__file__).parent.parent, env=environment(PYTHONWARNINGS="default", NO_COLOR="1"))
    os.close(program)
    shown = b""

    def shows(text: str) -> bool:
        nonlocal shown
        while select.select([person], [], [], 0.05)[0]:
            try:
                shown += os.read(person, 4096)
            except OSError:  # the program is gone
                break
        return text in shown.decode(errors="replace").replace("\r\n", " ")

    try:
        until(lambda: shows("light off: not recording"), lambda: f"the light; {shown!r}")
        until(lambda: shows("status: watching"), lambda: f"watching; {shown!r}")
        os.write(person, b"r")
        until(lambda: shows("recording: ON"), lambda: f"a recording; {shown!r}")
        until(lambda: shows("light on: RECORDING"), lambda: f"the light; {shown!r}")
        time.sleep(1)
        os.write(person, b"r")
        until(lambda: shows("recording: OFF"), lambda: f"its end; {shown!r}")
        process.terminate()
        until(lambda: shows("Recorded: "), lambda: f"what was recorded; {shown!r}")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
        os.close(person)


def test_inv_button_opens_the_gate_not_a_pin_that_was_low_at_the_start(pins: MockFactory) -> None:
    """A stuck button that comes free, or a finger that was there before us, has pressed nothing."""
    pins.pin(17).drive_low()
    with contextlib.closing(GpioPanel(17, 27, None)) as panel:
        pins.pin(17).drive_high()
        assert list(panel.touches()) == []
        pins.pin(17).drive_low()
        pins.pin(17).drive_high()
        assert list(panel.touches()) == [Touch.PRESS]


def test_a_touch_while_the_button_is_being_made_is_none_and_leaves_it_whole(
    pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gpiozero listens to the pin before its own parts are there; its thread would end of it, and the button with it."""
    made = mixins.HoldThread

    def touched(button: object) -> threading.Thread:
        pins.pin(17).drive_low()
        return made(button)

    monkeypatch.setattr(mixins, "HoldThread", touched)
    with contextlib.closing(GpioPanel(17, 27, None)) as panel:
        pins.pin(17).drive_high()
        pins.pin(17).drive_low()
        pins.pin(17).drive_high()
        assert list(panel.touches()) == [Touch.PRESS]


def test_a_touch_of_just_the_limit_is_short_or_long_and_never_both(pins: MockFactory) -> None:
    """gpiozero says "held" and "released" from two threads, in any order."""
    with contextlib.closing(GpioPanel(17, 27, None)) as panel:
        for words in ((panel._on_pressed, panel._on_released, panel._on_held), (panel._on_pressed, panel._on_held, panel._on_released)):
            for word in words:
                word()
            assert len(list(panel.touches())) == 1
        panel._on_pressed()
        panel._on_released()
        assert list(panel.touches()) == [Touch.PRESS]


def test_a_terminal_that_is_gone_is_nobodys_button_any_more() -> None:
    """Closed, it would be readable for ever: keep must not read it for ever."""
    person, program = pty.openpty()
    panel = TerminalPanel(program)
    assert list(panel.touches()) == []
    assert not panel.is_gone
    os.close(person)
    assert list(panel.touches()) == []
    assert panel.is_gone
    panel.close()
    os.close(program)
