"""What each role may ask of the kernel, as tables.

Rule 1: what is not listed is denied; a call whose arguments matter is listed with them.
Rule 2: pure: nothing here is done to anybody.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import os
import socket
import termios
from dataclasses import dataclass

# The answer to every other call, as of a kernel without it: libraries then do as on an older one.
DENIED = errno.ENOSYS


class Role(enum.Enum):
    """Who gives up its powers."""

    SEE = "see, with drawn or stored pictures"
    CAMERA = "see, with a camera"
    SENSOR = "see, with a motion sensor and no camera"
    TELL = "tell"
    KEEP = "keep"


EYES = frozenset({Role.SEE, Role.CAMERA})  # who may send video


@dataclass(frozen=True, slots=True)
class Match:
    """Argument number `argument` must be `value` in the bits of `mask`."""

    argument: int
    value: int
    mask: int = 0xFFFF_FFFF  # the kernel looks at no more of an int


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is allowed, with these arguments only. `roles`: whose; None: everybody's."""

    name: str
    when: tuple[Match, ...] = ()
    roles: frozenset[Role] | None = None


# Calls that give no power beyond what is open already; seccomp(2) only takes away.
PLAIN = """
    brk mmap munmap mprotect mremap madvise msync mbind get_mempolicy membarrier
    futex futex_waitv set_robust_list get_robust_list set_tid_address rseq
    exit exit_group getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid
    sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
    getpriority getcpu getrlimit getrusage getrandom uname sysinfo getcwd times
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time timerfd_create timerfd_settime
    timerfd_gettime getitimer setitimer
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack restart_syscall
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek close dup dup2 dup3 pipe pipe2
    eventfd eventfd2 poll ppoll select pselect6
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents64
    fadvise64 sendto recvfrom recvmsg connect shutdown getsockopt setsockopt getsockname getpeername
    seccomp
"""

# What a role needs besides, whatever the arguments.
OWN: dict[Role, str] = {
    Role.SEE: "",
    Role.SENSOR: "",
    # libcamera keeps its parameters in memory files and waits for udev's word on a socket it binds.
    Role.CAMERA: "memfd_create ftruncate bind",
    # getaddrinfo binds a netlink socket and asks for both kinds of address at once.
    Role.TELL: "bind sendmmsg",
    Role.KEEP: "accept accept4 fsync fdatasync ftruncate fallocate mkdir mkdirat unlink unlinkat"
               " rename renameat renameat2 flock",
}

_WRITES = os.O_WRONLY | os.O_RDWR
_TMPFILE = 0o20000000  # __O_TMPFILE; os.O_TMPFILE has O_DIRECTORY in it, which is no harm
_MAKES = os.O_CREAT | os.O_TRUNC | os.O_APPEND | _TMPFILE
_THREAD = 0x0001_0000  # CLONE_THREAD: anything else than a thread is a process
_NAMESPACES = 0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000
_TCGETS2, _TCSETSW2 = 0x802C_542A, 0x402C_542C  # glibc's from 2.42 on
_KOBJECT_UEVENT = 15  # NETLINK_KOBJECT_UEVENT: where udev says what came and went
_TYPE = 0xF  # of a socket; above it are flags
_POINTER = 0xFFFF_FFFF_FFFF_FFFF

IOCTLS = (termios.TCGETS, _TCGETS2, termios.TIOCGWINSZ, termios.FIONREAD, termios.FIONBIO, termios.TIOCOUTQ,
          termios.FIOCLEX, termios.FIONCLEX)
FCNTLS = (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL, fcntl.F_DUPFD_CLOEXEC,
          fcntl.F_ADD_SEALS, fcntl.F_GET_SEALS)  # not F_SETOWN and F_SETSIG, which have the kernel signal others
PRCTLS = (15, 16, 3, 21, 23, 39)  # PR_SET_NAME and what only asks: name, dumpable, seccomp, capabilities, privileges
# V4L2, media, DMA heap, DMA buffer, udmabuf: the letters of linux/videodev2.h, media.h, dma-heap.h, ...
CAMERA_IOCTLS = b"V|Hbu"
GPIO_IOCTLS = b"\xb4"  # linux/gpio.h


def _socket(family: int, kind: int) -> tuple[Match, Match]:
    return Match(0, family), Match(1, kind, _TYPE)


def _netlink(protocol: int) -> tuple[Match, Match]:
    return Match(0, socket.AF_NETLINK), Match(2, protocol)


def _opens(name: str, place: int) -> list[Call]:
    """Opening: `place` is the flags' place among the arguments."""
    readers = frozenset({Role.SEE, Role.SENSOR, Role.TELL})
    return [
        Call(name, (Match(place, 0, _WRITES | _MAKES),), readers),
        Call(name, (Match(place, 0, os.O_WRONLY | _MAKES),), frozenset({Role.CAMERA})),  # a device is opened O_RDWR
        Call(name, (Match(place, 0, os.O_RDWR | _TMPFILE),), frozenset({Role.KEEP})),  # a file is not
    ]


def lines(pid: int) -> tuple[Call, ...]:
    """Every line of every role's list whose arguments matter. `pid` is the process's own."""
    camera, tell, keep = frozenset({Role.CAMERA}), frozenset({Role.TELL}), frozenset({Role.KEEP})
    pins = frozenset({Role.KEEP, Role.SENSOR})
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    return (
        *_opens("openat", 2),
        *_opens("open", 1),
        Call("clone", (Match(0, _THREAD, _THREAD | _NAMESPACES),)),
        Call("kill", (Match(0, pid),)),
        Call("tgkill", (Match(0, pid),)),
        Call("prlimit64", (Match(2, 0, _POINTER),)),  # only to ask
        *(Call("prctl", (Match(0, option),)) for option in PRCTLS),
        *(Call("fcntl", (Match(1, command),)) for command in FCNTLS),
        *(Call("ioctl", (Match(1, request),)) for request in IOCTLS),
        *(Call("ioctl", (Match(1, request),), keep) for request in (termios.TCSETSW, _TCSETSW2)),
        *(Call("ioctl", (Match(1, kind << 8, 0xFF00),), camera) for kind in CAMERA_IOCTLS),
        *(Call("ioctl", (Match(1, kind << 8, 0xFF00),), pins) for kind in GPIO_IOCTLS),
        Call("socketpair", (Match(0, socket.AF_UNIX),)),
        # Video to `keep`. No daemon that could do something for `see` listens for packets.
        Call("socket", _socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), EYES),
        Call("socket", _socket(socket.AF_UNIX, stream), tell),  # a resolver's daemon
        Call("socket", _netlink(_KOBJECT_UEVENT), camera),
        Call("socket", _netlink(0), tell),  # getaddrinfo asks for routes
        *(Call("socket", _socket(family, kind), tell)
          for family in (socket.AF_INET, socket.AF_INET6) for kind in (stream, datagram)),
    )


def allowed(role: Role, pid: int) -> tuple[Call, ...]:
    """Return all that `role` may ask for."""
    plain = [Call(name) for name in f"{PLAIN} {OWN[role]}".split()]
    return (*plain, *(call for call in lines(pid) if call.roles is None or role in call.roles))


# What no honest process of ours ever asks for: whoever does is not ours any more, and ends there and then.
ALARMS = """
    execve execveat fork vfork ptrace process_vm_readv process_vm_writev pidfd_getfd setns unshare
    mount umount2 pivot_root chroot open_tree move_mount fsopen open_by_handle_at
    bpf init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff
    io_uring_setup userfaultfd perf_event_open keyctl add_key request_key
"""
ALARM_SOCKETS = frozenset(Role) - {Role.TELL}  # for whom an internet socket is such a thing
