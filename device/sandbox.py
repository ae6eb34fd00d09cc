"""Each process gives up, for good, every power that is not its own, and makes sure that it is gone.

Rule 1: first what a thread hands down to those it starts (`give_up`), then what holds for all of them (`shut`).
Rule 2: then every forbidden thing is tried once; if one works, the process says which and does not start.
Rule 3: no setting, option or environment loosens it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from device import sandbox_kernel as kernel
from device.errors import DoorstepError
from device.sandbox_calls import ALARM_SOCKETS, ALARMS, Call, Match, Role, allowed
from device.sandbox_tries import PATHS, TRIES, Try

_REFUSALS = frozenset({errno.ENOSYS, errno.EPERM, errno.EACCES})
_STATES = {"NoNewPrivs": "1", "Seccomp": "2", "CapPrm": "0000000000000000", "CapEff": "0000000000000000"}
_INHERITED_FIRST = 3  # after standard input, output and error
# A file that grows beyond it cannot be written. `see` writes none; libcamera has memory files, a frame at most.
_FILE_MOST_BYTES: dict[Role, int] = {Role.SEE: 0, Role.SENSOR: 0, Role.CAMERA: 32 << 20, Role.TELL: 4096}
_INTERNET = (2, 10)  # AF_INET, AF_INET6


class SandboxError(DoorstepError):
    """A power could not be given up."""


def close_others(given: Iterable[int]) -> None:
    """Close every descriptor that came with the start, but the standard ones and those `given` by name."""
    for fd in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):  # that of the listing itself is closed by now
            # What this process has opened is close-on-exec; what is not came with the start.
            if fd >= _INHERITED_FIRST and fd not in given and os.get_inheritable(fd):
                os.close(fd)


def give_up(role: Role, writes: Iterable[Path] = (), reads: Iterable[Path] = ()) -> None:
    """Give up what a thread hands down to those it starts: call it while there is one thread only.

    writes: the folders that it may change, made where they are missing. reads: what it may read besides them and
    what programs need. Both hold where the kernel has Landlock. Raise SandboxError.
    """
    with _said():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.drop_capabilities()
        if kernel.landlock_version():
            kernel.landlock([*map(_there, writes), *_devices(role)], [*reads, *_needed(role)], tcp=role is Role.TELL)


def _devices(role: Role) -> list[Path]:
    """Return the device nodes of `role`. A camera that is plugged in again is a new node: all of /dev."""
    if role is Role.CAMERA:
        return [Path("/dev")]
    return [*Path("/dev").glob("gpiochip*")] if role in (Role.KEEP, Role.SENSOR) else []


def _there(folder: Path) -> Path:
    """Return `folder`, made if it can be, else what there is of its path: it may be mounted later."""
    with contextlib.suppress(OSError):  # its owner says so in better words
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return next(path for path in (folder, *folder.parents) if path.exists())


def _needed(role: Role) -> list[Path]:
    """Return what programs read late: libraries and settings, for imports, name look-ups and certificates."""
    names = ["/usr", "/lib", "/lib64", "/etc", sys.prefix, sys.base_prefix, "/proc/self"]
    names += [] if role is Role.TELL else ["/sys", "/run/udev", "/proc/device-tree", "/proc/cpuinfo", "/proc/stat"]
    names += [name for name in sys.path if name.endswith(("site-packages", "dist-packages"))]  # those of a user, too
    return [Path(__file__).parent, Path("/etc/resolv.conf").resolve().parent, *map(Path, names)]


def shut(role: Role, calls: Iterable[Call] | None = None) -> None:
    """Give up, in all threads, every call but those of `role` (`calls`, in tests); then try what is forbidden.

    Raise SandboxError where something cannot be given up, or works all the same.
    """
    most_bytes = _FILE_MOST_BYTES.get(role)
    if most_bytes is not None and not any(map(_is_file, (1, 2))):  # a log in a file goes on growing
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    with _said():
        filters, landlocked = kernel.Filters(), kernel.landlock_version() > 0
        filters.allow_only(allowed(role, os.getpid()) if calls is None else calls)
        works = failures(role, filters, landlocked=landlocked)
        if works:
            raise SandboxError(f"{role.value}: it could still {'; '.join(works)}",
                               "this kernel does not confine it; please report it with the output of: uname -a")
        alarms = [Call(name) for name in ALARMS.split()]
        if role in ALARM_SOCKETS:
            alarms += [Call("socket", (Match(0, family),)) for family in _INTERNET]
        filters.kill_on(alarms)


def failures(role: Role, filters: kernel.Filters, *, landlocked: bool) -> list[str]:
    """Try every thing that is forbidden to `role`; return those that work."""
    found = [row.what for row in TRIES if role not in row.not_by and not _denied(row, filters)]
    if landlocked:
        with contextlib.suppress(PermissionError):
            os.close(os.open(*PATHS[role]))
            found.append(f"open {PATHS[role][0]}")
    for task in Path("/proc/self/task").iterdir():
        about = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        found += [f"have {name} {about.get(name)} in thread {task.name}"
                  for name, value in _STATES.items() if about.get(name) != value]
    if kernel.prctl(kernel.PR_GET_DUMPABLE) or resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        found.append("leave its memory in a file")
    return found


def _denied(row: Try, filters: kernel.Filters) -> bool:
    arguments = row.arguments if not row.to_parent else (os.getppid(),) * (len(row.arguments) - 1) + (0,)
    return filters.attempt(row.call, *arguments) in _REFUSALS


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:  # closed
        return False


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SandboxError(f"a power cannot be given up: {error}",
                           "it needs Linux with seccomp and libseccomp2; try: sudo apt install libseccomp2") from None
