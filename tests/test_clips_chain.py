"""`doorstep clips verify` and `list`: whatever was done to a folder of clips has its one clear line."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from device.keep import layout
from device.keep.owner_chain import HARMLESS, SAYS, Clip, Kind, judge, signer
from device.keep.owner_folder import read_statement
from device.keep.statement import Ended, Signed, Statement, StatementError, digest, fingerprint, parse
from tests.clips import Clips, in_terminal
from tests.rig import doorstep

FIVE = range(1, 6)


def found(folder: Path, *more: str) -> tuple[set[tuple[int, str]], int]:
    """What verify finds that is not whole, and its exit status."""
    done = doorstep("clips", "verify", folder, "--json", *more)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows, done.stderr
    assert rows[-1]["fails"] == bool(done.returncode)
    return {(row["number"], row["kind"]) for row in rows[:-1] if row["kind"] != "whole"}, done.returncode


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """Five clips in order."""
    made = Clips(tmp_path / "clips")
    for number in FIVE:
        made.record(number)
    return made


def test_untouched_clips_are_all_right_and_say_whose_they_are(clips: Clips) -> None:
    """One sentence to show to an insurer, and what to compare."""
    done = doorstep("clips", "verify", clips.folder)
    assert done.returncode == 0, done.stderr
    whose = fingerprint(clips.device.public_key().public_bytes_raw())
    assert done.stdout.splitlines() == ["All is as it should be: of clips 1 to 5, 5 whole and unaltered.", f"Device {whose}",
                                        "Compare it with what was noted at installation."]
    assert doorstep("clips", "verify", clips.folder, "--device", whose).returncode == 0
    assert doorstep("clips", "verify", clips.folder, "--device", whose.removeprefix("SHA256:")).returncode == 0


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def flip(clips: Clips) -> None:
    edit(clips.clip(3), lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])


def swap_clips(clips: Clips) -> None:
    two, three = clips.clip(2).read_bytes(), clips.clip(3).read_bytes()
    clips.clip(2).write_bytes(three)
    clips.clip(3).write_bytes(two)


def swap_statements(clips: Clips) -> None:
    two, three = clips.statement(2).read_bytes(), clips.statement(3).read_bytes()
    clips.statement(2).write_bytes(three)
    clips.statement(3).write_bytes(two)


def of_another_device(clips: Clips) -> None:
    said = parse(clips.statement(3).read_bytes()).statement
    clips.statement(3).write_bytes(said.signed(Ed25519PrivateKey.generate()))


def forge(clips: Clips) -> None:
    of_another_device(clips)
    theirs, ours = (parse(clips.statement(number).read_bytes()).device for number in (3, 2))
    edit(clips.statement(3), lambda data: data.replace(base64.b64encode(theirs), base64.b64encode(ours)))


def break_chain(clips: Clips) -> None:
    """The device signs, but has forgotten what it said before: a copy of its card was put back."""
    edit(clips.statement(3), lambda data: Statement(3, parse(data).statement.sha256, parse(data).statement.size_bytes,
         parse(data).statement.started, 4000, Ended.BUTTON, (), digest(clips.statement(1).read_bytes())).signed(clips.device))


TAMPERED: dict[str, tuple[Callable[[Clips], object], set[tuple[int, str]]]] = {
    "a removed clip": (lambda c: c.clip(3).unlink(), {(3, "file gone")}),
    "a removed statement": (lambda c: c.statement(3).unlink(), {(3, "statement gone")}),
    "two removed statements": (lambda c: [c.statement(n).unlink() for n in (2, 3)], {(2, "no statement"), (3, "no statement")}),
    "a clip removed with its statement": (lambda c: [c.clip(3).unlink(), c.statement(3).unlink()], {(3, "missing")}),
    "two of these": (lambda c: [p(n).unlink() for n in (3, 4) for p in (c.clip, c.statement)], {(3, "missing")}),
    "swapped clips": (swap_clips, {(2, "swapped"), (3, "swapped")}),
    "swapped statements": (swap_statements, {(2, "statement swapped"), (3, "statement swapped")}),
    "a flipped byte": (flip, {(3, "altered")}),
    "a clip cut short": (lambda c: edit(c.clip(3), lambda data: data[:-1]), {(3, "cut short")}),
    "a clip grown": (lambda c: edit(c.clip(3), lambda data: data + b"x"), {(3, "altered")}),
    "an edited statement": (lambda c: edit(c.statement(3), lambda data: data.replace(b"4.000", b"5.000")), {(3, "statement forged")}),
    "a statement that is none": (lambda c: c.statement(3).write_bytes(b"hello\n"), {(3, "statement altered")}),
    "an empty statement": (lambda c: c.statement(3).write_bytes(b""), {(3, "statement altered")}),
    "a statement of another device": (of_another_device, {(3, "another device")}),
    "a forged signature": (forge, {(3, "statement forged")}),
    "a broken chain": (break_chain, {(3, "chain broken"), (4, "chain broken")}),
    "the newest statement removed": (lambda c: c.statement(5).unlink(), {(5, "no statement")}),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_whatever_was_done_to_clips_is_said(clips: Clips, case: str) -> None:
    """Evidence is worth what its weakest check is."""
    do, expected = TAMPERED[case]
    do(clips)
    assert found(clips.folder) == (expected, 1)
    lines = doorstep("clips", "verify", clips.folder).stdout.splitlines()
    for number, kind in expected:
        start = SAYS[Kind(kind)].split("{", maxsplit=1)[0]
        assert any(line.startswith((f"clip {number}: {start}", f"clips {number} to ")) for line in lines), lines
    assert any(line.startswith("Not all is as it should be: of clips 1 to 5, ") for line in lines)


def test_every_kind_of_finding_is_met_by_a_test() -> None:
    """A line that nobody has ever seen is a line that is wrong."""
    elsewhere = {Kind.WHOLE, Kind.DELETED, Kind.NEVER_SIGNED, Kind.CLOCK_BACK, Kind.EARLIER}
    assert {kind for _, expected in TAMPERED.values() for _, kind in expected} | elsewhere == set(SAYS) == set(Kind)


def test_a_power_cut_is_told_from_a_removed_statement(tmp_path: Path) -> None:
    """The next statement shows that the device never made one; still nothing proves that clip."""
    clips = Clips(tmp_path / "clips")
    for number in FIVE:
        clips.record(number, power_cut=number == 3)
    assert found(clips.folder) == ({(3, "never signed")}, 1)


def test_a_power_cut_in_the_very_first_clip_is_one_too(tmp_path: Path) -> None:
    """There is no statement before it that the second could name."""
    clips = Clips(tmp_path / "clips")
    clips.record(1, power_cut=True)
    clips.record(2)
    assert found(clips.folder) == ({(1, "never signed")}, 1)


@pytest.mark.parametrize("statements_too", [False, True])
def test_what_the_device_deleted_to_make_room_is_a_note(tmp_path: Path, statements_too: bool) -> None:
    """A full disk is no thief, and the device says so under its signature."""
    clips = Clips(tmp_path / "clips")
    for number in FIVE:
        clips.record(number, deleted=(1, 2) if number == 5 else ())
    if statements_too:
        for number in (1, 2):
            clips.statement(number).unlink()
    assert found(clips.folder) == ({(1, "deleted by the device"), (2, "deleted by the device")}, 0)
    clips.clip(3).unlink()
    assert found(clips.folder)[1] == 1


def test_nobody_but_the_device_can_excuse_a_missing_clip(clips: Clips) -> None:
    """A thief would sign for the removal himself."""
    said = parse(clips.statement(5).read_bytes()).statement
    clips.clip(2).unlink()
    clips.statement(5).write_bytes(Statement(5, said.sha256, said.size_bytes, said.started, 1, Ended.BUTTON, (2,), said.before)
                                   .signed(Ed25519PrivateKey.generate()))
    assert (2, "file gone") in found(clips.folder)[0]


def test_a_clock_that_went_back_is_a_note(tmp_path: Path) -> None:
    """A Pi has no clock of its own, and begins with yesterday until the network tells it better."""
    clips = Clips(tmp_path / "clips")
    for number in FIVE:
        if number == 3:
            clips.started -= timedelta(days=1)
        clips.record(number)
    assert found(clips.folder) == ({(3, "clock went back")}, 0)


def test_clips_that_begin_later_say_so(clips: Clips) -> None:
    """Whoever copied only the newest must not believe that they are all."""
    for number in (1, 2):
        clips.clip(number).unlink()
        clips.statement(number).unlink()
    assert found(clips.folder) == ({(3, "earlier not here")}, 0)


def test_a_named_device_is_held_to(clips: Clips) -> None:
    """A thief with a device of his own can sign anything; the fingerprint on paper he cannot change."""
    kinds, status = found(clips.folder, "--device", fingerprint(bytes(32)))
    assert status == 1
    assert {kind for _, kind in kinds} == {"another device"}
    done = doorstep("clips", "verify", clips.folder, "--device", "SHA256:short")
    assert done.returncode == 2
    assert "no fingerprint" in done.stderr


def test_without_device_pub_the_statements_say_whose_they_are(clips: Clips) -> None:
    """It is a convenience for openssl, not what is believed."""
    (clips.folder / layout.PUBLIC).unlink()
    assert found(clips.folder) == (set(), 0)
    (clips.folder / layout.PUBLIC).write_text("no key")
    assert "no public key" in doorstep("clips", "verify", clips.folder).stderr


def test_the_recordings_folder_is_as_good_as_the_clips_in_it(clips: Clips) -> None:
    """Whoever copied the whole must not need to know."""
    (clips.folder / "clip-1.ts.age").write_text("no clip's name")
    (clips.folder / "clip-000009.ts.age").mkdir()
    assert found(clips.folder.parent) == (set(), 0)


def test_no_clips_are_no_proof(tmp_path: Path) -> None:
    """An empty folder must not be said to be in order."""
    for path, says in ((tmp_path, "holds no clip"), (tmp_path / "none", "no folder")):
        done = doorstep("clips", "verify", path)
        assert done.returncode == 2
        assert says in done.stderr


def test_list_says_what_is_there(tmp_path: Path) -> None:
    """Number, time, length, size, and whether it was signed; clips are not read for it."""
    clips = Clips(tmp_path / "clips")
    for number in range(1, 8):
        clips.record(number, power_cut=number == 6, deleted=(1,) if number == 4 else ())
    clips.clip(3).unlink()
    clips.clip(5).write_bytes(bytes(clips.clip(5).stat().st_size))
    done = doorstep("clips", "list", clips.folder, TZ="Europe/Berlin")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["number", "started", "length", "size", "state"]
    assert [row.split("  ")[-1] for row in rows] == ["deleted by the device", "statement ok", "file gone", "statement ok",
                                                     "statement ok", "never signed", "statement ok"]
    assert rows[1].split()[:4] == ["2", "2026-11-25", "10:02:00+01:00", "4.0"]
    assert max(map(len, (head, *rows))) <= 80
    lines = [json.loads(line) for line in doorstep("clips", "list", clips.folder, "--json").stdout.splitlines()]
    assert lines[1] == {"number": 2, "last": 2, "state": "statement ok", "bytes": clips.clip(2).stat().st_size,
                        "started": "2026-11-25T09:02:00Z", "length_s": 4.0, "ended": "button"}
    assert lines[2]["bytes"] is lines[5]["started"] is None


def test_a_terminal_gets_a_table_in_colour_and_no_color_is_honoured(clips: Clips) -> None:
    """As everywhere."""
    clips.clip(3).unlink()
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        _, listed = in_terminal("clips", "list", clips.folder, **more)
        status, verified = in_terminal("clips", "verify", clips.folder, **more)
        assert status == 1
        assert "file gone" in listed
        assert "clip 3: the clip is missing" in verified
        assert ("\033[31m" in listed and "\033[31m" in verified) == coloured
        plain = re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", listed + verified[verified.index("clip 3:"):])
        assert max(map(len, plain.splitlines())) <= 80


KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OURS = fingerprint(KEY.public_key().public_bytes_raw())


def chain(length: int) -> list[Clip]:
    """Clips 1 to `length`, all in order."""
    clips, before = [], None
    for number in range(1, length + 1):
        data = Statement(number, f"{number:064x}", 1000 + number, datetime(2026, 1, 1, tzinfo=UTC), 1, Ended.TIME, (), before).signed(KEY)
        clips.append(Clip(number, 1000 + number, parse(data), f"{number:064x}"))
        before = digest(data)
    return clips


WHOLE = chain(12)


def fails(clips: list[Clip]) -> set[int]:
    """The numbers that something is wrong with."""
    return {number for one in judge(clips, OURS) if one.fails for number in range(one.number, one.last + 1)}


@settings(max_examples=200)
@given(st.sets(st.integers(0, 11)))
def test_no_clip_between_two_can_be_missing_in_silence(gone: set[int]) -> None:
    """Removed with or without its statement: what lies between the oldest and the newest left is spoken of."""
    left = [clip for place, clip in enumerate(WHOLE) if place not in gone]
    expected = {place + 1 for place in gone if left and left[0].number < place + 1 < left[-1].number}
    assert fails(left) == expected
    bare = [Clip(clip.number, clip.size_bytes, None if place in gone else clip.statement, clip.sha256)
            for place, clip in enumerate(WHOLE)]
    assert fails(bare) == {place + 1 for place in gone}


@given(st.permutations(WHOLE))
def test_no_order_of_reading_changes_what_is_found(clips: list[Clip]) -> None:
    """A folder is listed in any order."""
    assert judge(clips, OURS) == judge(WHOLE, OURS)
    assert {one.kind for one in judge(clips, OURS)} == {Kind.WHOLE}
    assert signer(clips) == OURS


@given(st.lists(st.tuples(st.integers(1, layout.MOST), st.none() | st.integers(0, 5000), st.none() | st.sampled_from(WHOLE)),
                unique_by=lambda row: row[0], max_size=8), st.none() | st.just(OURS))
def test_no_input_goes_unspoken_of(rows: list[tuple[int, int | None, Clip | None]], ours: str | None) -> None:
    """Any mixture: each number from the lowest to the highest has a finding, and only proof makes one whole."""
    clips = [Clip(number, size, clip.statement if clip else None, clip.sha256 if clip else None) for number, size, clip in rows]
    findings = judge(clips, ours)
    spoken = {number for one in findings for number in (one.number, one.last)}
    assert {clip.number for clip in clips} <= spoken
    for one in findings:
        assert one.fails == (one.kind not in HARMLESS)
        if one.kind is Kind.WHOLE:
            proof = next(clip for clip in clips if clip.number == one.number)
            assert isinstance(proof.statement, Signed)
            assert proof.good(ours)
            assert proof.size_bytes == proof.statement.statement.size_bytes


@given(st.binary(max_size=200))
def test_no_input_as_a_statement_is_more_than_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whoever hands over a folder may have put anything into it."""
    path = tmp_path_factory.getbasetemp() / "statement"
    path.write_bytes(data)
    assert isinstance(read_statement(path), StatementError)


def test_a_gap_of_a_million_is_one_line() -> None:
    """One file with a high number must not fill the screen."""
    assert [one.kind for one in judge([WHOLE[0], Clip(layout.MOST, 1, None)], OURS)] == [Kind.WHOLE, Kind.MISSING, Kind.NO_STATEMENT]


def test_a_folder_that_may_not_be_read_is_an_error(clips: Clips) -> None:
    """A missing permission must not look like a missing clip."""
    shutil.rmtree(clips.folder)
    clips.folder.write_text("a file")
    assert doorstep("clips", "list", clips.folder).returncode == 2


@pytest.mark.parametrize("kind", ["a pipe", "endless"])
def test_a_public_key_that_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A folder that somebody prepared must not hang the owner's computer."""
    clips = Clips(tmp_path / "clips")
    clips.record(1)
    public = clips.folder / layout.PUBLIC
    public.unlink()
    if kind == "a pipe":
        os.mkfifo(public)
    else:
        public.symlink_to("/dev/zero")
    done = doorstep("clips", "verify", clips.folder, seconds=20)
    assert done.returncode == 2
    assert "no public key" in " ".join(done.stderr.split())
