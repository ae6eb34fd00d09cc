"""Who answers `doorstep setup`: a person at a terminal, or a file.

Rule 1: a person is asked again until the answer is legal; a file that is wrong ends the set-up.
Rule 2: what is agreed to was shown before; without an answer it is not agreed to.
Rule 3: a secret is shown on a terminal only, and leaves nothing in its scrollback.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from device.checks import shown
from device.errors import ConfigError, DoorstepError
from device.setup_answers import FIELDS, Answers

MOST_COLUMNS = 100  # lines longer than this are hard to read, however wide the window
INDENT = "  "
BOLD, GREEN, RED, YELLOW, DIM, PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[0m"
_OTHER_SCREEN, _FIRST_SCREEN = "\033[?1049h\033[2J\033[H", "\033[?1049l"

Test = Callable[[Any], object]  # raises DoorstepError where an answer cannot be used


class Talk(Protocol):
    """Says things, and gets answers."""

    patient: bool  # whether somebody is there who can mend what failed, and go on

    def title(self, number: int, words: str) -> None:
        """Begin a step."""

    def say(self, words: str, colour: str = "") -> None:
        """Say a paragraph."""

    def lines(self, lines: Sequence[tuple[str, str]]) -> None:
        """Show lines as they are, each with its colour."""

    def ask(self, key: str, default: object = None, test: Test = bool) -> Any:
        """Return the answer to a question of Answers: legal, and passed by `test`."""

    def given(self, key: str) -> Any:
        """Return what a file says of something that no person is asked, else its default."""

    def agree(self, words: str) -> bool:
        """Whether to do what was shown."""

    def seen(self, words: str) -> bool | None:
        """Whether a person saw it; None where there is none."""

    def wait(self, words: str) -> bool:
        """Wait for something to be done elsewhere; whether it may have been."""

    def secret(self, words: str, text: str) -> None:
        """Show a secret once, and nowhere else. Raise ConfigError where that is not possible."""


@dataclass(slots=True)
class Screen:
    """What both have in common: how things look."""

    colour: bool

    def title(self, number: int, words: str) -> None:
        """Begin a step."""
        print(f"\n{self._in(BOLD, f'{number}  {words}')}")

    def say(self, words: str, colour: str = "") -> None:
        """Say a paragraph, wrapped to the window; what a terminal would obey is not in it."""
        words = "".join(letter if letter.isprintable() else "?" for letter in words)
        width = min(shutil.get_terminal_size().columns - 1, MOST_COLUMNS)
        below = INDENT * (2 if words.startswith("- ") else 1)
        filled = textwrap.fill(words, width, initial_indent=INDENT, subsequent_indent=below, break_long_words=False,
                               break_on_hyphens=False)
        print(self._in(colour, filled), flush=True)

    def lines(self, lines: Sequence[tuple[str, str]]) -> None:
        """Show lines as they are, each with its colour."""
        for line, colour in lines:
            print(f"{INDENT}{INDENT}{self._in(colour, line)}")

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if colour and self.colour else text


class Terminal(Screen):
    """A person. Ctrl-C and Ctrl-D end it, as KeyboardInterrupt and EOFError."""

    patient = True

    def __init__(self) -> None:
        for stream, name in ((sys.stdin, "input"), (sys.stdout, "output")):
            if stream is None or not stream.isatty():
                raise ConfigError(f"doorstep setup asks questions, and standard {name} is no terminal",
                                  "answer in a file: doorstep setup --example > answers.toml; then --answers")
        super().__init__("NO_COLOR" not in os.environ)

    def ask(self, key: str, default: object = None, test: Test = bool) -> Any:
        """Ask until the answer is legal; Enter is the default."""
        item = FIELDS[key]
        default = item.default if default is None else default
        self.say(f"{item.metadata['words'][0].upper()}{item.metadata['words'][1:]}")
        while True:
            try:
                value = _read(self._prompt(_typed(default)), default)
                if (allowed := item.metadata["check"](value)) is not None:
                    raise ConfigError(f"{shown(value)} is not allowed", f"allowed: {allowed}")
                test(value)
            except DoorstepError as error:
                self.say(f"{error.message}; {error.hint}", RED)
            else:
                return value

    def given(self, key: str) -> Any:
        """Return the default."""
        return FIELDS[key].default

    def _prompt(self, default: str) -> str:
        return input(f"{INDENT}{self._in(DIM, f'[{default}]') + ' ' if default else ''}> ").strip()

    def agree(self, words: str) -> bool:
        """Ask; only a yes is one."""
        return input(f"{INDENT}{words} {self._in(DIM, '[y/N]')} > ").strip().lower() in ("y", "yes")

    def seen(self, words: str) -> bool | None:
        """Ask; only a yes is one."""
        return self.agree(words)

    def wait(self, words: str) -> bool:
        """Wait for Enter, or for "skip"."""
        self.say(words)
        return not self._prompt("Enter when done, s to skip").lower().startswith("s")

    def secret(self, words: str, text: str) -> None:
        """Show it on the terminal's other screen, which keeps nothing."""
        try:
            print(_OTHER_SCREEN, end="")
            self.say(words)
            print(f"\n{text}\n")
            self._prompt("Enter when you have it")
        finally:
            print(_FIRST_SCREEN, end="", flush=True)


class File(Screen):
    """A file of answers; `write`: whether what is shown is done too."""

    patient = False

    def __init__(self, answers: Answers, *, write: bool) -> None:
        super().__init__(sys.stdout.isatty() and "NO_COLOR" not in os.environ)
        self._answers, self._write = answers, write

    def ask(self, key: str, default: object = None, test: Test = bool) -> Any:
        """Return what the file says, else the default."""
        value = getattr(self._answers, key)
        if not isinstance(value, bool):  # a finger that a person is asked for is not expected of a file
            value = default if default is not None and value == FIELDS[key].default else value
            self.say(f"{key}: {_typed(value) or 'nothing'}")
        test(value)
        return value

    def given(self, key: str) -> Any:
        """Return what the file says, else the default."""
        return getattr(self._answers, key)

    def agree(self, words: str) -> bool:
        """Do all of it, or nothing."""
        self.say(f"{words} {'yes' if self._write else 'no (--dry-run)'}")
        return self._write

    def seen(self, words: str) -> bool | None:  # noqa: ARG002 - nobody to ask
        """Nobody is there."""
        return None

    def wait(self, words: str) -> bool:
        """Nobody will do it."""
        self.say(words)
        return False

    def secret(self, words: str, text: str) -> None:
        """Show it on a terminal; anywhere else it would be kept."""
        if not sys.stdout.isatty():
            raise ConfigError("a key that is made is shown, and standard output is no terminal",
                              'make it on your own computer (doorstep key new): key = "age1..."')
        self.say(words)
        print(f"\n{text}\n")


def _typed(value: object) -> str:
    """A value as a person would type it."""
    if isinstance(value, bool):
        return "Y/n" if value else "y/N"
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _read(typed: str, default: object) -> object:
    """Make a value of the default's kind of what was typed. Raise ConfigError."""
    if not typed:
        return default
    if isinstance(default, bool):
        words = {"y": True, "yes": True, "n": False, "no": False}
        if typed.lower() not in words:
            raise ConfigError(f"{shown(typed)} is neither yes nor no", "y or n")
        return words[typed.lower()]
    if isinstance(default, int):
        return int(typed) if typed.isdecimal() else typed
    return tuple(typed.replace(",", " ").split()) if isinstance(default, tuple) else typed
