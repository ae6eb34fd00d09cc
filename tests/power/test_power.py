"""The power goes while clips are recorded: at every moment, what was promised is there, and the next start works."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
import pytest

from device.errors import VaultError
from device.keep import layout
from device.keep.owner_chain import Finding, Kind, judge
from device.keep.owner_folder import hash_clip, named_device, read
from device.keep.vault import Vault
from tests.power import writer
from tests.power.disk import Crash, Disk
from tests.rig import environment

ASKED = "POWER" in os.environ  # by `make test-power`: it needs root, and takes a minute
pytestmark = pytest.mark.skipif(not ASKED, reason="needs root, loop devices and /dev/fuse; try: sudo make test-power")

SECONDS = float(os.environ.get("POWER_SECONDS", "15"))  # of recording
MOMENTS = int(os.environ.get("POWER_MOMENTS", "200"))
UNDER_WAY = 8  # writes that the log may count before others that it was given earlier
CHUNK_BYTES, TAG_BYTES, NONCE_BYTES = 1 << 16, 16, 16  # age's payload: sealed chunks after one nonce
UNSIGNED = {Kind.NEVER_SIGNED, Kind.NO_STATEMENT, Kind.MISSING}  # what a power cut may leave of the clip it cut


@dataclass(slots=True)
class Promises:
    """All that was promised up to a moment."""

    synced: dict[int, int] = field(default_factory=dict)  # clip, bytes
    whole: set[int] = field(default_factory=set)
    may_go: set[int] = field(default_factory=set)

    @classmethod
    def by(cls, moment: int, lines: list[str]) -> Promises:
        found = cls()
        for line in lines:
            at, what, number, *size = line.split()
            if what == "may-go" and int(at) <= moment:
                found.may_go.add(int(number))
            elif what != "may-go" and int(at) + UNDER_WAY <= moment:
                found.synced[int(number)] = int(size[0])
                found.whole |= {int(number)} if what == "whole" else set()
        return found


class Run:
    """Some seconds of recording, cut off; and what was promised meanwhile."""

    def __init__(self, folder: Path, seconds: float, *options: str) -> None:
        self.identity = pyrage.x25519.Identity.generate()
        self.recipient = str(self.identity.to_public())
        promises = folder / "promises"
        promises.touch()
        with Disk(folder) as self.disk:
            recording = subprocess.Popen([sys.executable, "-m", writer.__name__, self.disk.mount / "keep", self.disk.log,
                                          promises, self.recipient, *options], env=environment())
            try:
                time.sleep(seconds)
                assert recording.poll() is None, "the recording ended by itself"
            finally:
                recording.kill()
                recording.wait()
        self.lines = promises.read_text().splitlines()

    def problems(self, moments: int) -> list[str]:
        """What was promised and does not hold, at each of so many moments; nothing where all is well."""
        with contextlib.closing(self.disk.crashes(moments, random.Random(7))) as crashes:
            return [f"after {crash.moment} writes, {crash.fate}: {problem}"
                    for crash in crashes for problem in self._wrong(crash)]

    def _wrong(self, crash: Crash) -> Iterator[str]:
        promises = Promises.by(crash.moment, self.lines)
        clips = crash.folder / "keep" / layout.CLIPS
        for number, size_bytes in promises.synced.items():
            path = clips / layout.clip(number)
            if path.exists():
                yield from self._lost(path.read_bytes(), number, size_bytes, whole=number in promises.whole)
            elif number not in promises.may_go:
                yield f"ACKED LOST: clip {number} is not there"
        try:
            vault = Vault(writer.settings(self.recipient), crash.folder / "keep")
        except VaultError as error:
            yield f"the next start does not work: {error.message}"
            return
        with contextlib.closing(vault):
            fresh = writer.record(vault, lambda _: None, lambda: 0)
        for finding in findings(clips):
            # Of one clip alone there may be no statement: of the one that was being recorded.
            cut = finding.kind in UNSIGNED and finding.number == finding.last == fresh - 1
            if finding.fails and not (cut and finding.number not in promises.whole):
                yield f"clip {finding.number}: {finding.words}"

    def _lost(self, data: bytes, number: int, size_bytes: int, *, whole: bool) -> Iterator[str]:
        content, out = writer.plain(number), io.BytesIO()
        with contextlib.suppress(OSError, pyrage.DecryptError):  # cut short; what is authentic has been written out
            pyrage.decrypt_io(io.BytesIO(data), out, [self.identity])
        promised = len(content) if whole else chunks(data, size_bytes) * CHUNK_BYTES
        if len(out.getvalue()) < promised:
            yield f"ACKED LOST: clip {number} gives {len(out.getvalue())} bytes of {promised}"
        if not content.startswith(out.getvalue()):
            yield f"clip {number} gives what was not recorded"


def chunks(data: bytes, size_bytes: int) -> int:
    """How many whole chunks of an age file lie within its first bytes."""
    header_bytes = data.find(b"\n", data.find(b"\n--- ") + 1) + 1
    return max(0, size_bytes - header_bytes - NONCE_BYTES) // (CHUNK_BYTES + TAG_BYTES)


def findings(folder: Path) -> list[Finding]:
    """What the owner is told of the chain, every byte read."""
    clips = read(folder)
    for at, clip in enumerate(clips):
        if clip.size_bytes is not None:
            with (folder / layout.clip(clip.number)).open("rb") as file:
                clips[at] = type(clip)(clip.number, clip.size_bytes, clip.statement, hash_clip(file, lambda _: None))
    return judge(clips, named_device(folder))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for a disk and its log, not among those that pytest keeps: mounts and a hundred megabytes."""
    with tempfile.TemporaryDirectory(prefix="doorstep-power-") as folder:
        yield Path(folder)


def test_whenever_the_power_goes_what_was_synced_is_there_and_the_next_start_works(folder: Path) -> None:
    """A burglar pulls the plug. What the owner recorded of him until half a second before must not go with it."""
    run = Run(folder, SECONDS)
    promises = Promises.by(len(run.disk.writes()) + UNDER_WAY, run.lines)
    assert len(promises.whole) > SECONDS, "hardly anything was recorded"
    assert promises.may_go, "nothing was deleted to make room"
    problems = run.problems(MOMENTS)
    assert not problems, "\n".join(problems[:20])


def test_without_its_syncs_what_was_promised_is_lost(folder: Path) -> None:
    """A test of power cuts that finds nothing on a disk that syncs nothing would find nothing at all."""
    assert any("ACKED LOST" in problem for problem in Run(folder, SECONDS / 3, "--no-sync").problems(MOMENTS // 10))
