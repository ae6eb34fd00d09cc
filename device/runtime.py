"""The runtime directory: a folder in memory, ours alone.

Rule 1: it lies in memory (tmpfs), which is read from the mount table and not assumed; no disk ever takes its place.
Rule 2: nobody else may write there, or it is not used.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def is_memory(folder: Path, mountinfo: str) -> bool:
    """Whether `folder` lies in memory and not on a disk; `mountinfo` as in proc_pid_mountinfo(5)."""
    target, best, kind = os.path.realpath(folder), "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        below = target == point or target.startswith(point.rstrip("/") + "/")
        if below and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind in ("tmpfs", "ramfs")


def runtime_folder(environment: dict[str, str], device_id: str) -> Path | None:
    """Find or make our folder in memory; None where this machine has none we may use.

    In order: what systemd made (RUNTIME_DIRECTORY), the user's runtime directory, /dev/shm.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text()
    given = environment.get("RUNTIME_DIRECTORY")
    user = environment.get("XDG_RUNTIME_DIR")
    bases = [given] if given else [f"{user}/doorstep"] * bool(user) + [f"/dev/shm/doorstep-{os.getuid()}"]  # noqa: S108 - ours alone, or refused
    for base in map(Path, bases):
        # /dev/shm is everybody's: both folders must be ours, or somebody else could change what is in them.
        if is_memory(base, mountinfo) and _ours(base, 0o022) and _ours(base / device_id, 0o077):
            return base / device_id
    return None


def _ours(folder: Path, forbidden_bits: int) -> bool:
    """Make `folder` where it is missing; whether it is a folder, of ours, and shut to others."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
    except OSError:  # not ours to make or to look at: the next one, or none, which the caller says
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & forbidden_bits
