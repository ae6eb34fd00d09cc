"""The age file of a clip is decrypted, as far as it is authentic; the identity that opens it is read.

Rule 1: nothing is given out that age has not authenticated.
Rule 2: what is wrong is said as what it is: a wrong key, a damaged file, or a disk that is full.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyrage

from device.errors import ConfigError, RecordingError

CHUNK_BYTES, TAG_BYTES, NONCE_BYTES = 65536, 16, 16  # of the age format, v1
_HEADER_MOST_BYTES = 1 << 16  # a recipient takes about 100
_PREFIX = "AGE-SECRET-KEY-1"
_SEALED = ("age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE")


def identities(path: Path) -> list[Any]:
    """Read every key of an identity file; `-` is standard input. Raise ConfigError."""
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "name the file with your key: --identity FILE") from None
    text = raw.decode("utf-8", "replace")
    if text.startswith(_SEALED):
        raise ConfigError(f"{path} is protected by a passphrase",
                          f"try: age -d {path} | doorstep clips open CLIP --identity -")
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                keys.append(pyrage.x25519.Identity.from_str(line.strip()))
            except pyrage.IdentityError:
                what = "the public half of a key" if line.startswith("age1") else "no key that doorstep can use"
                raise ConfigError(f"{path}: line {number} is {what}",
                                  f"a line with {_PREFIX}... is needed; other keys: age -d -i FILE CLIP") from None
    if not keys:
        raise ConfigError(f"{path} holds no key", f"a line with {_PREFIX}... is needed, as doorstep key new writes it")
    return keys


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of a clip."""

    sha256: str  # of the whole age file
    size_bytes: int  # of the age file
    header_bytes: int  # of these before the encrypted part
    plain_bytes: int  # authentic, and written
    whole: bool  # whether the file ends as its writer ended it

    def plain_bytes_in(self, size_bytes: int) -> int:
        """Return how much plain text there is in an age file of that size with this header."""
        payload_bytes = max(0, size_bytes - self.header_bytes - NONCE_BYTES)
        return max(0, payload_bytes - TAG_BYTES * -(-payload_bytes // (CHUNK_BYTES + TAG_BYTES)))


def decrypt(clip: BinaryIO, target: BinaryIO, keys: list[Any], progress: Callable[[int], None]) -> Opened:
    """Write to `target` what is authentic of a clip. Raise RecordingError, and OSError where a disk fails."""
    source, sink = _Source(clip, progress), _Sink(target)
    try:
        pyrage.decrypt_io(source, sink, keys)
        whole = True
    except pyrage.DecryptError as error:
        raise _refused(str(error), keys) from None
    except OSError:
        if source.failed or sink.failed:
            raise
        whole = False  # a chunk that is damaged or cut short
    while source.read(CHUNK_BYTES):  # the rest, for the digest
        pass
    header_bytes = source.head.find(b"\n", source.head.find(b"\n--- ") + 1) + 1  # age has accepted it
    return Opened(source.hash.hexdigest(), source.bytes, header_bytes, sink.bytes, whole)


def _refused(why: str, keys: list[Any]) -> RecordingError:
    if "matching keys" in why:
        ours = ", ".join(str(key.to_public()) for key in keys)
        return RecordingError("the clip was encrypted to another key than yours",
                              f"it is none of {ours}; which were recipients in doorstep.toml when it was recorded?")
    return RecordingError(f"this is no age file, or its beginning is lost: {why[:1].lower()}{why[1:]}",
                          "nothing can be decrypted without it; copy the clip from the device again")


class _Source:
    """Reads the clip for age, hashes it, and remembers whether reading failed."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None]) -> None:
        self.file, self.progress, self.hash = file, progress, hashlib.sha256()
        self.head, self.bytes, self.failed = b"", 0, False

    def read(self, size: int) -> bytes:
        try:
            piece = self.file.read(size)
        except OSError:
            self.failed = True
            raise
        self.hash.update(piece)
        self.bytes += len(piece)
        if len(self.head) < _HEADER_MOST_BYTES:
            self.head += piece
        self.progress(len(piece))
        return piece


class _Sink:
    """Takes from age what is authentic, counts it, and remembers whether writing failed."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.bytes, self.failed = file, 0, False

    def write(self, piece: bytes) -> int:
        try:
            self.file.write(piece)
        except OSError:
            self.failed = True
            raise
        self.bytes += len(piece)
        return len(piece)  # all of it: age asks for no more than that

    def flush(self) -> None:
        self.file.flush()
