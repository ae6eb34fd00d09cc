"""A device that records without end, and what it promised, written down outside of its disk.

    python -m tests.power.writer FOLDER LOG PROMISES RECIPIENT [--no-sync]

Each line of PROMISES begins with the moment (disk.py) by which it was made: `1234 synced 7 65768` (so much of clip 7 is
on the disk), `1300 whole 7 81920` (its statement is, too), `1400 may-go 3` (from then on it may be deleted).
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from device import config
from device.keep import clip as product
from device.keep.clip import Clip
from device.keep.statement import Ended
from device.keep.vault import Vault, read_recipients
from tests.power.disk import moment

PIECE_BYTES, PIECE_S = 16_000, 0.004  # 4 MB/s, so that a run is of a hundred clips


def settings(recipient: str) -> config.Recording:
    """Room for a dozen clips; then the oldest goes."""
    return config.Recording(recipients=(recipient,), longest_s=1, bitrate_mbit=0.2, budget_mb=6, when_full="delete-oldest")


def plain(number: int) -> bytes:
    """What the camera sent for the clip of that number."""
    content = random.Random(number)
    return content.randbytes(content.randrange(1_000, 700_000))


def record(vault: Vault, promise: Callable[[str], None], began: Callable[[], int]) -> int:
    """Record one clip, as `keep` does; return its number."""
    before, then = vault.numbers(), began()
    vault.make_room()
    for gone in set(before) - set(vault.numbers()):
        promise(f"{then} may-go {gone}")
    ours, theirs = socket.socketpair()
    clip = Clip(vault, read_recipients(vault.settings.recipients), theirs, lambda: None)
    content, synced_bytes = memoryview(plain(clip.number)), 0
    while content:
        ours.sendall(content[:PIECE_BYTES])
        content = content[PIECE_BYTES:]
        time.sleep(PIECE_S)
        if clip.synced_bytes > synced_bytes:
            synced_bytes = clip.synced_bytes
            promise(f"{began()} synced {clip.number} {synced_bytes}")
    ours.close()
    while not clip.is_over:
        time.sleep(0.001)
    clip.finish(Ended.BUTTON)
    assert clip.error is None, clip.error
    promise(f"{began()} whole {clip.number} {clip.synced_bytes}")
    return clip.number


def main(folder: Path, log: Path, promises: Path, recipient: str, *options: str) -> None:
    """Record until killed."""
    product.SYNC_EVERY_S = 0.02  # as a run is shorter than an evening, so are its half seconds
    if "--no-sync" in options:
        os.fsync = lambda _: None  # type: ignore[assignment]  # what this shows is that its loss is seen
    vault = Vault(settings(recipient), folder)
    with log.open("rb") as writes, promises.open("a", buffering=1) as out:
        while True:
            record(vault, lambda line: print(line, file=out), lambda: moment(writes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
