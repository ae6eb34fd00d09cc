"""A terminal as the panel: `r` is the button, `p` is holding it, and the light is a line.

Rule 1: only keys count; a pipe or a file is nobody's finger.
Rule 2: the terminal is left as it was found.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator

from device.errors import PanelError
from device.keep.gate import Light
from device.keep.panel import Touch

KEYS = {b"r": Touch.PRESS, b"p": Touch.HOLD}
LINES: dict[Light, str] = {
    Light.OFF: "( ) light off: not recording. r records, p pauses watching.",
    Light.ON: "(●) light on: RECORDING. r ends it.",
    Light.SLOW: "(~) light blinks slowly: watching is paused. p resumes.",
    Light.FAST: "(!) light blinks fast: no recording; see above why. r tries again.",
}
COLOURS: dict[Light, str] = {Light.OFF: "2", Light.ON: "1;31", Light.SLOW: "33", Light.FAST: "1;33"}


class TerminalPanel:
    """The keys of the terminal at descriptor `fd`, and lines on standard output."""

    def __init__(self, fd: int) -> None:
        self._fd, self.trouble, self.is_gone = fd, "", False
        try:
            self._before = termios.tcgetattr(fd)
            tty.setcbreak(fd, termios.TCSADRAIN)
            keys = termios.tcgetattr(fd)
            keys[6][termios.VMIN] = 0  # reading gives what was typed, and never waits for more
            termios.tcsetattr(fd, termios.TCSADRAIN, keys)
        except termios.error as error:
            raise PanelError(f"standard input is no terminal: {error}",
                             'start it in one, or: panel = "none" under [recording]') from None
        self._shown: Light | None = None
        self._closed = False

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._fd

    def touches(self) -> Iterator[Touch]:
        """Yield what was typed since the last call; other keys are nothing."""
        readable = bool(select.select([self._fd], [], [], 0)[0])
        try:
            keys = os.read(self._fd, 64)
        except OSError:
            keys = b""
        self.is_gone = readable and not keys
        for key in keys:
            touch = KEYS.get(bytes((key,)))
            if touch is not None:
                yield touch

    def show(self, light: Light) -> bool:
        """Write the light's line when it changes."""
        if light is self._shown:
            return True
        line, colour = LINES[light], COLOURS[light] if "NO_COLOR" not in os.environ else ""
        try:
            print(f"\033[{colour}m{line}\033[0m" if colour and sys.stdout.isatty() else line, flush=True)
        except OSError as error:
            self.trouble = str(error)
            return False
        self._shown, self.trouble = light, ""
        return True

    def close(self) -> None:
        """Leave the terminal as it was."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
