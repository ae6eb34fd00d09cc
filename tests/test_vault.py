"""The recordings folder makes room, and says whose doing it was."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pyrage
import pytest

from device import config
from device.errors import VaultError
from device.keep import layout
from device.keep.clip import Clip
from device.keep.statement import Ended, Statement, parse
from device.keep.vault import Vault, read_recipients
from tests.rig import until

OWNER = str(pyrage.x25519.Identity.generate().to_public())
SMALL = config.Recording(recipients=(OWNER,), longest_s=1, bitrate_mbit=0.2, budget_mb=3.5, when_full="delete-oldest")


def record(vault: Vault) -> Statement:
    """Record a clip of half a megabyte; return what is stated of it."""
    vault.make_room()
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            clip = Clip(vault, read_recipients((OWNER,)), theirs, lambda: None)
            ours.sendall(bytes(500_000))
        until(lambda: clip.is_over, "the clip to end")
    clip.finish(Ended.BUTTON)
    return parse((vault.clips / layout.statement(clip.number)).read_bytes()).statement


def full(folder: Path) -> Vault:
    """A folder with clips 1 to 3, and no room for another."""
    vault = Vault(SMALL, folder)
    assert [record(vault).deleted for _ in range(3)] == [()] * 3
    return vault


def test_a_clip_that_made_room_is_said_to_be_deleted_by_the_device(tmp_path: Path) -> None:
    """Else the owner would suspect whoever held the card."""
    vault = full(tmp_path)
    assert record(vault).deleted == (1,)
    assert vault.numbers() == [2, 3, 4]
    assert record(vault).deleted == (2,)


def test_and_is_said_to_be_so_when_the_power_goes_before_anything_is_stated(tmp_path: Path) -> None:
    """A power cut must not make the device's own doing look like a thief's."""
    before = full(tmp_path)
    before.make_room()
    before.close()
    with contextlib.closing(Vault(SMALL, tmp_path)) as after:
        assert after.numbers() == [2, 3]
        assert record(after).deleted == (1,)
    with contextlib.closing(Vault(SMALL, tmp_path)) as later:
        assert record(later).deleted == (2,)


def test_a_clip_that_the_power_cut_saved_is_not_said_to_be_deleted(tmp_path: Path) -> None:
    """A statement that excuses what is still there would excuse whoever takes it later."""
    vault = full(tmp_path)
    vault.chain.deleted.append(1)
    vault.save_chain()
    vault.close()
    with contextlib.closing(Vault(SMALL, tmp_path)) as after:
        assert after.numbers() == [1, 2, 3]
        assert after.chain.deleted == []


def test_on_a_disk_that_is_full_to_the_last_byte_the_oldest_clip_goes_all_the_same(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chose delete-oldest wants the newest clip, whatever else filled the disk."""
    vault = full(tmp_path)
    save, refusals = Vault.save_chain, iter([OSError(errno.ENOSPC, "No space left on device")])

    def once(vault: Vault) -> None:
        for refusal in refusals:
            raise refusal
        save(vault)

    monkeypatch.setattr(Vault, "save_chain", once)
    assert record(vault).deleted == (1,)


def test_no_clip_is_deleted_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's file fills the disk: however many clips went, there would be no room, so none goes."""
    with contextlib.closing(full(tmp_path)) as vault:
        seen = os.statvfs(vault.clips)
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=10, f_frsize=seen.f_frsize))
        with pytest.raises(VaultError, match="not even without the older ones"):
            vault.make_room()
        assert vault.numbers() == [1, 2, 3]


def test_a_clip_that_was_copied_back_does_not_spoil_the_chain(tmp_path: Path) -> None:
    """Deleted, put back, deleted again: it is said once, and in order."""
    with contextlib.closing(full(tmp_path)) as vault:
        vault.chain.deleted += [2, 1, 1, 99]
        assert record(vault).deleted == (1, 2)


def test_two_keeps_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second would clear away what the first is writing."""
    with contextlib.closing(Vault(SMALL, tmp_path)), pytest.raises(VaultError, match="another keep uses it"):
        Vault(SMALL, tmp_path)
    Vault(SMALL, tmp_path).close()


def test_after_the_last_number_there_is_none(tmp_path: Path) -> None:
    """Refused in words, before the light promises anything."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / layout.clip(layout.MOST)).touch()
    with contextlib.closing(Vault(SMALL, tmp_path)) as vault, pytest.raises(VaultError, match="no number after 999999"):
        vault.check()


def test_a_clip_that_could_not_be_begun_costs_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is written down without a clip would be missed for ever."""
    with contextlib.closing(Vault(SMALL, tmp_path)) as vault:
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
            with pytest.raises(OSError, match="No space"):
                record(vault)
        assert list(vault.clips.glob("clip-*")) == []
        assert record(vault).sequence == 1
