"""The walk test as a whole: its reader of frames, and a terminal that is its owner's again."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device import config
from device.errors import CameraError
from device.see.camera import Paced
from device.see.detector import Reason
from device.see.frame import Frame
from device.walk import _screen
from device.walk_eye import Eye
from device.walk_model import take_frame
from tests import window
from tests.rig import PATIENCE_S, doorstep, environment, until
from tests.test_sources import write_video
from tests.walked import FRESH, NOTHING, seen

# The reader of frames


def test_the_eye_looks_with_new_settings_from_the_next_frame_and_hands_over_the_end() -> None:
    """A key takes effect at once; the end of a recording is said, once."""

    def frames() -> Iterator[Frame]:
        for n in range(40):
            if n == 20:
                eye.settings = dataclasses.replace(NOTHING, sensitivity=5)
            yield Frame(np.full((120, 160), 100, np.uint8), n / 10)

    closed: list[bool] = []
    eye = Eye(Paced(frames(), lambda: closed.append(True), sleep=lambda _: None), NOTHING)
    with eye:
        until(lambda: eye.over, "the end")
        reasons = [verdict.reason for verdict in eye.verdicts()]
    assert isinstance(eye.over, EOFError)
    assert len(reasons) == 40
    assert reasons[19] is Reason.QUIET
    assert reasons[20] is Reason.WARMING_UP
    assert closed


def test_an_eye_whose_camera_hangs_is_left_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """q must quit, whatever a driver does."""
    import threading

    hang = threading.Event()

    def frames() -> Iterator[Frame]:
        hang.wait(PATIENCE_S)
        yield Frame(np.zeros((120, 160), np.uint8), 0.0)

    monkeypatch.setattr("device.walk_eye.STOP_MOST_S", 0.1)
    began_s = time.monotonic()
    with Eye(Paced(frames()), NOTHING):
        pass
    assert time.monotonic() - began_s < 2
    hang.set()


def test_a_camera_that_fails_is_handed_over_with_its_words() -> None:
    """It is shown, with what to do."""

    def frames() -> Iterator[Frame]:
        raise CameraError("the camera failed", "is the ribbon seated?")
        yield

    with Eye(Paced(frames()), NOTHING) as eye:
        until(lambda: eye.over, "the failure")
    assert isinstance(eye.over, CameraError)


# The terminal


class Window(window.Window):
    """A terminal with somebody at it who walks."""

    def __init__(self, *arguments: str | Path, columns: int = 80, rows: int = 24, **more: str) -> None:
        super().__init__("walk", *arguments, columns=columns, rows=rows, **more)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the owner's; the product is found all the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    return tmp_path


def test_a_session_masks_saves_and_quits_and_gives_the_terminal_back(here: Path) -> None:
    """The whole of it, as an owner does it."""
    (here / "doorstep.toml").write_text("# mine\n[camera]\nsource = 'porch' # drawn\n")
    with Window("--source", "porch") as window:
        window.wait("frames/s")
        assert termios.tcgetattr(window.side) != window.before
        window.press(b"\x1b[A", "row 6, col 9")
        window.press(b" ", "1 of 192")
        window.press(b"+", "4 of 5")
        window.press(b"q", "Quit without saving?")
        window.press(b"x?", "Any key goes back.")
        window.press(b"?", "space")
        window.press(b"s", "Saved to")
        window.press(b"q", "Saved to")
        assert window.end() == 0
        assert termios.tcgetattr(window.side) == window.before
        window.read()
        assert b"\x1b[?1049l" in window.shown
        assert b"\x1b[?25h" in window.shown
    door = config.load(here / "doorstep.toml")
    assert door.camera.mask[5] == "........#......."
    assert door.detector.sensitivity == 4
    assert (here / "doorstep.toml").read_text().startswith("# mine\n[camera]\nsource = 'porch' # drawn\nmask = [\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_terminal_back_too(here: Path, number: signal.Signals) -> None:
    """A shell that shows no typing is worse than none."""
    with Window("--source", "porch", NO_COLOR="1") as window:
        window.wait("frames/s")
        window.press(b" ", "NOT SAVED")
        window.process.send_signal(number)
        assert window.end() == 130
        assert termios.tcgetattr(window.side) == window.before
        assert "was not saved" in window.read()
        assert b"\x1b[?1049l" in window.shown
        assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", window.shown)
    assert list(here.iterdir()) == []


def test_an_exception_gives_the_terminal_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is no reason to leave somebody without echo."""
    main, side = os.openpty()
    with open(side, "w", closefd=False) as out, open(side, closefd=False) as keys:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stdin", keys)
        before = termios.tcgetattr(side)
        with pytest.raises(ZeroDivisionError), _screen():
            assert termios.tcgetattr(side) != before
            raise ZeroDivisionError
        assert termios.tcgetattr(side) == before
    assert os.read(main, 4096).endswith(b"\x1b[?1049l")
    os.close(main)
    os.close(side)


def test_a_recording_plays_once_and_its_last_state_stays(here: Path) -> None:
    """Long enough to look at it and to mask what moved."""
    write_video(here / "visit.mkv", 10)
    with Window("visit.mkv", columns=120, rows=40) as window:
        window.wait("this is its last state")
        assert "file: visit.mkv" in window.read()
        window.press(b" ", "1 of 192")
        window.press(b"q", "Quit without saving?")
        window.press(b"y", "was not saved")
        assert window.end() == 0


@pytest.mark.parametrize(("arguments", "says"), [
    (["--source", "porch"], "needs a terminal"),
    (["--source", "porch", "x.mkv"], "at once"),
    (["--source", "file"], "names no recording"),
    (["--config", "none.toml"], "none.toml"),
])
def test_where_it_cannot_work_it_says_so_in_one_line_with_a_hint(here: Path, arguments: list[str], says: str) -> None:
    """In a pipe, from cron, over ssh without -t."""
    done = doorstep("walk", *arguments)
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert error.startswith("doorstep: error: ")
    assert hint.startswith("doorstep: hint: ")
    assert says in error
    assert done.stdout == ""
    assert list(here.iterdir()) == []


def test_it_explains_itself() -> None:
    """--help answers what, and for example how."""
    done = doorstep("walk", "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert "never a picture" in done.stdout


def test_inv_see_has_no_network_and_neither_has_the_walk_test() -> None:
    """It has the camera: it may not have the network too."""
    script = ("import sys, device.walk, device.see.porch; "
              "print([name for name in sys.modules if name.split('.')[0] in ('paho', 'ssl', 'amqtt') or name.startswith('device.tell')])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout == "[]\n", done.stderr


def test_pace_is_the_machines_and_not_the_recordings() -> None:
    """A Pi that looks at 4 frames a second must not claim 10."""
    state = FRESH
    assert state.frames_per_s is None
    for n in range(30):
        state = take_frame(state, dataclasses.replace(seen(n / 10), at_s=n / 4))
    assert state.frames_per_s is not None
    assert math.isclose(state.frames_per_s, 4.0)
