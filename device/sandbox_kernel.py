"""The kernel's ways of giving up a power for good, through ctypes: prctl, capset, seccomp, Landlock.

Rule 1: each call either did what it says or raises OSError; what this kernel does not have is told apart from that.
Rule 2: nothing is decided here.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from device.sandbox_calls import DENIED, Call, Match

PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 3, 4, 38  # linux/prctl.h
_CAPABILITIES_V3 = 0x2008_0522  # linux/capability.h
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF_0000, 0x0005_0000, 0x8000_0000  # linux/seccomp.h
_ON_BAD_ARCHITECTURE, _SETS_NO_NEW_PRIVS, _ON_ALL_THREADS, _OPTIMIZE = 2, 3, 4, 8  # seccomp.h: enum scmp_filter_attr
_MASKED_EQUAL = 7  # seccomp.h: enum scmp_compare
_UNKNOWN = -1  # __NR_SCMP_ERROR

_libc = ctypes.CDLL(None, use_errno=True)


def _done(status: int, what: str) -> int:
    if status < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return status


def prctl(option: int, value: int = 0) -> int:
    """Change something about this process, or ask; return the answer."""
    none = ctypes.c_ulong(0)
    return _done(_libc.prctl(option, ctypes.c_ulong(value), none, none, none), "prctl")


def drop_capabilities() -> None:
    """Let this thread, and those it will start, be root no more, even where its user is.

    A service has none to drop, and may not ask: its unit would end it.
    """
    if "\nCapPrm:\t0000000000000000\n" in Path("/proc/thread-self/status").read_text():
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    _done(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


class _Compare(ctypes.Structure):
    _fields_ = (("argument", ctypes.c_uint), ("operator", ctypes.c_int),
                ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64))


class Filters:
    """libseccomp, which every Debian has, since systemd needs it."""

    def __init__(self) -> None:
        self._lib = lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        lib.seccomp_init.argtypes, lib.seccomp_init.restype = (ctypes.c_uint32,), ctypes.c_void_p
        lib.seccomp_release.argtypes = (ctypes.c_void_p,)
        lib.seccomp_load.argtypes = (ctypes.c_void_p,)
        lib.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
        lib.seccomp_rule_add_array.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                               ctypes.POINTER(_Compare))
        lib.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)

    def number(self, name: str) -> int | None:
        """Return the number of a call on this machine; None where it has none of that name."""
        number: int = self._lib.seccomp_syscall_resolve_name(name.encode())
        return number if number >= 0 else None

    def allow_only(self, calls: Iterable[Call]) -> None:
        """Deny this process, in all its threads, whatever is not in `calls`."""
        self._load(_ERRNO | DENIED, _ALLOW, calls)

    def kill_on(self, calls: Iterable[Call]) -> None:
        """End this process there and then at any of `calls`."""
        self._load(_ALLOW, _KILL_PROCESS, calls)

    def _load(self, otherwise: int, action: int, calls: Iterable[Call]) -> None:
        context = self._lib.seccomp_init(otherwise)
        if not context:
            raise OSError(errno.ENOMEM, "seccomp_init")
        try:
            for attribute, value in ((_ON_BAD_ARCHITECTURE, _KILL_PROCESS), (_SETS_NO_NEW_PRIVS, 0),
                                     (_ON_ALL_THREADS, 1), (_OPTIMIZE, 2)):
                self._take(self._lib.seccomp_attr_set(context, attribute, value), f"attribute {attribute}")
            for call in calls:
                number = self.number(call.name)
                if number is not None:  # this machine may have no such call, or have got it later than its libseccomp
                    compares = (_Compare * len(call.when))(*map(_compare, call.when))
                    self._take(self._lib.seccomp_rule_add_array(context, action, number, len(call.when), compares),
                               call.name)
            self._take(self._lib.seccomp_load(context), "seccomp_load")
        finally:
            self._lib.seccomp_release(context)

    @staticmethod
    def _take(status: int, what: str) -> None:
        if status < 0:  # libseccomp returns the error itself
            raise OSError(-status, f"seccomp, {what}: {os.strerror(-status)}")

    def attempt(self, name: str, *arguments: int) -> int:
        """Ask for a call, bypassing every library; return the error, or 0 where it worked or there is no such call."""
        number = self.number(name)
        if number is None:
            return DENIED
        ctypes.set_errno(0)
        result: int = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
        return ctypes.get_errno() if result < 0 else 0


def _compare(match: Match) -> _Compare:
    return _Compare(match.argument, _MASKED_EQUAL, match.mask, match.value)


# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))  # and remove and make whatever there is
_READS = _READ_FILE | _READ_DIR
_SINCE = {2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEVICE}  # which version of the interface has what
_ON_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE  # what a rule about one file may name
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals
_TCP_SINCE, _SCOPES_SINCE = 4, 6
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


def landlock_version() -> int:
    """Return the version of Landlock's interface; 0 where this kernel has none, or none for us."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def landlock(writes: Iterable[Path], reads: Iterable[Path], *, tcp: bool) -> None:
    """Let this thread, and those it will start, change only what is beneath `writes`, and read beneath both.

    tcp: whether connections may be made. Programs are not run, others not signalled, abstract sockets not used.
    """
    version = landlock_version()
    changes = _CHANGES | sum(bits for since, bits in _SINCE.items() if version >= since)
    handled = changes | _READS | _EXECUTE
    rules = _Ruleset(handled, 0 if tcp or version < _TCP_SINCE else _TCP, _SCOPES if version >= _SCOPES_SINCE else 0)
    size_bytes = 24 if version >= _SCOPES_SINCE else 16 if version >= _TCP_SINCE else 8
    ruleset = _done(_libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size_bytes), 0), "landlock")
    try:
        for paths, access in ((writes, changes | _READS), (reads, _READS)):
            for path in paths:
                _beneath(ruleset, path, access & handled)
        _done(_libc.syscall(_RESTRICT, ruleset, 0), "landlock")
    finally:
        os.close(ruleset)


def _beneath(ruleset: int, path: Path, access: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # what is not there needs no rule
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _Beneath(access if path.is_dir() else access & _ON_FILES, folder)
            _done(_libc.syscall(_ADD, ruleset, _BENEATH, ctypes.byref(rule), 0), f"landlock, {path}")
        finally:
            os.close(folder)
