"""`doorstep key new`: the key that opens clips, made where it belongs, which is not on the device.

Rule 1: a key is never overwritten, and readable by its owner alone from its first byte.
Rule 2: the secret half is shown only where it was asked for, and after a warning.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import segno

from device.errors import ConfigError
from device.keep.owner_paper import page

# Where any of these is, clips are recorded, and a key beside the clips would open them for a thief.
SHOWN_ONLY = Path("-")  # as a file's name: on standard output, and nowhere else
DEVICE_MARKS = (Path("/etc/doorstep/doorstep.toml"), Path("/var/lib/doorstep"), Path("/proc/device-tree/model"))


def default_path() -> Path:
    """Return where an identity lies if nobody says otherwise."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "doorstep" / "identity.txt"


def new(path: Path | None, paper: Path | None, show: bool, here: bool) -> int:
    """Make a key, write it and say where it went and what to do with it. Raise ConfigError."""
    target = path or default_path()
    if not here:
        _refuse_on_device()
    if show and not sys.stdout.isatty():
        raise ConfigError("--qr shows the secret key, and this is no terminal", "try --print FILE.svg, a page to print")
    if target == SHOWN_ONLY and (show or paper):
        raise ConfigError("- shows the key alone", "leave out --print and --qr, or name a file")
    for file in (target, paper):
        if file is not None and (file.exists() or file.is_symlink()):
            raise ConfigError(f"{file} is there already", "name another file; a key is never overwritten")
    secret, recipient, now, identity = fresh()
    if target == SHOWN_ONLY:
        print(identity, end="")
        return 0
    _write(target, identity)
    print(f"Your key is in {target}; only you may read it.")
    if paper is not None:
        _write(paper, page(secret, recipient, now))
        print(f"Print {paper}, keep the paper as you keep a house key, and delete the file.")
    print(f'On the device, put this into doorstep.toml under [recording]:\n\n  recipients = ["{recipient}"]\n')
    print("Whoever has the key can open your clips. Without it nobody can, you neither:\n"
          "keep a copy on paper or in a password manager, and none on the device.")
    if show:
        print("\nThis is the secret key. Whoever photographs this screen can open your clips.")
        segno.make(secret, micro=False).terminal(sys.stdout, compact=True)
        print(secret)
    return 0


def fresh() -> tuple[str, str, str, str]:
    """Make a key; return its secret and its public half, when it was made, and the identity file."""
    key = pyrage.x25519.Identity.generate()
    secret, recipient = str(key), str(key.to_public())
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return secret, recipient, now, f"# created: {now}\n# public key: {recipient}\n{secret}\n"


def _refuse_on_device() -> None:
    for mark in DEVICE_MARKS:
        if mark.exists() and (mark.name != "model" or b"raspberry pi" in mark.read_bytes().lower()):
            raise ConfigError(f"this looks like the device ({mark}), and a key here opens its clips for a thief",
                              "make it on your own computer; if this is your own computer: --here")


def _write(path: Path, text: str) -> None:
    """Write a new file that only its owner may read, on the disk when this returns. Raise ConfigError."""
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "name another file: doorstep key new FILE") from None
