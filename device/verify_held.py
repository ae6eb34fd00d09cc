"""What a process has open: /proc/PID/fd, its shared mappings and the tables of sockets become facts.

Rule 1: it only looks at what is open, and opens none of it but a file in memory, to ask for its seals.
Rule 2: a socket that is in none of the tables is of a family called unknown, and never taken for a harmless one.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import ipaddress
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from device.verify_facts import LISTENS, MAPPED, Held, Kind

_PROC = Path("/proc")
_TABLES = ("unix", "tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "icmp6", "packet", "netlink")
_INTERNET = ("tcp", "tcp6", "udp", "udp6")
_LISTEN = "0A"  # net/tcp_states.h
_IN_MEMORY = ("tmpfs", "ramfs")
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_NAMED = ("mem", "misc")  # drivers of very different devices: the name of the node says which


def held(folder: Path) -> tuple[Held, ...]:
    """Return what the process of this folder of /proc has open. Raise OSError."""
    disks = {line.split()[2]: line.partition(" - ")[2].split()[0] for line in _lines(folder / "mountinfo")}
    sockets = _sockets(folder)
    found = []
    for link in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            flags = int(re.findall(r"^flags:\s*(\d+)", (folder / "fdinfo" / link.name).read_text(), re.MULTILINE)[0], 8)
            found.append(_one(int(link.name), link, str(link.readlink()), flags, sockets, disks))
    for line in _lines(folder / "maps"):  # a file can be closed and written all the same
        words = line.split(None, 5)
        if len(words) == 6 and words[1].startswith("rw") and words[1].endswith("s") and _is_file(words[5]):
            device = ":".join(str(int(part, 16)) for part in words[3].split(":"))
            found.append(Held(MAPPED, words[5], Kind.FILE, writes=True, in_memory=disks.get(device) in _IN_MEMORY))
    return tuple(found)


def _is_file(name: str) -> bool:
    return name.startswith("/dev/shm/") or (  # noqa: S108 - looked for, not used
        name.startswith("/") and not name.startswith(("/dev/", "/memfd:", "/dmabuf", "/anon_hugepage")))


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def _one(number: int, link: Path, name: str, flags: int, sockets: Mapping[str, Held], disks: Mapping[str, str]) -> Held:
    writes = flags & os.O_ACCMODE != os.O_RDONLY
    seen = link.stat()
    if stat.S_ISSOCK(seen.st_mode):
        found = sockets.get(str(seen.st_ino), Held(number, name, Kind.SOCKET, detail="unknown"))
        return Held(number, name, Kind.SOCKET, writes, found.detail, found.peer, found.port)
    if stat.S_ISCHR(seen.st_mode) or stat.S_ISBLK(seen.st_mode):
        driver = _drivers().get((stat.S_ISBLK(seen.st_mode), os.major(seen.st_rdev)), "unknown")
        return Held(number, name, Kind.DEVICE, writes, name if driver in _NAMED else driver)
    if stat.S_ISREG(seen.st_mode) and name.startswith("/memfd:"):
        return Held(number, name, Kind.MEMORY, writes, "sealed" if _sealed(link) else "")
    if stat.S_ISFIFO(seen.st_mode) and name.startswith("pipe:"):
        return Held(number, name, Kind.PIPE, writes)
    if stat.S_ISREG(seen.st_mode) or stat.S_ISFIFO(seen.st_mode):
        disk = f"{os.major(seen.st_dev)}:{os.minor(seen.st_dev)}"
        return Held(number, name, Kind.FILE, writes, in_memory=disks.get(disk) in _IN_MEMORY)
    return Held(number, name, Kind.FOLDER if stat.S_ISDIR(seen.st_mode) else Kind.OTHER, writes)


def _sealed(link: Path) -> bool:
    fd = os.open(link, os.O_RDONLY)
    try:
        return fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS == _SEALS
    finally:
        os.close(fd)


@functools.cache
def _drivers() -> dict[tuple[bool, int], str]:
    """Return (whether a block device, major number) -> driver."""
    found: dict[tuple[bool, int], str] = {}
    blocks = False
    for line in _lines(_PROC / "devices"):
        words = line.split()
        blocks = blocks or words[:1] == ["Block"]
        if len(words) == 2 and words[0].isdecimal():
            found.setdefault((blocks, int(words[0])), words[1])
    return found


def _sockets(folder: Path) -> dict[str, Held]:
    """Return inode -> socket, of its network and of ours: links from systemd are of the machine's."""
    found: dict[str, Held] = {}
    for net in (_PROC / "self/net", folder / "net"):
        for table in _TABLES:
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                found |= parse_sockets(table, _lines(net / table)[1:])
    return found


def parse_sockets(table: str, lines: Iterable[str]) -> dict[str, Held]:
    """Return inode -> socket, of one of the tables in /proc/PID/net."""
    found = {}
    for words in map(str.split, lines):
        family = table.removesuffix("6")
        if table == "unix":
            found[words[6]] = Held(0, "", Kind.SOCKET, detail=family)
        elif table in ("packet", "netlink"):
            protocol = f" {words[1]}" if table == "netlink" else ""
            found[words[8 if table == "packet" else 9]] = Held(0, "", Kind.SOCKET, detail=family + protocol)
        elif table in _INTERNET:
            address, _, port = words[2].partition(":")
            peer = LISTENS if family == "tcp" and words[3] == _LISTEN else _address(address)
            found[words[9]] = Held(0, "", Kind.SOCKET, detail=family, peer=peer, port=int(port, 16))
        else:
            found[words[9]] = Held(0, "", Kind.SOCKET, detail=family)
    return found


def _address(text: str) -> str:
    """An address as the kernel prints it: words of 32 bits, each in this machine's order."""
    raw = b"".join(int(text[at:at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    return str(getattr(address, "ipv4_mapped", None) or address)
