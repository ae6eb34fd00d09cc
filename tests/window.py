"""A real pseudo-terminal, and somebody who reads it and presses keys."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Self

from tests.rig import PATIENCE_S, environment, until


class Window:
    """`with Window("walk", "--source", "porch") as window:` the product in a terminal, with somebody at it."""

    def __init__(self, *arguments: str | Path, columns: int = 80, rows: int = 24, **more: str) -> None:
        self.main, self.side = os.openpty()
        termios.tcsetwinsize(self.side, (rows, columns))
        self.before = termios.tcgetattr(self.side)
        self.shown = b""
        self.process = subprocess.Popen([sys.executable, "-m", "device", *map(str, arguments)], stdin=self.side,
                                        stdout=self.side, stderr=self.side, start_new_session=True,
                                        env=environment(TERM="xterm-256color", **more))

    def read(self) -> str:
        while select.select([self.main], [], [], 0)[0]:
            self.shown += os.read(self.main, 65536)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", self.shown.decode(errors="replace"))

    def wait(self, words: str) -> None:
        until(lambda: words in self.read(), lambda: f"{words!r}; it shows {self.read()[-3000:]!r}")

    def press(self, keys: bytes, words: str) -> None:
        """Press keys and wait for words that come after."""
        self.read()
        self.shown = b""
        os.write(self.main, keys)
        self.wait(words)

    def end(self) -> int:
        """Wait for its end; return its status."""
        end_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end_s:
            self.read()
            time.sleep(0.01)
        return self.process.wait(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.main)
        os.close(self.side)
