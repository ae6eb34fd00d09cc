"""The walk test in a terminal: keys in, lines out.

Rule 1: the terminal is put back however this ends: a key, Ctrl-C, SIGTERM or an exception.
Rule 2: only lines that differ are sent, so nothing flickers, over SSH either.
Rule 3: nothing is written but the settings file, and that when asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from device.config import Config
from device.errors import ConfigError, DoorstepError
from device.see.camera import open_camera
from device.stopping import Stop
from device.walk_acts import take_key
from device.walk_eye import Eye
from device.walk_keys import read_keys
from device.walk_model import Settings, State, Wish, take_frame, take_save
from device.walk_save import save
from device.walk_screen import LEAST_COLUMNS, LEAST_ROWS, lines

TICK_S = 0.05  # half a frame at 10/s; a key is taken at once
# The other screen, no cursor, no wrapping; and all of it back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_INPUT_FLAGS, _LOCAL_FLAGS, _CHARACTERS = 0, 3, 6  # places in what tcgetattr returns
_OVER = "The recording is over; this is its last state."


def walk(config: Config, path: Path) -> int:
    """Show the walk test until it is quit; settings are saved to `path`. Raise CameraError, ConfigError."""
    refuse_without_terminal()
    settings = Settings.of(config)
    with Stop() as stop:
        camera = open_camera(config.camera)
        source = config.camera.source
        if source == "auto":
            source += f": {type(camera).__name__}"
        elif source == "file":
            source += f": {Path(config.camera.path).name}"
        state = State(settings, settings, config.place, source)
        with Eye(camera, settings) as eye, _screen():
            state = _show(state, eye, stop, path)
    _write(state.farewell + "\n")
    return 130 if stop.asked else 0  # 128 + SIGINT, as elsewhere


def refuse_without_terminal() -> None:
    """Raise ConfigError where there is nobody to look and press keys."""
    hint = "over SSH: ssh -t HOST doorstep walk; without a screen: doorstep replay RECORDING"
    for stream, name in ((sys.stdout, "output"), (sys.stdin, "input")):
        if not stream.isatty():
            raise ConfigError(f"doorstep walk needs a terminal, and standard {name} is none", hint)
    if os.environ.get("TERM", "dumb") == "dumb":
        raise ConfigError("this terminal cannot place text (TERM is dumb or not set)", hint)


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    """Take the terminal: keys one by one and unseen, and a screen of our own."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    mode = termios.tcgetattr(keys)
    mode[_INPUT_FLAGS] &= ~(termios.IXON | termios.ICRNL)  # Ctrl-S is a key, and stops no output
    mode[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    for number in (termios.VSUSP, termios.VQUIT):  # they would leave the terminal as it is now
        mode[_CHARACTERS][number] = b"\0"
    try:
        termios.tcsetattr(keys, termios.TCSANOW, mode)
        _write(_ENTER)
        yield
    finally:
        try:
            _write(_LEAVE)
        finally:
            termios.tcsetattr(keys, termios.TCSANOW, before)


def _show(state: State, eye: Eye, stop: Stop, path: Path) -> State:
    """Turn keys and frames into lines until it is quit or asked to stop."""
    keys, painter, rest, drawn = sys.stdin.fileno(), _Painter(), b"", None
    while not stop.asked and state.wish is not Wish.QUIT:
        if drawn != (state, size := _size()):
            painter.paint(state, size)
            drawn = state, size
        ready, _, _ = select.select([keys, stop], [], [], TICK_S)
        if keys in ready:
            data = os.read(keys, 1024)
            if not data:  # the terminal is gone
                break
            pressed, rest = read_keys(rest + data)
            for key in pressed:
                state = _granted(take_key(state, key), path)
                if state.wish is Wish.QUIT:
                    break
            eye.settings = state.settings
        else:
            rest = b""  # the Escape key alone; no sequence takes this long
        for verdict in eye.verdicts():
            state = take_frame(state, verdict)
        if eye.over is not None and not state.over:
            state = replace(state, over=_why(eye.over))
    return state


def _size() -> os.terminal_size:
    size = os.get_terminal_size(sys.stdout.fileno())
    return size if 0 not in size else os.terminal_size((LEAST_COLUMNS, LEAST_ROWS))  # a serial line does not know


def _granted(state: State, path: Path) -> State:
    """Do what the state wishes; quitting is the caller's."""
    if state.wish in (Wish.SAVE, Wish.SAVE_AND_QUIT):
        try:
            return take_save(state, "", save(path, state.settings))
        except DoorstepError as error:
            return take_save(state, f"{error.message}; {error.hint}", "")
    return state


def _why(over: BaseException) -> str:
    """Say why no more frames come; raise what is a bug, through the screen's being put back."""
    if isinstance(over, EOFError):
        return _OVER
    if isinstance(over, DoorstepError):
        return f"No more frames: {over.message}. {over.hint}"
    raise over


class _Painter:
    """Sends the lines that differ from those on the screen."""

    def __init__(self) -> None:
        self._size: os.terminal_size | None = None
        self._lines: list[Text] = []
        self._console = Console()

    def paint(self, state: State, size: os.terminal_size) -> None:
        """Bring the screen up to date."""
        sent = ""
        if size != self._size:
            self._console = Console(width=size.columns, height=size.lines, highlight=False)
            self._size, self._lines, sent = size, [Text()] * size.lines, "\x1b[2J"
        now = lines(state, size.columns, size.lines, plain=self._console.options.ascii_only)
        now += [Text()] * (size.lines - len(now))
        for number, (line, old) in enumerate(zip(now, self._lines, strict=True), start=1):
            if line != old:
                sent += f"\x1b[{number};1H{self._styled(line)}\x1b[K"
        self._lines = now
        if sent:
            _write(sent)

    def _styled(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", no_wrap=True, overflow="crop")
        return captured.get()


def _write(text: str) -> None:
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding, "replace"))  # a serial line may know ASCII only
    sys.stdout.buffer.flush()
