"""What `doorstep verify` knows of a door: facts, as they were seen.

Rule 1: a fact that could not be seen is None, which is neither good nor bad.
Rule 2: nothing is judged here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from device.config import Config


class Kind(enum.Enum):
    """What a descriptor is of."""

    SOCKET = "socket"
    FILE = "file"  # or a named pipe
    FOLDER = "folder"
    DEVICE = "device"
    PIPE = "pipe"
    MEMORY = "file in memory without a name"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that a process has open."""

    number: int  # MAPPED: it is mapped into memory, for writing
    name: str  # as /proc shows it
    kind: Kind
    writes: bool = False
    detail: str = ""  # a socket's family; a device's driver; "sealed"
    peer: str = ""  # of a TCP or UDP socket: the other end's address; LISTENS; or empty
    port: int = 0  # of that end
    in_memory: bool = False  # a file: whether it lies in memory and not on a disk


MAPPED = -1
LISTENS = "listens"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the house. What only root may see is None for others."""

    pid: int
    user: str
    groups: tuple[str, ...]
    threads: tuple[Mapping[str, str], ...]  # /proc/PID/task/*/status
    core_most: str  # the most it could set as the size of a core dump, as in /proc/PID/limits
    shows_memory: bool | None  # to another process of its user
    held: tuple[Held, ...] | None
    libraries: frozenset[str] | None  # file names of what is mapped, up to the first dot or dash
    own_spaces: frozenset[str] | None  # those namespaces that are not the machine's
    interfaces: tuple[str, ...] | None  # of its network


@dataclass(frozen=True, slots=True)
class Owned:
    """A file, folder or socket, and who may do what with it."""

    path: str
    mode: int
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class Clip:
    """One file among the clips; `fault` says why it is none that should lie there."""

    name: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """Something that was tried on the broker, as device/verify_broker.py did; `good` None: it could not be tried."""

    promise: str
    what: str
    good: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """One door."""

    installed: bool  # as services of systemd; else by `doorstep run`
    config: Config
    processes: Mapping[str, Process]  # those of see, tell and keep that run
    recordings: str  # the folder
    broker_addresses: frozenset[str]
    settings: tuple[Owned, ...]  # doorstep.toml, where it is installed
    secrets: tuple[Owned, ...] | None  # the files of secrets that it names
    secrets_in_settings: tuple[str, ...]  # what kinds of them stand in it
    vault: tuple[Owned, ...] | None  # all that is in the folder of recordings
    clips: tuple[Clip, ...] | None
    links: tuple[Owned, ...] = ()  # the sockets of systemd
    journals: tuple[str, ...] = ()  # logs of ours on a disk
    units: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # settings in force, by process
    trials: tuple[Trial, ...] = ()
