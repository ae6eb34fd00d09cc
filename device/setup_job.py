"""What `doorstep setup` works on: doorstep.toml and what lies beside it.

Rule 1: what is done already is seen from the files themselves; there is no other memory of it.
Rule 2: nothing is written that was not shown and agreed to.
"""

from __future__ import annotations

import difflib
import os
import pwd
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker import usage as broker_usage
from device import config, settings_file
from device.config import Config
from device.errors import ConfigError
from device.keep.vault import write_synced
from device.setup_talk import GREEN, PLAIN, RED, Talk
from device.usage import INSTALLED
from device.versions import VERSION

NEW_FILE = f"# Made by doorstep setup. All settings, with defaults: doorstep config example\nversion = {VERSION}\n\n"
BROKER = "doorstep-broker"  # in a checkout "broker" would be the program
TELLER = "doorstep-tell"  # who reads the password of an installed door
PACKAGED = Path("/usr/sbin/doorstep-configure")
INSTALLER = f"sudo {PACKAGED.name if PACKAGED.exists() else 'deploy/install.sh'}"


@dataclass(frozen=True, slots=True)
class Paper:
    """A file that doorstep.toml names, and that belongs beside it."""

    source: Path
    name: str
    secret: bool


@dataclass(slots=True)
class Job:
    """One door that is being set up."""

    path: Path  # its doorstep.toml
    talk: Talk
    left: list[str] = field(default_factory=list)  # what the owner still has to do, in words
    changed: bool = False  # doorstep.toml
    restarted: bool = False  # the services will be, and so take what was changed

    @property
    def folder(self) -> Path:
        """Where doorstep.toml lies, and the files it names."""
        return self.path.absolute().parent

    @property
    def installed(self) -> bool:
        """Whether it is the services' own."""
        return self.path.absolute() == INSTALLED

    @property
    def broker_folder(self) -> Path:
        """Where a broker on this machine has its files."""
        return broker_usage.DIR if self.installed else self.folder / BROKER

    @property
    def config(self) -> Config:
        """The settings as they are now. Raise ConfigError where they are not legal."""
        return config.load(self.path) if self.path.exists() else Config()

    def names(self, setting: str) -> bool:
        """Whether doorstep.toml itself says anything of "place" or "broker"."""
        return self.path.exists() and setting in tomllib.loads(self._text())

    def _text(self) -> str:
        try:
            return settings_file.read(self.path)
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"{self.path}: {error}", "is it yours to read? often: sudo doorstep setup") from None

    def propose(self, wanted: Mapping[str, object], papers: Sequence[Paper] = ()) -> bool:
        """Show what would change in doorstep.toml; if that is agreed to, have the papers beside it, and change it.

        Return whether it is as wanted. Raise ConfigError where it cannot be written.
        """
        real = Path(os.path.realpath(self.path))  # a link stays a link
        text = self._text() if real.exists() else NEW_FILE
        after = settings_file.edited(text, wanted, str(self.path), real.parent)
        if after == text and not papers:
            return True
        self.talk.lines(list(changes(text if real.exists() else "", after, self.path.name)))
        beside = "".join(f", and {paper.name} beside it" for paper in papers)
        if not self.talk.agree(f"Write this to {self.path}{beside}?"):
            self.talk.say("Nothing was written.")
            return False
        try:
            for paper in papers:
                self._adopt(paper)
            settings_file.replace(real, after, real.stat() if real.exists() else None)
        except KeyError:
            raise ConfigError(f"this machine has no user {TELLER}", f"first: {INSTALLER}") from None
        except OSError as error:
            raise ConfigError(f"{error.filename or self.path}: {error.strerror}",
                              "is its folder there, and may you write it? often: sudo doorstep setup") from None
        self.changed = True
        return True

    def _adopt(self, paper: Paper) -> None:
        target = self.folder / paper.name
        if paper.source.absolute() == target:
            return
        write_synced(target, paper.source.read_bytes())
        if not paper.secret:
            target.chmod(settings_file.NEW_MODE)
        elif self.installed and os.geteuid() == 0:
            owner = pwd.getpwnam(TELLER)
            os.chown(target, owner.pw_uid, owner.pw_gid)


def changes(before: str, after: str, name: str) -> list[tuple[str, str]]:
    """Return the lines of a unified diff, each with its colour."""
    colours = {"+": GREEN, "-": RED}
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), f"{name} as it is", f"{name} as it would be",
                                lineterm="", n=1)
    return [(line, colours.get(line[:1], PLAIN)) for line in diff if not line.startswith("@@")]
