"""What a recording costs: the real `keep` on mock pins, fed at 5 Mbit/s, and age alone beside it in the same run.

Rule 1: what is measured is the process's own processor time and memory, as the kernel counts them.
Not measured: the camera's encoder (hardware on a Pi up to 4 and Zero 2 W) and lgpio, which need a board.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyrage

from device.keep import layout
from tests.bench import in_memory
from tests.keep_rig import OWNER, Keep, owned

MBIT_PER_S = 5.0
PIECE_BYTES = 188 * 35  # about what an encoder writes at a time
RESIDENT_AIM_MB = 45.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, measured."""

    seconds: float
    idle_mb: float  # resident, before the press
    recording_mb: float  # at its most, while recording
    core_share: float  # of one core, while recording
    idle_share: float  # of one core, before
    age_core_share: float  # of one core, what age alone takes for as many bytes
    faults: tuple[str, ...]


def measure(seconds: float) -> Recording:
    """Record for `seconds`."""
    data = os.urandom(int(MBIT_PER_S * 1e6 / 8 * seconds))
    with in_memory() as folder, Keep(folder, owned(f"longest_s = {seconds + 30:.0f}\nbitrate_mbit = {MBIT_PER_S:g}\n")) as keep:
        keep.waits(lambda: keep.heard, "a sign of life")
        process = psutil.Process(keep.process.pid)
        idle_share, idle_mb = _share(process, lambda: time.sleep(2)), _resident_mb(process)
        keep.finger.press()
        with keep.video() as video:
            most_mb = 0.0

            def feed() -> None:
                nonlocal most_mb
                began_s = time.monotonic()
                for at in range(0, len(data), PIECE_BYTES):
                    video.sendall(data[at:at + PIECE_BYTES])
                    time.sleep(max(0.0, began_s + at / (MBIT_PER_S * 1e6 / 8) - time.monotonic()))
                    if at % (PIECE_BYTES * 50) == 0:
                        most_mb = max(most_mb, _resident_mb(process))

            share = _share(process, feed)
            keep.finger.press()
        keep.waits(lambda: keep.names("statement"), "the statement")
        whole = keep.opened(1) == data
        size = (Path(keep.state) / "clips" / layout.clip(1)).stat().st_size
    began_s = time.process_time()
    pyrage.encrypt_io(io.BytesIO(data), io.BytesIO(), [OWNER.to_public()])
    age_s = time.process_time() - began_s
    faults = () if whole and size > len(data) else ("what was recorded is not what was sent",)
    return Recording(seconds, idle_mb, most_mb, share, idle_share, age_s / seconds, faults)


def _share(process: psutil.Process, work: Callable[[], None]) -> float:
    before, began_s = sum(process.cpu_times()[:2]), time.monotonic()
    work()
    return (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began_s)


def _resident_mb(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6
