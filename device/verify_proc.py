"""What the kernel says of a process: /proc becomes facts.

Rule 1: it only reads, and what it reads changes nothing for the process.
Rule 2: what only root may see is None for others; a process that ends meanwhile is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from device.sandbox_kernel import drop_capabilities
from device.verify_facts import Process
from device.verify_held import held

PROC = Path("/proc")
HOUSE = ("see", "tell", "keep")
_SPACES = ("cgroup", "ipc", "mnt", "net", "user", "uts")

_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


def houses(arguments: Mapping[int, list[str]]) -> dict[int, dict[str, int]]:
    """Return who runs a house: its process id -> process ids by name. `arguments`: of every process, by its id."""
    found: dict[int, dict[str, int]] = {}
    for pid, words in arguments.items():  # python -m device NAME ... --parent PID, as device/run.py starts them
        if words[1:2] == ["-m"] and words[3:4] and words[3] in HOUSE and "--parent" in words[:-1]:
            parent = words[words.index("--parent") + 1]
            if parent.isdecimal() and int(parent) in arguments:
                found.setdefault(int(parent), {})[words[3]] = pid
    return found


def all_arguments() -> dict[int, list[str]]:
    """Return the command line of every process."""
    found = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return found


def read(pid: int) -> Process | None:
    """Return what is seen of a process; None where there is none any more."""
    folder = PROC / str(pid)
    try:
        threads = tuple(filter(None, map(_status, (folder / "task").iterdir())))
        uid, gid = int(threads[0]["Uid"].split()[1]), int(threads[0]["Gid"].split()[1])
        groups = {gid, *map(int, threads[0]["Groups"].split())}
        limits = re.search(r"^Max core file size +\w+ +(\w+)", (folder / "limits").read_text(), re.MULTILINE)
        return Process(
            pid, _user(uid), tuple(sorted(map(_group, groups))), threads, limits[1] if limits else "",
            _shows_memory(folder, uid, gid), _seen(lambda: held(folder)), _seen(lambda: _libraries(folder)),
            _seen(lambda: frozenset(name for name in _SPACES if _space(folder, name) != _space(PROC / "1", name))),
            _seen(lambda: tuple(re.findall(r"^ *([^ :|]+):", (folder / "net/dev").read_text(), re.MULTILINE))),
        )
    except (FileNotFoundError, ProcessLookupError, IndexError):  # it ended meanwhile: the last, all its threads
        return None


def _seen(look: Callable[[], _T]) -> _T | None:
    try:
        return look()
    except PermissionError:
        return None


def _status(task: Path) -> dict[str, str]:
    try:
        return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):  # this thread alone has ended
        return {}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def whose(seen: os.stat_result) -> tuple[str, str]:
    """Return user and group of a file, by name."""
    return _user(seen.st_uid), _group(seen.st_gid)


def _space(folder: Path, name: str) -> str:
    return str((folder / "ns" / name).readlink())


def _shows_memory(folder: Path, uid: int, gid: int) -> bool | None:
    """Try it, as another process of its user without root's powers would: by a thread that becomes one."""
    if os.geteuid() not in (0, uid):
        return None
    answer: list[bool] = []

    def look() -> None:
        _libc.setfsgid(gid)  # these, and capabilities, are each thread's own
        _libc.setfsuid(uid)
        drop_capabilities()
        try:
            os.close(os.open(folder / "environ", os.O_RDONLY))  # the kernel asks the same as for its memory
            answer.append(True)
        except PermissionError:
            answer.append(False)
        except OSError:  # it has ended
            pass

    thread = threading.Thread(target=look, name="a stranger")
    thread.start()
    thread.join()
    return answer[0] if answer else None


def _libraries(folder: Path) -> frozenset[str]:
    lines = (folder / "maps").read_text().splitlines()
    return frozenset(re.split(r"[.-]", line.rsplit("/", 1)[1])[0] for line in lines if ".so" in line and "/" in line)
