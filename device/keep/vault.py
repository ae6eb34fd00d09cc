"""The recordings folder: what lies in it, how much room there is, and the chain of statements.

Rule 1: nothing but age files, signed statements and public words about them is ever in `clips/`.
Rule 2: what is said to be there is on the disk: each file is synced, then its folder.
Rule 3: nothing is deleted unless the owner chose `when_full = "delete-oldest"`, and then the next statement says so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from device import config
from device.errors import VaultError
from device.keep import layout
from device.keep.statement import NONE, digest

MB = 1_000_000
SPARE_BYTES = 2 * MB  # left free on the disk for everybody else
LOW_CLIPS = 3  # room for fewer than this many clips of the longest kind is told
CHAIN = "chain"  # beside the key: how far the numbers and the statements have come, for when clips are moved away
NEW = ".new"  # a file that is being written; one that a power cut left is nobody's


def state_folder(settings: config.Recording, device_id: str, environment: Mapping[str, str]) -> Path:
    """Return where clips lie: as configured, else systemd's state directory, else the user's own."""
    if settings.folder:
        return Path(settings.folder)
    if environment.get("STATE_DIRECTORY"):
        return Path(environment["STATE_DIRECTORY"])
    home = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/root")) / ".local/state")
    return Path(home) / "doorstep" / device_id


def read_recipients(lines: tuple[str, ...]) -> list[pyrage.x25519.Recipient]:
    """Return the owner's public keys. Raise VaultError naming the one that cannot be read."""
    found = []
    for line in lines:
        try:
            found.append(pyrage.x25519.Recipient.from_str(line))
        except pyrage.RecipientError as error:
            raise VaultError(f"the recipient {line[:20]!r}... cannot be read: {error}",
                             "copy it again from: doorstep key new") from None
    return found


@dataclass(slots=True)
class Chain:
    """How far the recordings have come. `opened` is the last number given to a clip, `stated` to a statement."""

    opened: int = 0
    stated: int = 0
    before: str | None = None  # digest of the statement `stated`
    deleted: list[int] = field(default_factory=list)  # clips that went to make room since then

    def text(self) -> bytes:
        """As it lies on the disk."""
        deleted = " ".join(map(str, self.deleted)) or NONE
        return f"opened {self.opened}\nstated {self.stated}\nbefore {self.before or NONE}\ndeleted {deleted}\n".encode()

    @classmethod
    def parse(cls, data: bytes) -> Chain:
        """Read it; what cannot be read is a fresh one: what lies in `clips/` is looked at besides."""
        found = re.fullmatch(rb"opened (\d{1,6})\nstated (\d{1,6})\nbefore (none|[0-9a-f]{64})\n"
                             rb"deleted (none|\d{1,6}(?: \d{1,6})*)\n", data)
        if not found:
            return cls()
        return cls(int(found[1]), int(found[2]), None if found[3] == b"none" else found[3].decode(),
                   [] if found[4] == b"none" else list(map(int, found[4].split())))


@dataclass(slots=True)
class Vault:
    """One recordings folder. Constructing it makes what is missing and clears what a power cut left half written.

    Raise VaultError where the folder cannot be used.
    """

    settings: config.Recording
    folder: Path
    key: Ed25519PrivateKey = field(init=False)
    chain: Chain = field(init=False)
    is_new: bool = False  # the key was made just now
    _lock_fd: int = -1

    def __post_init__(self) -> None:
        try:
            self.clips.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock()
            for left in (*self.folder.glob(f"*{NEW}"), *self.clips.glob(f"*{NEW}")):
                left.unlink()
            self.key = self._key()
            self._write_public()
            self.chain = self._chain()
        except (OSError, VaultError) as error:
            self.close()
            raise self._unusable(error) if isinstance(error, OSError) else error from None

    def _lock(self) -> None:
        """Have the folder to ourselves: a second keep would clear away what this one is writing."""
        self._lock_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VaultError(f"{self.folder}: another keep uses it",
                             "is Doorstep running already? systemctl status doorstep-keep") from None

    def close(self) -> None:
        """Let the folder go; may be called twice."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    @property
    def clips(self) -> Path:
        """The folder that an owner copies."""
        return self.folder / layout.CLIPS

    def _unusable(self, error: OSError) -> VaultError:
        return VaultError(f"{self.folder}: {error.strerror or error}",
                          "is it there, ours, writable and not full? see folder under [recording]")

    def _key(self) -> Ed25519PrivateKey:
        path = self.folder / layout.KEY
        if not path.exists():
            fresh = Ed25519PrivateKey.generate()
            write_synced(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self.is_new = True
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise VaultError(f"{path}: not the key that signs statements", "move it away; a new one is made")
        return key

    def _write_public(self) -> None:
        path = self.clips / layout.PUBLIC
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if not path.exists() or path.read_bytes() != pem:
            write_synced(path, pem)

    def _chain(self) -> Chain:
        path = self.folder / CHAIN
        chain = Chain.parse(path.read_bytes() if path.exists() else b"")
        stated = max(self._numbers(layout.statement_number), default=0)
        if stated > chain.stated:  # the power went between the statement and the chain
            chain.stated, chain.before = stated, digest((self.clips / layout.statement(stated)).read_bytes())
            chain.deleted = []  # as that statement says
        # The power went before a clip did: it is not deleted then.
        chain.deleted = [number for number in chain.deleted if not (self.clips / layout.clip(number)).exists()]
        chain.opened = max(chain.opened, chain.stated, *self.numbers(), 0)
        return chain

    def numbers(self) -> list[int]:
        """Return the numbers of the clips that are there, oldest first."""
        return sorted(self._numbers(layout.clip_number))

    def _numbers(self, number_of: Callable[[str], int | None]) -> list[int]:
        return [number for path in self.clips.iterdir() if (number := number_of(path.name)) is not None]

    def room_bytes(self) -> int:
        """How much more may be recorded: by the budget, and by what is free on the disk. Raise VaultError."""
        return self._rooms_bytes()[0]

    def _rooms_bytes(self) -> tuple[int, int]:
        """Return the room there is, and what there would be without any clip. Raise VaultError."""
        try:
            used = sum((self.clips / layout.clip(number)).stat().st_size for number in self.numbers())
            disk = os.statvfs(self.clips)
            if not os.access(self.clips, os.W_OK):  # a read-only disk is that for root too
                raise OSError(errno.EROFS, "cannot be written to")
        except OSError as error:
            raise self._unusable(error) from None
        budget, free = int(self.settings.budget_mb * MB), disk.f_bavail * disk.f_frsize - SPARE_BYTES
        return min(budget - used, free), min(budget, free + used)

    def is_low(self) -> bool:
        """Whether the owner should be told that room is short. Raise VaultError."""
        return self.room_bytes() < LOW_CLIPS * self.settings.clip_most_bytes

    def check(self) -> None:
        """See whether one more clip fits, or can be made to fit. Raise VaultError where not."""
        if self.chain.opened >= layout.MOST:
            raise VaultError(f"{self.folder}: there is no number after {layout.MOST}",
                             f"move {self.folder} away; a new one is made")
        room, most = self._rooms_bytes()
        if room >= self.settings.clip_most_bytes:
            return
        what = f"{self.folder}: full: no room for another clip of {self.settings.longest_s:g} s"
        if self.settings.when_full != "delete-oldest":
            raise VaultError(what, 'move clips to a computer, or: when_full = "delete-oldest"')
        if most < self.settings.clip_most_bytes:  # then no clip is deleted for nothing
            raise VaultError(f"{what}, not even without the older ones", "what else is on this disk? try: df -h")

    def make_room(self) -> None:
        """See that one more clip fits, deleting the oldest if the owner chose so. Raise VaultError where none does."""
        self.check()
        while self.room_bytes() < self.settings.clip_most_bytes and self.numbers():
            oldest = self.numbers()[0]
            try:
                self._delete(oldest)
            except OSError as error:
                raise self._unusable(error) from None
            self.check()

    def _delete(self, number: int) -> None:
        """Say that it goes, then have it go: after a power cut the next statement must know whose doing it was."""
        self.chain.deleted.append(number)
        try:
            self.save_chain()
        except OSError as error:
            if error.errno != errno.ENOSPC:  # on a disk that is full to the last byte it has to go first
                raise
        (self.clips / layout.clip(number)).unlink()
        sync_folder(self.clips)

    def save_chain(self) -> None:
        """Put the chain onto the disk. Raise OSError."""
        write_synced(self.folder / CHAIN, self.chain.text())


def write_synced(path: Path, data: bytes) -> None:
    """Write a file, 0600, that is there whole or not at all, whenever the power goes. Raise OSError."""
    fresh = path.with_name(path.name + NEW)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with contextlib.closing(os.fdopen(fd, "wb", buffering=0)) as file:
        file.write(data)
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk. Raise OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
