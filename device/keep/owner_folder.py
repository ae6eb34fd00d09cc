"""What lies in a folder of clips, copied to the owner's computer.

Rule 1: it is only read, and only files under names of the layout; nothing in it is believed yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from device.errors import RecordingError
from device.keep import layout
from device.keep.owner_chain import Clip
from device.keep.statement import Signed, StatementError, fingerprint, parse

_STATEMENT_MOST_BYTES = 8_000_000  # one that lists every number as deleted is a little shorter
_PUBLIC_MOST_BYTES = 4096  # a key in PEM has 113
_PIECE_BYTES = 1 << 20

Progress = Callable[[int], None]  # takes how many bytes were done since it was last told


def clips_folder(folder: Path) -> Path:
    """Return the folder with the clips: the one named, or the `clips` in it. Raise RecordingError."""
    if not folder.is_dir():
        raise RecordingError(f"{folder} is no folder", "name the folder that the clips were copied to")
    return folder / layout.CLIPS if (folder / layout.CLIPS).is_dir() else folder


def read(folder: Path) -> list[Clip]:
    """Return what lies there, by number; the clips themselves are not read. Raise RecordingError."""
    try:
        names = [path.name for path in folder.iterdir() if path.is_file()]
        clips = {number for name in names if (number := layout.clip_number(name))}
        statements = {number for name in names if (number := layout.statement_number(name))}
        return [Clip(number, (folder / layout.clip(number)).stat().st_size if number in clips else None,
                     read_statement(folder / layout.statement(number)) if number in statements else None)
                for number in sorted(clips | statements)]
    except OSError as error:
        raise unreadable(error, folder) from None


def read_statement(path: Path) -> Signed | StatementError:
    """Return a statement, or why it is none. Raise OSError."""
    try:
        with path.open("rb") as file:
            return parse(file.read(_STATEMENT_MOST_BYTES))
    except StatementError as error:
        return error


def hash_clip(file: BinaryIO, progress: Progress) -> str:
    """Return the SHA-256 of the rest of a file. Raise OSError."""
    found = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        found.update(piece)
        progress(len(piece))
    return found.hexdigest()


def named_device(folder: Path) -> str | None:
    """Return the fingerprint of device.pub, or None where there is no such file. Raise RecordingError."""
    path = folder / layout.PUBLIC
    try:
        if path.exists() and not path.is_file():  # a pipe could be waited for for ever
            raise ValueError("no file")
        with path.open("rb") as file:
            key = load_pem_public_key(file.read(_PUBLIC_MOST_BYTES))
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(type(key).__name__)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(error, path) from None
    except (ValueError, UnsupportedAlgorithm):
        raise RecordingError(f"{path} is no public key of a device", "copy it from the device again, or remove it "
                             "and name the device with --device") from None
    return fingerprint(key.public_bytes_raw())


def unreadable(error: OSError, path: Path) -> RecordingError:
    """Return the error to raise for a file that cannot be read or written."""
    return RecordingError(f"{error.filename or path}: {error.strerror or error}", "is it there, and may you use it?")
