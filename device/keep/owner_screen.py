"""How the owner's commands speak to a person: in words, and in a terminal with a bar that says how far they are.

Rule 1: standard output is for the answer; progress goes to standard error and leaves nothing behind.
Rule 2: a terminal's lines are broken between words, a pipe's never: who greps finds them whole.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


def screen(file: TextIO) -> Console:
    """Return what prints in colour where that is seen."""
    return Console(file=file, highlight=False, soft_wrap=not file.isatty())


@contextlib.contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a bar; hand out what moves it on by so many bytes."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
                  console=screen(sys.stderr), transient=True) as bars:
        bar = bars.add_task(what, total=total_bytes)
        yield lambda done: bars.advance(bar, done)
