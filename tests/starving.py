"""A process that hardly gets to run, by the kernel's own quota, and how long this machine itself keeps everybody waiting."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

ROOT, PERIOD_US, QUOTA_US = Path("/sys/fs/cgroup"), 1_000_000, 10_000  # a hundredth of a core
_number = itertools.count()


def _group() -> Path | None:
    """Make a group with that quota, in whichever version of control groups this machine has; None where it may not."""
    unified = (ROOT / "cgroup.controllers").exists()
    group = (ROOT if unified else ROOT / "cpu") / f"doorstep-{os.getpid()}-{next(_number)}"
    limits = {"cpu.max": f"{QUOTA_US} {PERIOD_US}"} if unified else {
        "cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(QUOTA_US)}
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        if unified:
            (ROOT / "cgroup.subtree_control").write_text("+cpu")
        for name, limit in limits.items():
            (group / name).write_text(limit)
    except OSError:
        group.rmdir()
        return None
    return group


def possible() -> bool:
    """Whether this machine lets us give a process so little."""
    group = _group()
    if group is not None:
        group.rmdir()
    return group is not None


@contextmanager
def starved(pid: int, rivals: int) -> Iterator[None]:
    """Let a process have a hundredth of a core, and so many rivals that want all of that."""
    group = _group()
    assert group is not None
    greedy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(rivals)]
    try:
        for member in (*(each.pid for each in greedy), pid):
            (group / "cgroup.procs").write_text(str(member))
        yield
    finally:
        for each in greedy:
            each.kill()
        for name in ("cpu.max", "cpu.cfs_quota_us"):
            if (group / name).exists():
                (group / name).write_text("max" if name == "cpu.max" else "-1")
        for each in greedy:
            each.wait()
        for member in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(member)
        group.rmdir()


class Machine:
    """How long it has kept us waiting in all: what a test may take off a time that it has measured on a busy one."""

    TICK_S, LATE_S = 0.05, 0.1

    def __init__(self) -> None:
        self.kept_waiting_s, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="machine")

    def _watch(self) -> None:
        before_s = time.monotonic()
        while not self._over.wait(self.TICK_S):
            before_s, late_s = (now_s := time.monotonic()), now_s - before_s - self.TICK_S
            self.kept_waiting_s += late_s if late_s > self.LATE_S else 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
