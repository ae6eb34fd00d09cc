"""The recordings folder makes room, and says whose doing it was."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pyrage
import pytest

from device import config
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
    clip = Clip(vault, read_recipients((OWNER,)), theirs, lambda: None)
    with ours:
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
    full(tmp_path).make_room()
    after = Vault(SMALL, tmp_path)
    assert after.numbers() == [2, 3]
    assert record(after).deleted == (1,)
    assert record(Vault(SMALL, tmp_path)).deleted == (2,)


def test_a_clip_that_the_power_cut_saved_is_not_said_to_be_deleted(tmp_path: Path) -> None:
    """A statement that excuses what is still there would excuse whoever takes it later."""
    vault = full(tmp_path)
    vault.chain.deleted.append(1)
    vault.save_chain()
    after = Vault(SMALL, tmp_path)
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
