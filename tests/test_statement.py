"""The signed statement of a clip: one spelling, one signature, and a format that openssl alone can check."""

from __future__ import annotations

import base64
import dataclasses
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from device.keep import layout
from device.keep.statement import Ended, Statement, StatementError, digest, fingerprint, parse

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PLAIN = Statement(7, "ab" * 32, 123456, datetime(2026, 11, 25, 9, 0, 5, tzinfo=UTC), 12_040, Ended.BUTTON, (3, 5), "cd" * 32)

NUMBERS = st.integers(1, layout.MOST)
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
STATEMENTS = NUMBERS.flatmap(lambda sequence: st.builds(
    Statement, st.just(sequence), HASHES, st.integers(0, 2**63 - 1),
    st.integers(0, 250_000_000_000).map(lambda at_s: datetime.fromtimestamp(at_s, UTC)), st.integers(0, 10**10),
    st.sampled_from(Ended), st.sets(st.integers(1, max(1, sequence - 1)), max_size=5).map(
        lambda older: tuple(sorted(number for number in older if number < sequence))),
    st.none() | HASHES))


def accepted(data: bytes) -> bool:
    """Whether it is taken for a statement that its key signed."""
    try:
        return parse(data).authentic
    except StatementError:
        return False


def test_a_statement_reads_as_the_format_says() -> None:
    """The format is a promise: whoever wrote a tool for it must not be surprised by the next release."""
    lines = PLAIN.signed(KEY).decode().splitlines()
    assert lines[:-1] == [
        "doorstep clip statement v1", "clip: clip-000007.ts.age", "sequence: 7", "sha256: " + "ab" * 32, "bytes: 123456",
        "started: 2026-11-25T09:00:05Z", "length_s: 12.040", "ended: button", "deleted: 3 5", "before: " + "cd" * 32,
        "device: A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    ]
    assert lines[-1].startswith("signature: ")


@given(STATEMENTS)
def test_what_was_signed_is_read_back_and_is_authentic(said: Statement) -> None:
    """Nothing that a device can say gets lost on the way."""
    data = said.signed(KEY)
    assert parse(data).statement == said
    assert parse(data).data == data
    assert parse(data).device == KEY.public_key().public_bytes_raw()
    assert accepted(data)


LINES = PLAIN.signed(KEY).splitlines(keepends=True)
PIECES = st.sampled_from([*LINES, b"\n", b"\r\n", b" ", b"none", b"0", "²".encode(), b"\0", b"deleted: 5 3\n", b"sequence: 07\n"])


@given(st.binary(max_size=300) | st.lists(PIECES | st.binary(max_size=3), max_size=16).map(b"".join))
def test_no_input_is_accepted_that_would_be_written_differently(data: bytes) -> None:
    """Two spellings of one statement would have two digests, and the chain could be forked."""
    try:
        found = parse(data)
    except StatementError as error:
        assert error.hint
        return
    assert found.data == data


def test_no_input_with_a_flipped_bit_is_accepted() -> None:
    """Whoever alters a statement cannot sign it again."""
    data = PLAIN.signed(KEY)
    assert accepted(data)  # the comparison can fail
    for place in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[place] ^= 1 << bit
            assert not accepted(bytes(altered)), (place, bit)


@given(st.integers(0, len(PLAIN.signed(KEY)) - 1))
def test_no_input_that_is_cut_short_is_accepted(length: int) -> None:
    """A power cut while it was written leaves no statement, rather than half of one."""
    assert not accepted(PLAIN.signed(KEY)[:length])


def test_another_keys_signature_is_read_and_not_believed() -> None:
    """Read, so that it can be said whose it claims to be."""
    theirs = Ed25519PrivateKey.generate()
    forged = PLAIN.signed(theirs).replace(base64.b64encode(theirs.public_key().public_bytes_raw()),
                                          base64.b64encode(KEY.public_key().public_bytes_raw()))
    assert parse(forged).device == KEY.public_key().public_bytes_raw()
    assert not parse(forged).authentic


REFUSED = {
    "another title": (b"statement v1", b"statement v2", 1),
    "a line of Windows": (b"sequence: 7\n", b"sequence: 7\r\n", 3),
    "a leading zero": (b"sequence: 7\n", b"sequence: 07\n", 3),
    "the name of another clip": (b"clip-000007", b"clip-000008", 2),
    "a folder in the name": (b"clip-000007", b"../p-000007", 2),
    "capital hexadecimals": (b"sha256: ab", b"sha256: AB", 4),
    "a time zone": (b"09:00:05Z", b"09:00:05+", 6),
    "a length in another spelling": (b"12.040", b"12.04", 7),
    "a word outside the vocabulary": (b"button", b"bored", 8),
    "an unknown line": (b"ended:", b"mood: fine\nended:", 8),
    "swapped lines": (b"sequence: 7\nsha256: " + b"ab" * 32, b"sha256: " + b"ab" * 32 + b"\nsequence: 7", 3),
    "a key with spare bits": (b"VMbg=", b"VMbh=", 11),
    "a line too many": (b"==\n", b"==\n\n", 13),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_the_line(case: str) -> None:
    """Whoever copied it by hand finds the slip."""
    old, new, line = REFUSED[case]
    altered = PLAIN.signed(KEY).replace(old, new, 1)
    assert altered != PLAIN.signed(KEY)
    with pytest.raises(StatementError, match=rf"line {line} "):
        parse(altered)


@pytest.mark.parametrize("wrong", [
    {"sequence": 0}, {"sequence": layout.MOST + 1}, {"sha256": "ab"}, {"size_bytes": -1}, {"length_ms": -1}, {"before": "x"},
    {"started": datetime(2026, 11, 25)}, {"started": datetime(2026, 11, 25, microsecond=1, tzinfo=UTC)},  # noqa: DTZ001  # what is refused
    {"started": datetime(2026, 11, 25, tzinfo=timezone(timedelta(hours=1)))}, {"started": datetime(1, 1, 1, tzinfo=UTC)}, {"ended": "button"},
    {"deleted": (5, 3)}, {"deleted": (3, 3)}, {"deleted": (7,)}, {"deleted": (0,)},
])
def test_an_illegal_statement_cannot_be_built(wrong: dict[str, object]) -> None:
    """The device would sign it, and nobody could read it."""
    with pytest.raises(StatementError):
        dataclasses.replace(PLAIN, **wrong)


def test_openssl_alone_verifies_a_statement(tmp_path: Path) -> None:
    """A court or an insurer need not trust Doorstep's own program."""
    data = PLAIN.signed(KEY)
    (tmp_path / "clip-000007.statement").write_bytes(data)
    (tmp_path / "device.pub").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    check = ("head -n 11 clip-000007.statement > said; sed -n 's/^signature: //p' clip-000007.statement | base64 -d > signature;"
             "openssl pkeyutl -verify -rawin -pubin -inkey device.pub -in said -sigfile signature")
    assert subprocess.run(check, shell=True, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "clip-000007.statement").write_bytes(data.replace(b"button", b"time"))
    assert subprocess.run(check, shell=True, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_the_fingerprint_is_what_sha256_says_of_the_raw_key() -> None:
    """It is noted on paper at installation and compared years later."""
    assert fingerprint(bytes(32)) == "SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU"
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(NUMBERS)
def test_names_are_read_as_they_are_written(number: int) -> None:
    """Sorted by name is sorted by number."""
    assert layout.clip_number(layout.clip(number)) == layout.statement_number(layout.statement(number)) == number
    assert layout.clip_number(layout.statement(number)) is layout.statement_number(layout.clip(number)) is None


@given(st.text(max_size=30) | st.from_regex(r"clip-\d{5,7}\.(ts\.age|statement)\n?"))
def test_no_input_is_a_clips_name_that_is_not_written_so(name: str) -> None:
    """Whatever else lies in the folder is left alone."""
    number, of_statement = layout.clip_number(name), layout.statement_number(name)
    assert number is None or layout.clip(number) == name
    assert of_statement is None or layout.statement(of_statement) == name


@pytest.mark.parametrize("number", [0, -1, layout.MOST + 1])
def test_a_number_out_of_range_has_no_name(number: int) -> None:
    """The seventh digit would sort before the sixth."""
    with pytest.raises(ValueError, match="number"):
        layout.clip(number)
