"""What a unit's confinement lets through: every power is tried once, and what worked is printed, as JSON.

Rule 1: each attempt really does something where it is not denied, and leaves nothing behind.
Rule 2: needs the standard library only, and knows nothing of who it is: what may work is said in the test.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers of x86-64, which the board is, and of linux/*.h.
PERSONALITY, KEYCTL, IO_URING_SETUP, BPF, PTRACE, READV = 135, 250, 425, 321, 101, 310
NEWNS, NEWUSER, ATTACH, LINUX32, DETACHED = 0x2_0000, 0x1000_0000, 16, 8, 17
PROBE = "probe"  # what it makes is called so
FOLDERS = ("/etc/doorstep", "/opt/doorstep", "/usr/local", "/root", "/home", "/tmp", "/var/tmp", "/var/log", "/dev/shm",
           "/run", "/run/doorstep", "/run/doorstep-tell", "/run/doorstep-keep", "/var/lib/doorstep", "/sys/fs/cgroup")
OWN = next((folder for folder in ("/run/doorstep-tell", "/var/lib/doorstep") if os.access(folder, os.W_OK)), "/tmp")


def call(number: int, *arguments: object) -> int:
    """Make a system call. Raise OSError where it fails."""
    found = LIBC.syscall(number, *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


def made(folder: str) -> None:
    (Path(folder) / PROBE).mkdir()
    (Path(folder) / PROBE).rmdir()


def opened(path: str, flags: int) -> None:
    os.close(os.open(path, flags))


def connected(path: str, kind: int) -> None:
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.connect(path)


def sent(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"?", (address, 9))


def reached(address: str, port: int) -> None:
    socket.create_connection((address, port), timeout=5).close()


def bound() -> None:
    with socket.socket(socket.AF_INET) as sock:
        sock.bind(("127.0.0.1", 0))


def listened() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"\0{PROBE}")
        sock.listen()


def in_network(name: str) -> None:
    assert Path("/proc/self/ns/net").readlink() == Path(name), "in another"


def node() -> None:
    path = Path(OWN) / PROBE
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    path.unlink()


def as_owner() -> None:
    path = Path(OWN) / PROBE
    path.touch()
    try:
        path.chmod(0o4700)
    finally:
        path.unlink()


def ran(program: str, *words: str) -> None:
    pid = os.posix_spawn(program, [program, *words], {})
    assert os.waitpid(pid, 0)[1] == 0


def on_child(do: Callable[[int], None]) -> None:
    """Do something to another process of the same user."""
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        do(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def traced(pid: int) -> None:
    call(PTRACE, ATTACH, pid, None, None)


def peeked(pid: int) -> None:
    word = ctypes.create_string_buffer(8)  # at the same place there: it was forked
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(word), 8)
    call(READV, pid, vector, 1, vector, 1, 0)


def others() -> None:
    assert Path("/proc/1/cmdline").read_bytes(), "nothing to be seen"


def mounted() -> None:
    target = b"/media"
    assert LIBC.mount(b"none", target, b"tmpfs", 0, None) == 0, os.strerror(ctypes.get_errno())
    LIBC.umount2(target, 2)


def unshared(flags: int) -> None:
    assert LIBC.unshare(flags) == 0, os.strerror(ctypes.get_errno())


def rooted() -> None:
    os.chroot("/proc/self")


def real_time() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def renamed() -> None:
    socket.sethostname(socket.gethostname())


def dated() -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def tuned() -> None:
    path = Path("/proc/sys/kernel/panic")
    path.write_text(path.read_text())


def written_and_run() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def crowded() -> None:
    done = threading.Event()
    try:
        for _ in range(100):
            threading.Thread(target=done.wait, daemon=True).start()
    finally:
        done.set()


def attempts(port: int, other: str, network: str) -> dict[str, Callable[[], object]]:
    """Each power, and how it is used. `other` is the address of another machine, `network` the machine's own."""
    datagram, packets, stream = socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM
    return {
        "be in the machine's network": lambda: in_network(network),
        "connect to the broker": lambda: reached("127.0.0.1", port),
        "connect to another machine": lambda: reached(other, port),
        "send to another machine": lambda: sent(other),
        "open an IPv4 socket": lambda: socket.socket(socket.AF_INET).close(),
        "open an IPv6 socket": lambda: socket.socket(socket.AF_INET6).close(),
        "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).close(),
        "take a port": bound,
        "wait for connections": listened,
        "speak to tell as see": lambda: connected("/run/doorstep/tell.sock", datagram),
        "speak to tell as keep": lambda: connected("/run/doorstep/tell-keep.sock", datagram),
        "speak to see": lambda: connected("/run/doorstep/see.sock", datagram),
        "send video": lambda: connected("/run/doorstep/video.sock", packets),
        "speak to D-Bus": lambda: connected("/run/dbus/system_bus_socket", stream),
        "speak to the service manager": lambda: connected("/run/systemd/private", stream),
        "open the camera": lambda: opened("/dev/video0", os.O_RDWR),
        "open the pins": lambda: opened("/dev/gpiochip0", os.O_RDWR),
        "open the disk": lambda: opened("/dev/vda", os.O_RDONLY),
        "open the kernel's log": lambda: opened("/dev/kmsg", os.O_RDONLY),
        "make a device": node,
        "read the recordings": lambda: opened("/var/lib/doorstep/clips/device.pub", os.O_RDONLY),
        "read the broker's password": lambda: opened("/etc/doorstep/password", os.O_RDONLY),
        "read the authority's key": lambda: opened("/etc/doorstep/broker/ca.key", os.O_RDONLY),
        "read logs": lambda: list(Path("/var/log").iterdir()),
        **{f"write in {folder}": lambda folder=folder: made(folder) for folder in FOLDERS},
        "make a file that runs as its owner": as_owner,
        "change a setting of the kernel": tuned,
        "start a program": lambda: ran("/bin/true"),
        "start Python": lambda: ran("/usr/bin/python3", "-SIc", ""),
        "see other processes": others,
        "signal another user's process": lambda: os.kill(1, 0),
        "trace a process": lambda: on_child(traced),
        "read a process's memory": lambda: on_child(peeked),
        "become somebody else": lambda: os.setresuid(65534, 65534, 65534),
        "make a namespace of users": lambda: unshared(NEWUSER),
        "make a namespace of mounts": lambda: unshared(NEWNS),
        "mount": mounted,
        "change the root": rooted,
        "run before all others": real_time,
        "change its priority": lambda: os.nice(1),
        "change the host's name": renamed,
        "set the clock": dated,
        "be of another kernel": lambda: call(PERSONALITY, LINUX32),
        "run what it has written": written_and_run,
        "queue work for the kernel": lambda: call(IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "use the kernel's keys": lambda: call(KEYCTL, 0, -3, 1),  # its session's; made where there is none
        "run code in the kernel": lambda: call(BPF, 0, (ctypes.c_uint32 * 18)(2, 4, 4, 1), 72),  # makes a map
        "leave a core dump": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
        "start a hundred threads": crowded,
    }


def tried(attempt: Callable[[], object]) -> str:
    """Try it in a child, so that it changes nothing of us; return why it did not work, or nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            attempt()
            os.write(writer, b"-")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it did not work
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        answer = said.read().decode()
    os.waitpid(child, 0)
    return answer.removeprefix("-") if answer else "ended"


def main() -> None:
    port, other, network = sys.argv[1:]
    sys.stdout.write(json.dumps({what: tried(attempt) for what, attempt in attempts(int(port), other, network).items()}))
    sys.stdout.flush()
    address = os.environ.get("NOTIFY_SOCKET")
    if address:  # as the unit that it stands in for: its start is over when this is said
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(b"READY=1", address)
        signal.pause()


if __name__ == "__main__":
    main()
