"""Every forbidden thing, to be tried once by the process that has just given it up.

Rule 1: a row names one thing and the call for it, with arguments that do no harm where the call is not denied.
Rule 2: pure: the rows are tried elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import socket
from dataclasses import dataclass

from device.sandbox_calls import EYES, Role

_HERE = -100  # AT_FDCWD
_NOBODY = -1  # no descriptor, no process
_ATTACH = 16  # PTRACE_ATTACH
_SIGHAND, _NEWUSER = 0x800, 0x1000_0000  # CLONE_*: neither makes sense alone, so nothing is made
_TIOCSTI, _QUERYCAP, _GPIO_INFO = 0x5412, 0x8068_5600, 0x8044_B401  # type on a terminal; ask a camera, a GPIO chip
_NO_PROTOCOL = 9999
_PACKET, _BLUETOOTH, _VSOCK = 17, 31, 40  # AF_*: Python names them where it was built with them
_PARENT = 0  # stands for its process id, which is not known here


@dataclass(frozen=True, slots=True)
class Try:
    """One thing that must not work. `not_by`: roles to which it is not forbidden."""

    what: str
    call: str
    arguments: tuple[int, ...]
    not_by: frozenset[Role] = frozenset()
    to_parent: bool = False  # every argument but the last is the id of the process that started us


_TELL, _KEEP, _CAMERA = frozenset({Role.TELL}), frozenset({Role.KEEP}), frozenset({Role.CAMERA})


def _socket(what: str, family: int, kind: int, not_by: frozenset[Role] = frozenset()) -> Try:
    return Try(f"open {what}", "socket", (family, kind, _NO_PROTOCOL), not_by)


# A null pointer is refused only after the call itself was allowed.
TRIES: tuple[Try, ...] = (
    Try("start a program", "execve", (0, 0, 0)),
    Try("start a program by its descriptor", "execveat", (_NOBODY, 0, 0, 0, 0)),
    Try("start another process", "clone", (_SIGHAND, 0, 0, 0, 0)),
    Try("start another process in any way", "clone3", (0, 0)),
    Try("start one in another namespace", "clone", (_NEWUSER | _SIGHAND | 0x1_0000, 0, 0, 0, 0)),
    Try("leave a namespace", "unshare", (1,)),
    Try("enter a namespace", "setns", (_NOBODY, 0)),
    Try("trace a process", "ptrace", (_ATTACH, 0, 0, 0)),
    Try("read a process's memory", "process_vm_readv", (_NOBODY, 0, 0, 0, 0, 1)),
    Try("write a process's memory", "process_vm_writev", (_NOBODY, 0, 0, 0, 0, 1)),
    Try("take a process's descriptor", "pidfd_getfd", (_NOBODY, 0, 0)),
    Try("signal another process", "kill", (_PARENT, 0), to_parent=True),
    Try("signal another process's thread", "tgkill", (_PARENT, _PARENT, 0), to_parent=True),
    Try("signal a process by its descriptor", "pidfd_send_signal", (_NOBODY, 0, 0, 0)),
    Try("have another process signalled", "fcntl", (_NOBODY, fcntl.F_SETOWN, 0)),
    Try("change another process's limits", "prlimit64", (0, _NOBODY, 1, 0)),
    Try("let others look into it", "prctl", (4, 7, 0, 0, 0)),  # PR_SET_DUMPABLE, to what it cannot be
    Try("type on its terminal", "ioctl", (_NOBODY, _TIOCSTI, 0)),
    Try("use a camera", "ioctl", (_NOBODY, _QUERYCAP, 0), _CAMERA),
    Try("use the pins", "ioctl", (_NOBODY, _GPIO_INFO, 0), frozenset({Role.KEEP, Role.SENSOR})),
    Try("make a file", "openat", (_HERE, 0, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0), _KEEP),
    Try("open a file for writing", "openat", (_HERE, 0, os.O_WRONLY), _KEEP),
    Try("empty a file", "openat", (_HERE, 0, os.O_RDONLY | os.O_TRUNC), _KEEP),
    Try("open a device", "openat", (_HERE, 0, os.O_RDWR), _CAMERA),
    Try("make a file in the older way", "open", (0, os.O_WRONLY | os.O_CREAT, 0), _KEEP),
    Try("open a device in the older way", "open", (0, os.O_RDWR, 0), _CAMERA),
    Try("make a file without a name", "openat", (_HERE, 0, os.O_RDWR | os.O_TMPFILE)),
    Try("open a file in a newer way", "openat2", (_HERE, 0, 0, 0)),
    Try("open a file by its number", "open_by_handle_at", (_NOBODY, 0, 0)),
    Try("make a file in memory", "memfd_create", (0, 0), _CAMERA),
    Try("make a folder", "mkdirat", (_HERE, 0, 0), _KEEP),
    Try("rename a file", "renameat2", (_HERE, 0, _HERE, 0, 0), _KEEP),
    Try("remove a file", "unlinkat", (_HERE, 0, 0), _KEEP),
    Try("cut a file", "truncate", (0, 0)),
    Try("link a file", "linkat", (_HERE, 0, _HERE, 0, 0)),
    Try("make a symbolic link", "symlinkat", (0, _HERE, 0)),
    Try("make a node", "mknodat", (_HERE, 0, 0, 0)),
    Try("change a file's mode", "fchmodat", (_HERE, 0, 0)),
    Try("change a file's owner", "fchownat", (_HERE, 0, 0, 0, 0)),
    _socket("an IPv4 socket", socket.AF_INET, socket.SOCK_STREAM, _TELL),
    _socket("an IPv6 socket", socket.AF_INET6, socket.SOCK_STREAM, _TELL),
    _socket("an IPv4 packet socket", socket.AF_INET, socket.SOCK_SEQPACKET),
    _socket("a raw socket", socket.AF_INET, socket.SOCK_RAW),
    _socket("a raw IPv6 socket", socket.AF_INET6, socket.SOCK_RAW),
    Try("open an IPv4 socket by udev's number", "socket", (socket.AF_INET, socket.SOCK_STREAM, 15), _TELL),
    _socket("a packet socket", _PACKET, socket.SOCK_RAW),
    _socket("a Bluetooth socket", _BLUETOOTH, socket.SOCK_STREAM),
    Try("open a socket to a hypervisor", "socket", (_VSOCK, socket.SOCK_STREAM, 0)),
    _socket("a netlink socket", socket.AF_NETLINK, socket.SOCK_RAW),
    _socket("a Unix datagram socket", socket.AF_UNIX, socket.SOCK_DGRAM),
    _socket("a Unix stream", socket.AF_UNIX, socket.SOCK_STREAM, _TELL),
    _socket("a Unix packet socket", socket.AF_UNIX, socket.SOCK_SEQPACKET, EYES),
    Try("make a pair of sockets that are not Unix", "socketpair", (socket.AF_INET, socket.SOCK_STREAM, 0, 0)),
    Try("wait for connections", "listen", (_NOBODY, 1)),
    Try("take a connection", "accept4", (_NOBODY, 0, 0, 0), _KEEP),
    Try("send descriptors", "sendmsg", (_NOBODY, 0, 0)),
    Try("send many messages", "sendmmsg", (_NOBODY, 0, 0, 0), _TELL),
    Try("mount", "mount", (0, 0, 0, 0, 0)),
    Try("change the root", "chroot", (0,)),
    Try("use the keys of the kernel", "keyctl", (_NOBODY, 0, 0, 0, 0)),
    Try("queue work for the kernel", "io_uring_setup", (0, 0)),
    Try("handle page faults", "userfaultfd", (_NOBODY,)),
    Try("watch the processor", "perf_event_open", (0, 0, 0, _NOBODY, 0)),
    Try("run code in the kernel", "bpf", (_NOBODY, 0, 0)),
    Try("load a kernel module", "finit_module", (_NOBODY, 0, 0)),
)

# Where the kernel has Landlock: what its role could open by what the call looks like, and must not by where it lies.
PATHS: dict[Role, tuple[str, int]] = {
    Role.SEE: ("/dev/null", os.O_RDONLY),
    Role.CAMERA: ("/proc/self/comm", os.O_RDWR),
    Role.SENSOR: ("/dev/null", os.O_RDONLY),
    Role.TELL: ("/dev/null", os.O_RDONLY),
    Role.KEEP: ("/dev/null", os.O_RDONLY),
}
