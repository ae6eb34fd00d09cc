"""How the owner's commands show how far they are, in a terminal and only there.

Rule 1: standard output is for the answer; progress goes to standard error and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a bar; hand out what moves it on by so many bytes."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
                  console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=total_bytes)
        yield lambda done: bars.advance(bar, done)
