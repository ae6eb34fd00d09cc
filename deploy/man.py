#!/usr/bin/env python3
"""Writes deploy/doorstep.1, the manual page, out of what `--help` says: `make man`.

Rule 1: nothing is said here that the command line does not say; a test holds the page against it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from device import __version__
from device.cli import RUNS
from device.usage import EXAMPLES, OVERVIEW, parser

PAGE = Path(__file__).parent / "doorstep.1"


def page() -> str:
    """Return the whole page, as man(7) has it."""
    lines = [r'.\" Written by deploy/man.py from what --help says; a change by hand is overwritten.',
             f'.TH DOORSTEP 1 "" "Doorstep {__version__}" "User Commands"',
             ".SH NAME", r"doorstep \- a door camera that tells and never shows",
             ".SH SYNOPSIS", r"\fBdoorstep\fR \fICOMMAND\fR [\fIoption\fR ...]",
             ".PP", r"\fBdoorstep\fR [\fB\-\-version\fR] [\fB\-\-help\fR]",
             ".SH DESCRIPTION", *_text(OVERVIEW),
             ".SH COMMANDS"]
    for name, command in _commands(parser(RUNS), "doorstep"):
        lines += [f".SS {name}", *_usage(name, command), ".PP", *_text(command.description or "")]
        for action in _actions(command):
            if action.help:
                lines += [".TP", _invocation(action), _escaped(action.help % vars(action))]
        lines += _text(command.epilog or "")
    for block in EXAMPLES.split("\n\n"):
        title, _, rest = block.partition("\n")
        lines += [f".SH {title.rstrip(':').upper()}", *_text(rest)]
    return "\n".join(_without_empty(lines)) + "\n"


def _without_empty(lines: list[str]) -> Iterator[str]:
    """Leave out the paragraphs that nothing stands in, and those that a heading begins anyhow."""
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ".SH"], strict=False):
        if line != ".PP" or not (before.startswith((".SH", ".SS")) or after.startswith(".")):
            yield line


def _commands(above: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command that does something, in the order of --help."""
    below = [action for action in _actions(above) if isinstance(action.choices, dict)]
    for action in below:
        for word, command in action.choices.items():  # type: ignore[union-attr]  # a dict, as just seen
            yield from _commands(command, f"{name} {word}")
    if not below:
        yield name, above


def _actions(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """What it takes, but for --help and what is ours alone."""
    actions = command._actions  # noqa: SLF001 - argparse has no other way to ask, and tools for it have relied on this for years
    return [action for action in actions if action.help != argparse.SUPPRESS and action.dest not in ("help", "version")]


def _usage(name: str, command: argparse.ArgumentParser) -> list[str]:
    words = [rf"\fB{name}\fR"]
    for action in sorted(_actions(command), key=lambda action: not action.option_strings):  # options first
        word = _invocation(action, first=True)
        word = word if action.required else f"[{word}]"
        words.append(word + " ..." * (action.nargs == "*"))
    return [" ".join(words)]


def _invocation(action: argparse.Action, *, first: bool = False) -> str:
    """Write an option with what follows it, or the name of an argument."""
    takes = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    if not action.option_strings:
        return rf"\fI{takes}\fR"
    names = [rf"\fB{_escaped(name)}\fR" for name in action.option_strings]
    value = "" if action.nargs == 0 else rf" \fI{_escaped(str(takes))}\fR"
    return (names[0] if first else ", ".join(names)) + value


def _text(text: str) -> Iterator[str]:
    """Paragraphs are filled; what is indented stays as it is, and so does what stands in columns."""
    for paragraph in filter(str.strip, text.split("\n\n")):
        yield ".PP"
        as_it_is = False
        for line in paragraph.splitlines():
            if line.startswith(" ") is not as_it_is:
                as_it_is = not as_it_is
                yield from (".RS 4", ".nf") if as_it_is else (".fi", ".RE", ".PP")
            yield _escaped(line.removeprefix("  "))
        if as_it_is:
            yield from (".fi", ".RE")


def _escaped(text: str) -> str:
    """Write what roff would take for its own."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti").replace("^", r"\(ha")
    return re.sub(r"^([.'])", r"\\&\1", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
