"""What the device says of one clip, signed: a text file that age, sha256sum and openssl can check alone.

Rule 1: a statement has one spelling: `parse` refuses every file that would not be written again byte for byte.
Rule 2: an illegal statement cannot be built, from a file or in code.
Rule 3: a signature shows that the key named in the statement made it; whose key that is, only a fingerprint noted at
installation can show.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.errors import DoorstepError
from device.keep import layout

TITLE = "doorstep clip statement v1"
NONE = "none"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_MS = 100_000_000_000  # three years; a length above it is a broken clock


class Ended(StrEnum):
    """Why a clip ended."""

    BUTTON = "button"  # pressed again
    TIME = "time"  # the longest clip length
    STREAM = "stream"  # the camera's process stopped sending
    STORAGE = "storage"  # no room, or the disk refused
    STOPPED = "stopped"  # the device was told to stop


class StatementError(DoorstepError):
    """No statement, or one that was altered."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "it was altered or is no statement of Doorstep; copy it from the device again")


@dataclass(frozen=True, slots=True)
class Statement:
    """One clip, as the device that recorded it describes it."""

    sequence: int  # 1 to layout.MOST; the clip's name says it too
    sha256: str  # of the whole age file, in hexadecimal
    size_bytes: int  # of the age file
    started: datetime  # UTC, whole seconds
    length_ms: int
    ended: Ended
    deleted: tuple[int, ...] = ()  # older clips that the device removed to make room since the statement before
    before: str | None = None  # `digest` of the statement before this one

    def __post_init__(self) -> None:
        older = (0, *self.deleted, self.sequence)
        legal = {
            "sequence": 1 <= self.sequence <= layout.MOST,
            "sha256": bool(_SHA256.fullmatch(self.sha256)),
            "bytes": 0 <= self.size_bytes < 2**63,
            "started": (self.started.utcoffset() == timedelta(0) and not self.started.microsecond
                        and 1970 <= self.started.year < 9999),  # what any computer can show in its own time zone
            "length_s": 0 <= self.length_ms < _MOST_MS,
            "ended": isinstance(self.ended, Ended),
            "deleted": all(one < next_one for one, next_one in itertools.pairwise(older)),
            "before": self.before is None or bool(_SHA256.fullmatch(self.before)),
        }
        for name, is_legal in legal.items():
            if not is_legal:
                raise StatementError(f"no statement can have such a value for {name}")

    @property
    def started_utc(self) -> str:
        """The time as it is written."""
        return self.started.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"

    def signed(self, key: Ed25519PrivateKey) -> bytes:
        """Return the whole file, signed with the device's key."""
        device = key.public_key().public_bytes_raw()
        return Signed(self, device, key.sign(_body(self, device))).data


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement as it was read: with the device's raw public key and the signature, both yet to be believed."""

    statement: Statement
    device: bytes
    signature: bytes

    @property
    def data(self) -> bytes:
        """The whole file."""
        return _body(self.statement, self.device) + f"signature: {_base64(self.signature)}\n".encode()

    @property
    def authentic(self) -> bool:
        """Whether the key that it names signed it."""
        try:
            key = Ed25519PublicKey.from_public_bytes(self.device)
            key.verify(self.signature, _body(self.statement, self.device))
        except (InvalidSignature, ValueError):
            return False
        return True


def digest(data: bytes) -> str:
    """Return what the next statement says in `before`, of this whole file."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(device: bytes) -> str:
    """Return a raw public key as a person compares it."""
    return "SHA256:" + _base64(hashlib.sha256(device).digest()).rstrip("=")


# Every line after the title: its key and what its value looks like. Writing it again decides the rest.
_LINES = (
    ("clip", r"clip-[0-9]{6}\.ts\.age"),
    ("sequence", r"[1-9][0-9]{0,5}"),
    ("sha256", r"[0-9a-f]{64}"),
    ("bytes", r"0|[1-9][0-9]{0,18}"),
    ("started", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
    ("length_s", r"(?:0|[1-9][0-9]{0,8})\.[0-9]{3}"),
    ("ended", "|".join(Ended)),
    ("deleted", rf"{NONE}|[1-9][0-9]{{0,5}}(?: [1-9][0-9]{{0,5}})*"),
    ("before", rf"{NONE}|[0-9a-f]{{64}}"),
    ("device", r"[A-Za-z0-9+/]{43}="),
    ("signature", r"[A-Za-z0-9+/]{86}=="),
)


def parse(data: bytes) -> Signed:
    """Read a statement. Raise StatementError, which names the line, where it is not exactly as one is written."""
    value = _values(data)
    try:
        found = Signed(
            Statement(
                sequence=int(value["sequence"]),
                sha256=value["sha256"],
                size_bytes=int(value["bytes"]),
                started=datetime.fromisoformat(value["started"]),
                length_ms=int(value["length_s"].replace(".", "")),
                ended=Ended(value["ended"]),
                deleted=() if value["deleted"] == NONE else tuple(map(int, value["deleted"].split(" "))),
                before=None if value["before"] == NONE else value["before"],
            ),
            base64.b64decode(value["device"], validate=True),
            base64.b64decode(value["signature"], validate=True),
        )
    except (ValueError, binascii.Error) as error:  # a date that is none
        raise StatementError(f"not a statement: {error}") from None
    for number, (ours, theirs) in enumerate(zip(found.data.splitlines(), data.splitlines(), strict=True), 1):
        if ours != theirs:
            raise StatementError(f"not a statement: line {number} should be {ours.decode()!r}")
    return found


def _values(data: bytes) -> dict[str, str]:
    """Split the file into its lines, each of the right key and of a legal look."""
    if not data.isascii() or not data.endswith(b"\n"):
        raise StatementError("not a statement: it is cut short, or no plain text")
    title, *lines = data.decode("ascii")[:-1].split("\n")
    if title != TITLE:
        raise StatementError(f"not a statement: line 1 should be {TITLE!r}")
    values: dict[str, str] = {}
    for number, (key, pattern) in enumerate(_LINES, 2):
        line = lines[number - 2] if number - 2 < len(lines) else ""
        if not re.fullmatch(f"{key}: (?:{pattern})", line):
            raise StatementError(f"not a statement: line {number} is no {key!r} line")
        values[key] = line[len(key) + 2:]
    if len(lines) > len(_LINES):
        raise StatementError(f"not a statement: line {len(_LINES) + 2} is one too many")
    return values


def _body(said: Statement, device: bytes) -> bytes:
    """Return every byte that is signed."""
    values = (
        layout.clip(said.sequence),
        said.sequence,
        said.sha256,
        said.size_bytes,
        said.started_utc,
        f"{said.length_ms // 1000}.{said.length_ms % 1000:03d}",
        said.ended,
        " ".join(map(str, said.deleted)) or NONE,
        said.before or NONE,
        _base64(device),
    )
    lines = (f"{key}: {value}" for (key, _), value in zip(_LINES[:-1], values, strict=True))
    return "".join(f"{line}\n" for line in (TITLE, *lines)).encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
