"""A disk whose power can be cut at any moment of its past: a real ext4 on a device that logs every write and flush.

Rule 1: of what was not yet flushed any part may be on the disk, torn and in any order, or none; what was flushed is.
Rule 2: a moment is a count of writes: what was acknowledged before it is known to have been promised.
Rule 3: what is mounted is unmounted, what is started is ended, however a test ends.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from tests.rig import until

SIZE_BYTES = 64 << 20
SECTOR_BYTES = 512
FLUSH, FUA, DISCARD = 1, 2, 4  # of dm-log-writes, whose format QEMU's blklogwrites writes
_SUPER, _ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
_MAGIC = 0x6A736677736872
FATES = ("all lost", "some lost", "some lost, some torn", "none lost")  # of what was not flushed


@dataclass(frozen=True, slots=True)
class Write:
    """One entry of the log: `sectors` to `sector` on, whose bytes stand at `at` in the log."""

    sector: int
    sectors: int
    flags: int
    at: int


@dataclass(frozen=True, slots=True)
class Crash:
    """What a power cut after `moment` writes left, mounted at `folder`."""

    moment: int
    fate: str
    folder: Path


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def moment(log: BinaryIO) -> int:
    """How many writes have been logged."""
    magic, _, count, _ = _SUPER.unpack(os.pread(log.fileno(), _SUPER.size, 0))
    assert magic == _MAGIC
    return int(count)


class Disk:
    """`with Disk(folder) as disk:` is the time with power; disk.mount is its file system. Then disk.crashes()."""

    def __init__(self, folder: Path) -> None:
        self.mount, self.log = folder / "mount", folder / "log"
        self._image, self._blank, self._device = folder / "image", folder / "blank", folder / "device"
        self._crashed, self._open = folder / "crashed", contextlib.ExitStack()

    def __enter__(self) -> Self:
        for path, size_bytes in ((self._image, SIZE_BYTES), (self.log, 64 * SIZE_BYTES), (self._device, 0)):
            with path.open("wb") as file:
                file.truncate(size_bytes)  # holes, until written
        self.mount.mkdir()
        run("mkfs.ext4", "-q", "-F", self._image)
        run("cp", "--sparse=always", self._image, self._blank)
        with self._open as cleaning:
            daemon = subprocess.Popen([
                "qemu-storage-daemon", "--blockdev", f"driver=file,node-name=image,filename={self._image}",
                "--blockdev", f"driver=file,node-name=log,filename={self.log}", "--blockdev",
                "driver=blklogwrites,node-name=logged,file=image,log=log,log-sector-size=512,log-super-update-interval=1",
                "--export", f"type=fuse,id=export,node-name=logged,mountpoint={self._device},writable=on"])
            cleaning.callback(lambda: subprocess.run(["umount", "-l", self._device], check=False, capture_output=True))
            cleaning.callback(daemon.wait)
            cleaning.callback(daemon.kill)
            until(lambda: self._device.stat().st_size == SIZE_BYTES, "qemu-storage-daemon to export the disk")
            loop = run("losetup", "--find", "--show", self._device)
            cleaning.callback(run, "losetup", "--detach", loop)
            run("mount", "-o", "noatime", loop, self.mount)
            cleaning.callback(run, "umount", "-l", self.mount)
            # The power goes first, so that nothing that the kernel still holds reaches the log.
            cleaning.callback(daemon.wait)
            cleaning.callback(daemon.kill)
            self._open = cleaning.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def writes(self) -> list[Write]:
        """All that was logged, in order."""
        found: list[Write] = []
        at = SECTOR_BYTES
        with self.log.open("rb") as log:
            for _ in range(moment(log)):
                sector, sectors, flags, _ = _ENTRY.unpack(os.pread(log.fileno(), _ENTRY.size, at))
                at += SECTOR_BYTES
                found.append(Write(sector, sectors if not flags & DISCARD else 0, flags, at))
                at += found[-1].sectors * SECTOR_BYTES
        return found

    def crashes(self, moments: int, chance: random.Random) -> Iterator[Crash]:
        """Yield what is left at that many moments, drawn from all there were; the last is the end."""
        writes = self.writes()
        durable, done, pending = self._crashed.with_name("durable"), 0, list[Write]()
        run("cp", "--sparse=always", self._blank, durable)
        with self.log.open("rb") as log, durable.open("r+b") as disk:
            for now in (*sorted(chance.sample(range(1, len(writes)), moments - 1)), len(writes)):
                for write in writes[done:now]:
                    if write.flags & FLUSH:
                        for earlier in pending:
                            _copy(log, disk, earlier, earlier.sectors)
                        pending.clear()
                    if write.flags & FUA:
                        _copy(log, disk, write, write.sectors)
                    else:
                        pending.append(write)
                done = now
                run("cp", "--sparse=always", durable, self._crashed)
                fate = chance.choice(FATES)
                with self._crashed.open("r+b") as crashed:
                    for write in pending:
                        _copy(log, crashed, write, _survives(write, fate, chance))
                run("mount", "-o", "loop,noatime", self._crashed, self.mount)
                try:
                    yield Crash(now, fate, self.mount)
                finally:
                    run("umount", self.mount)


def _survives(write: Write, fate: str, chance: random.Random) -> int:
    """How many of its sectors reach the disk."""
    if fate == "all lost" or (fate != "none lost" and chance.random() < 0.5):
        return 0
    if "torn" in fate and write.sectors > 1 and chance.random() < 0.5:
        return chance.randrange(1, write.sectors)
    return write.sectors


def _copy(log: BinaryIO, disk: BinaryIO, write: Write, sectors: int) -> None:
    os.pwrite(disk.fileno(), os.pread(log.fileno(), sectors * SECTOR_BYTES, write.at), write.sector * SECTOR_BYTES)
