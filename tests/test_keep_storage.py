"""What `keep` has written outlives power cuts, full disks and dead cards; what it deletes it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from device.errors import RecordingError
from device.keep import layout, owner_age
from device.keep.statement import Ended
from device.messages import KeepToSee, KeepToTell
from tests.keep_rig import OWNER, SMALL, TINY, Keep, owned
from tests.rig import doorstep


def test_a_power_cut_at_any_of_fifty_moments_costs_the_last_chunk_at_most(tmp_path: Path) -> None:
    """Killed while it records: what was taken opens but for its last 64 KiB, the chain says which clip has no
    statement, and the next start works. Every fifth recording ends as it should, so there is a chain to break.
    """
    rng, cut = random.Random(11), 0
    with Keep(tmp_path, owned(SMALL.replace("budget_mb = 20", "budget_mb = 60"))) as keep:
        for moment in range(1, 51):
            number = max((int(name[5:11]) for name in keep.names("age")), default=0) + 1
            if moment % 5 == 0:
                keep.record(os.urandom(100_000))
                continue
            keep.finger.press()
            keep.asks(KeepToSee.START)
            sent = os.urandom(400_000)
            with keep.video() as video:
                feeder = threading.Thread(target=_feed, args=(video, sent))
                feeder.start()
                time.sleep(rng.random() * 0.3)
                keep.process.kill()
                keep.process.wait(10)
                feeder.join()
            if layout.clip(number) in keep.names():
                got, missing = _authentic(keep.state / "clips" / layout.clip(number))
                assert sent.startswith(got)
                assert missing <= 65536
                cut += 1
            keep.start()
            keep.lives(KeepToTell.ALIVE)
        keep.record(b"the last")
        assert cut > 30  # at nearly every moment there was a clip to cut
        assert not keep.names(".new")
        kinds = _verified(keep.state / "clips", 1)
        assert kinds.count("whole") == 11
        assert kinds.count("never signed") == cut == len(kinds) - 11


def _verified(clips: Path, status: int) -> list[str]:
    """Return what the owner's verification finds of each clip, oldest first."""
    done = doorstep("clips", "verify", clips, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    return [json.loads(line)["kind"] for line in done.stdout.splitlines()[:-1]]


def _feed(video: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it is being killed
        for at in range(0, len(data), 1316):
            video.sendall(data[at:at + 1316])


def _authentic(clip: Path) -> tuple[bytes, int]:
    """Return what opens of a clip, and how many bytes of ciphertext behind it do not."""
    plain = io.BytesIO()
    try:
        with clip.open("rb") as file:
            opened = owner_age.decrypt(file, plain, [OWNER], lambda _: None)
    except RecordingError:  # killed before its header was whole
        return b"", clip.stat().st_size
    assert plain.tell() % 65536 == 0 or opened.whole
    return plain.getvalue(), opened.plain_bytes_in(clip.stat().st_size) - opened.plain_bytes


@pytest.mark.parametrize("when", ["before a press", "while it records"])
def test_a_full_disk_is_said_and_what_was_written_stays_readable(tmp_path: Path, when: str) -> None:
    """A real, small filesystem that fills up."""
    state = tmp_path / "state"
    state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(state)], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        with Keep(tmp_path, owned()) as keep:
            keep.lives(KeepToTell.ALIVE)
            if when == "before a press":
                _fill(state, leave_bytes=3_000_000)
                keep.finger.press()
                keep.hears(KeepToTell.RECORDING_FAILED)
                assert "full: no room for another clip" in keep.said
                assert keep.names("age") == []
                (state / "fill").unlink()
                keep.lives(KeepToTell.ALIVE)  # it noticed by itself
            else:
                sent = os.urandom(1_000_000)
                with keep.record(sent[:200_000], end=False) as video:
                    keep.waits(lambda: keep.names("age"), "a clip")
                    _fill(state, leave_bytes=300_000)
                    _feed(video, sent[200_000:])
                    keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING_FAILED)
                got, _ = _authentic(state / "clips" / layout.clip(1))
                assert sent.startswith(got)
                assert len(got) > 300_000
                assert keep.stated(1).statement.ended is Ended.STORAGE
                assert "No space left on device" in keep.said
                (state / "fill").unlink()
            keep.record(b"room again")
            assert keep.opened(int(keep.names("age")[-1][5:11])) == b"room again"
    finally:
        subprocess.run(["umount", str(state)], check=True)


def _fill(folder: Path, leave_bytes: int) -> None:
    disk = os.statvfs(folder)
    with (folder / "fill").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - leave_bytes)


@pytest.mark.parametrize("trouble", ["gone", "a file in its place", "read-only"])
def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path, trouble: str) -> None:
    """A card that was pulled, or that has died."""
    with Keep(tmp_path, owned()) as keep, contextlib.ExitStack() as after:
        keep.lives(KeepToTell.ALIVE)
        if trouble == "read-only":
            if subprocess.run(["mount", "--bind", str(keep.state), str(keep.state)], check=False).returncode:
                pytest.skip("mounting needs root")
            after.callback(subprocess.run, ["umount", str(keep.state)], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", str(keep.state)], check=True)
        else:
            keep.state.rename(tmp_path / "aside")
            if trouble == "a file in its place":
                keep.state.touch()
        keep.finger.press()
        keep.hears(KeepToTell.RECORDING_FAILED)
        assert keep.finger.light() == "fast"
        assert f"{keep.state}: " in keep.said
        assert KeepToSee.START not in keep.asked
        if trouble == "gone":  # a fresh card: it is used, and its key is said to be new
            keep.record(b"on the new card")
            assert keep.said.count("clips will be signed by a new key") == 2


def test_when_full_nothing_is_deleted_unasked(tmp_path: Path) -> None:
    """The owner's clips are the owner's: a new recording is refused, and that is said."""
    with Keep(tmp_path, owned(TINY)) as keep:
        keep.record(os.urandom(600_000))
        keep.hears(KeepToTell.RECORDING_ENDED)
        keep.finger.press()
        keep.hears(KeepToTell.RECORDING_FAILED)
        assert "full: no room for another clip of 1 s" in keep.said
        assert keep.names("age") == ["clip-000001.ts.age"]
        keep.lives(KeepToTell.FAULT)


def test_the_oldest_is_deleted_if_the_owner_chose_so(tmp_path: Path) -> None:
    """And what was deleted is said, signed: nobody can remove a clip and say that it was the device."""
    with Keep(tmp_path, owned(TINY + 'when_full = "delete-oldest"\n')) as keep:
        for _ in range(3):
            keep.record(os.urandom(600_000))
        assert keep.names("age") == ["clip-000003.ts.age"]
        assert [keep.stated(number).statement.deleted for number in (1, 2, 3)] == [(), (1,), (2,)]
        assert KeepToTell.STORAGE_LOW in keep.told
        assert _verified(keep.state / "clips", 0) == ["deleted by the device", "deleted by the device", "whole"]
