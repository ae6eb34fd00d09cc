"""Files written so that a power cut leaves the old or the new one, with the modes and owners they need.

Rule 1: a file that holds a secret is never, not for a moment, readable by others.
Rule 2: a key that is there is never overwritten.
Rule 3: with `dry` nothing is touched, and the same is said.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from device.errors import ConfigError, DoorstepError


@dataclass(slots=True)
class Folder:
    """`with Folder(root) as folder:`; one at a time, so that two commands cannot undo each other."""

    root: Path
    dry: bool = False
    run_as: str = ""  # whose files Mosquitto reads are; empty: ours
    say: Callable[[str], None] = print
    changed: bool = False
    _lock: int = field(default=-1, repr=False)

    def __enter__(self) -> Self:
        if self.dry and not self.root.exists():
            return self
        try:
            if not self.dry:
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DoorstepError(f"another command is at work in {self.root}", "let it end, and try again") from None
        except OSError as error:
            raise _refused(self.root, error) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused(self.root / name, error) from None

    def put(self, name: str, content: bytes, *, mosquitto: bool = False, public: bool = False) -> None:
        """Have `content` in the file `name`; `mosquitto`: Mosquitto reads it; `public`: anybody may."""
        old = self.read(name)
        if old == content:
            return
        self.changed = True
        mode = 0o644 if public else 0o600
        self.say(f"{'would write' if self.dry else 'written'}  {self.root / name} ({mode:04o}, "
                 f"{self.run_as if mosquitto and self.run_as else 'yours'})")
        if self.dry:
            return
        path, fresh = self.root / name, self.root / f"{name}.new"
        try:
            for above in [above for above in reversed(path.parents) if self.root in above.parents]:
                above.mkdir(mode=0o700, exist_ok=True)
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), mode)
                if mosquitto:
                    own(file.fileno(), self.run_as)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise _refused(path, error) from None

    def put_key(self, name: str, content: bytes, *, mosquitto: bool = False) -> None:
        """Put a new key; refuse to replace one."""
        if self.read(name) is not None:
            raise DoorstepError(f"{self.root / name} is there already", "a key is never overwritten")
        self.put(name, content, mosquitto=mosquitto)

    def drop(self, name: str) -> None:
        """Remove a folder of ours with all that is in it, where there is one."""
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            self.changed = True
            self.say(f"{'would remove' if self.dry else 'removed'}  {path}")
            if not self.dry:
                shutil.rmtree(path)

    def open_to_mosquitto(self) -> None:
        """Let Mosquitto's user through the folder, to files it knows the names of; nobody else."""
        if not self.dry and self.run_as and os.geteuid() == 0:
            os.chown(self.root, 0, account(self.run_as).pw_gid)
            self.root.chmod(0o710)


def own(target: int | Path, user: str) -> None:
    """Give a file or folder to `user`, where we are root; else it is ours, as Mosquitto will be."""
    if user and os.geteuid() == 0:
        who = account(user)
        os.chown(target, who.pw_uid, who.pw_gid)


def account(user: str) -> pwd.struct_passwd:
    """Return the account of a system user."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"this machine has no user {user}", "first: sudo apt install mosquitto") from None


def _refused(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: {error.strerror}", "run it as whoever set the broker up, often: sudo")
