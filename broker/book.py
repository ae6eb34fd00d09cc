"""The one file of ours that says how the broker is set up and who may come in; all other files follow from it.

Rule 1: an illegal value cannot be built, from the file or in code.
Rule 2: no secret is in it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

from broker.names import (
    CHECK_USER,
    HOME_ASSISTANT_USER,
    Role,
    checked_host,
    checked_name,
    device_user,
    phone_user,
    rights,
)
from device.config import LANGUAGES
from device.errors import ConfigError

NAME = "doors.json"
CONNECTIONS = 200  # a home has a handful; below what a service may open by default (1,024 files)


@dataclasses.dataclass(frozen=True, slots=True)
class Phone:
    """One pairing of one phone; `pairing` makes its user a new one each time."""

    name: str
    pairing: str
    doors: tuple[str, ...]

    def __post_init__(self) -> None:
        checked_name("phone", self.name)
        _must(re.fullmatch(r"[a-z0-9]{4}", self.pairing), f"pairing {self.pairing!r}")
        for door in self.doors:
            checked_name("door", door)

    @property
    def user(self) -> str:
        """Its user at the broker."""
        return phone_user(self.name, self.pairing)


@dataclasses.dataclass(frozen=True, slots=True)
class Book:
    """How the broker is set up, and who may come in."""

    hosts: tuple[str, ...]  # as phones dial it; the first is given to them
    port: int
    bind: str  # the address to listen on; empty is all of them
    loopback_port: int  # a listener without TLS for this machine only; 0 is none
    memory: str  # the folder in memory for what waits
    run_as: str  # the system user of Mosquitto
    connections: int = CONNECTIONS
    home_assistant: bool = False
    language: str = "en"  # of phones' papers
    devices: tuple[str, ...] = ()
    phones: tuple[Phone, ...] = ()

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            kind = {"int": int, "str": str, "bool": bool}.get(str(item.type), tuple)
            _must(type(getattr(self, item.name)) is kind, f"{item.name} of another kind")
        _must(self.hosts, "no host")
        _must(self.language in LANGUAGES, f"language {self.language!r}")
        for host in self.hosts:
            checked_host(host)
        for door in self.devices:
            checked_name("door", door)
        _must(0 < self.port < 65536, f"port {self.port}")
        _must(0 <= self.loopback_port < 65536 and self.loopback_port != self.port,
              f"loopback port {self.loopback_port}")
        _must(10 <= self.connections <= 100_000, f"connections {self.connections}")
        _must(re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", self.run_as), f"user {self.run_as!r}")
        _must(fits_a_line(self.memory) and self.memory.startswith("/"), f"memory folder {self.memory!r}")
        if self.bind:
            try:
                ipaddress.ip_address(self.bind)
            except ValueError:
                raise ConfigError(f"{self.bind!r} is no address to listen on", "such as 192.168.1.5") from None

    def users(self) -> dict[str, list[tuple[str, str]]]:
        """Every user at the broker, with every (access, topic)."""
        found = {CHECK_USER: rights(Role.CHECK, ())}
        if self.home_assistant:
            found[HOME_ASSISTANT_USER] = rights(Role.HOME_ASSISTANT, ())
        found |= {device_user(door): rights(Role.DEVICE, (door,)) for door in self.devices}
        return found | {phone.user: rights(Role.PHONE, phone.doors) for phone in self.phones}

    def phone(self, name: str) -> Phone | None:
        """The phone called `name`, if there is one."""
        return next((phone for phone in self.phones if phone.name == name), None)

    def with_door(self, door: str) -> Book:
        """The same with one more door."""
        return dataclasses.replace(self, devices=(*self.devices, checked_name("door", door)))

    def without_door(self, door: str) -> Book:
        """The same without it, and no phone told of it."""
        phones = (dataclasses.replace(phone, doors=tuple(each for each in phone.doors if each != door))
                  for phone in self.phones)
        return dataclasses.replace(self, phones=tuple(phones),
                                   devices=tuple(each for each in self.devices if each != door))

    def with_phone(self, phone: Phone) -> Book:
        """The same with one more phone."""
        return dataclasses.replace(self, phones=(*self.phones, phone))

    def without_phone(self, name: str) -> Book:
        """The same without it."""
        return dataclasses.replace(self, phones=tuple(each for each in self.phones if each.name != name))

    def dump(self) -> str:
        """Write it as load() reads it."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def load(folder: Path) -> Book:
    """Read the book of a broker's folder."""
    path = folder / NAME
    try:
        rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows["phones"] = [Phone(**{**phone, "doors": tuple(phone["doors"])}) for phone in rows["phones"]]
        values: dict[str, Any] = {key: tuple(row) if isinstance(row, list) else row for key, row in rows.items()}
        return Book(**values)
    except FileNotFoundError:
        raise ConfigError(f"{folder} holds no broker", "doorstep broker setup makes one; --dir names another") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "run it as whoever set the broker up, often: sudo") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged ({error})", "restore it, or set up anew in an empty folder") from None


def fits_a_line(text: str) -> bool:
    """Whether Mosquitto reads `text` from its configuration as it is meant."""
    return bool(text) and text.isprintable() and text == text.strip()


def _must(legal: object, what: str) -> None:
    if not legal:
        raise ConfigError(f"{what} is not allowed", "see: doorstep broker setup --help")
