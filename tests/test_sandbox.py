"""What a process can still do that somebody has taken over: its own work, and nothing else."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import sandbox_kernel
from device.messages import BURST, RATE_PER_S, KeepToSee, KeepToTell, Receiver, SeeToTell, pair
from device.sandbox_calls import ALARMS, Role, allowed
from device.sandbox_tries import TRIES
from tests.hostile import Taken
from tests.rig import Mosquitto, Phone, environment, plain
from tests.test_run import children, house, said

LANDLOCK = sandbox_kernel.landlock_version() > 0
ROLES = ("see", "tell", "keep")

# What it tries: code, and what becomes of it in see, tell and keep. R: refused. K: the process ends there and then.
# X: one or the other, by architecture. L: refused where the kernel has Landlock. W: works, being what that role is for.
ATTEMPTS: dict[str, tuple[str, str]] = {
    "connect over IPv4": ("socket.create_connection(('127.0.0.1', port), 5)", "KWK"),
    "open an IPv6 socket": ("socket.socket(socket.AF_INET6)", "KWK"),
    "open a raw socket": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "KRK"),
    "open a socket of any other family": ("""
found = []
for family in range(3, 46):
    for kind in (1, 2, 3, 5):
        try:
            if family not in (socket.AF_INET6, socket.AF_NETLINK):
                socket.socket(family, kind).close()
                found.append((family, kind))
        except OSError:
            pass
if not found:
    raise PermissionError(1, '')""", "RRR"),
    "hear the kernel's news": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)", "RRR"),
    "ask for routes": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", "RWR"),
    "speak to a daemon in datagrams": ("socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect(daemon)", "RRR"),
    "open a Unix stream": ("socket.socket(socket.AF_UNIX)", "RWR"),
    "open a Unix packet socket": ("socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)", "WRR"),
    "wait for a Unix connection": ("s = socket.socket(socket.AF_UNIX); s.bind(folder + '/s'); s.listen()", "RRR"),
    "wait for a connection": ("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()", "KRK"),
    "send a descriptor": ("socket.send_fds(socket.socketpair()[0], [b'x'], [0])", "RRR"),
    "make a file": ("open(folder + '/new', 'w')", "RRL"),
    "append to a file": ("open(file, 'a')", "RRL"),
    "change a file in place": ("os.open(file, os.O_RDWR)", "RRR"),
    "empty a file": ("os.truncate(file, 0)", "RRR"),
    "make a file without a name": ("os.open(folder, os.O_TMPFILE | os.O_RDWR)", "RRR"),
    "make a file in memory": ("os.memfd_create('x')", "RRR"),
    "remove a file": ("os.unlink(file)", "RRL"),
    "rename a file": ("os.rename(file, file + '2')", "RRL"),
    "make a folder": ("os.mkdir(folder + '/sub')", "RRL"),
    "make a symbolic link": ("os.symlink('/', folder + '/link')", "RRR"),
    "make a link": ("os.link(file, folder + '/link')", "RRR"),
    "make a pipe with a name": ("os.mkfifo(folder + '/fifo')", "RRR"),
    "let others read a file": ("os.chmod(file, 0o666)", "RRR"),
    "read the recordings": ("open(clip).read()", "LLW"),
    "read what is the owner's": ("open(file).read()", "LLL"),
    "open the camera": ("os.open(camera, os.O_RDWR)", "RRR"),
    "open the camera for reading": ("os.open(camera, os.O_RDONLY)", "LLL"),
    "have a camera do something": ("fcntl.ioctl(0, 0x80685600, bytes(104))", "RRR"),
    "open the pins": ("os.open(pins, os.O_RDWR)", "RRR"),
    "have a pin do something": ("fcntl.ioctl(0, 0x8044B401, bytes(68))", "RRW"),
    "type on the terminal": ("fcntl.ioctl(0, 0x5412, b'x')", "RRR"),
    "become another program": ("os.execv('/bin/true', ['true'])", "KKK"),
    "start a program": ("subprocess.run(['/bin/true'])", "XXX"),
    "start a program in another way": ("os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)", "XXX"),
    "become two": ("child = os.fork()\nif not child: os._exit(0)\nos.waitpid(child, 0)", "XXX"),
    "trace another process": ("if libc.ptrace(0x4206, victim, 0, 0) < 0: raise OSError(ctypes.get_errno(), '')", "KKK"),
    "open another's memory": ("open(f'/proc/{victim}/mem', 'rb')", "RRR"),
    "look at another's descriptors": ("found = os.listdir(f'/proc/{victim}/fd')", "RRR"),
    "signal another": ("os.kill(victim, 0)", "RRR"),
    "have another signalled": ("fcntl.fcntl(socket.socketpair()[0], fcntl.F_SETOWN, victim)", "RRR"),
    "hold another": ("os.pidfd_open(victim)", "RRR"),
    "change its limits": ("resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))", "RRR"),
    "let others look into it": ("if libc.prctl(4, 1, 0, 0, 0): raise OSError(ctypes.get_errno(), '')", "RRR"),
    "be another user": ("os.setuid(os.getuid())", "RRR"),
    "leave its namespaces": ("if libc.unshare(0x20000): raise OSError(ctypes.get_errno(), '')", "KKK"),
    "mount": ("""
if libc.mount(b'x', folder.encode(), b'tmpfs', 0, None):
    raise OSError(ctypes.get_errno(), '')
libc.umount2(folder.encode(), 2)""", "KKK"),
    "queue work for the kernel": ("if libc.syscall(425, 0, None) < 0: raise OSError(ctypes.get_errno(), '')", "KKK"),
}


class Scene:
    """What there is to be got at: files, nodes, a listening port, a daemon, and a process that is not its own."""

    def __init__(self, folder: Path, victim: int, port: int) -> None:
        self.folder = folder
        self.values = {"folder": str(folder / "out"), "file": str(folder / "out" / "file"), "clip": str(folder / "own/state/clips/1"),
                       "camera": str(folder / "video0"), "pins": str(folder / "gpiochip0"), "daemon": str(folder / "daemon"),
                       "victim": victim, "port": port}

    def code(self, attempt: str) -> str:
        """The attempt's code, with its file as new."""
        (self.folder / "out").mkdir(exist_ok=True)
        (self.folder / "own" / "state" / "clips").mkdir(parents=True, exist_ok=True)
        for name in ("file", "clip", "camera", "pins"):
            Path(str(self.values[name])).write_text("what is to be kept")
        return "\n".join(f"{name} = {value!r}" for name, value in self.values.items()) + "\n" + attempt

    def toml(self, role: str) -> str:
        recipient = '"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"'
        return {"see": '[camera]\nsource = "porch"\n', "tell": plain(int(self.values["port"])),
                "keep": f'[recording]\npanel = "none"\nfolder = "own/state"\nrecipients = [{recipient}]\n'}[role]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "victim").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon, \
            Taken(tmp_path / "victim", "keep", '[recording]\npanel = "none"\n') as victim:
        daemon.bind(str(tmp_path / "daemon"))
        assert victim.runs("pass").startswith("worked")  # it is confined by now
        yield Scene(tmp_path, victim.process.pid, server.getsockname()[1])


def expected(letter: str, answer: str) -> bool:
    """Whether the answer is what the table says."""
    return {"R": answer.startswith("refused"), "K": answer == "killed", "W": answer.startswith("worked"),
            "X": answer == "killed" or answer.startswith("refused"),
            "L": answer.startswith("refused") or (not LANDLOCK and answer.startswith("worked"))}[letter]


@pytest.mark.parametrize("role", ROLES)
def test_inv_a_taken_process_stays_confined(role: str, scene: Scene) -> None:
    """A crafted picture, a hostile broker, a bug: whoever gets in gets no power that the process did not have."""
    place = ROLES.index(role)
    assert unexpected(scene, role, scene.toml(role), {name: letters[place] for name, (_, letters) in ATTEMPTS.items()}) == {}
    assert Path(str(scene.values["file"])).read_text() == "what is to be kept"


def test_inv_a_taken_process_stays_confined_with_a_sensor_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a camera it has the pins, and no way of video to `keep`: nothing else is more, and that is less."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    see = {name: letters[0] for name, (_, letters) in ATTEMPTS.items()}
    letters = {**see, "have a pin do something": "W", "open a Unix packet socket": "R"}
    assert unexpected(scene, "see", '[camera]\nsource = "pir"\n', letters) == {}


def unexpected(scene: Scene, role: str, toml: str, letters: dict[str, str]) -> dict[str, str]:
    """Try everything in a process that was taken over; return the answers that are not as its letter says."""
    wrong, left = {}, iter(ATTEMPTS.items())
    attempt = next(left, None)
    while attempt is not None:
        with Taken(scene.folder, role, toml) as taken:  # anew after each that ended it
            answer = ""
            while attempt is not None and answer != "killed":
                name, (code, _) = attempt
                answer = taken.runs(scene.code(code))
                if not expected(letters[name], answer):
                    wrong[name] = answer
                attempt = next(left, None)
    return wrong


def test_calls_in_the_spelling_of_another_architecture_are_none(scene: Scene) -> None:
    """Numbers mean other calls there, so a filter that let them through would let everything through."""
    with Taken(scene.folder, "see", scene.toml("see")) as taken:
        answer = taken.runs("if libc.syscall(0x40000000 + 39) < 0: raise OSError(ctypes.get_errno(), '')")  # x32's getpid
        assert expected("X", answer)


def test_an_attempt_that_ended_a_process_is_said_and_told(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Whoever tries is noticed: in the log in words, and on the phone by what the process did."""
    with house(tmp_path, '[camera]\nsource = "porch"\n' + plain(broker.port)) as process:
        phone.wait("status", "watching")
        for name, alert in (("see", "no camera at front door"), ("keep", "record button not working at front door")):
            os.kill(children(process.pid)[name], signal.SIGSYS)  # as the kernel does
            phone.wait("alert", alert)
            assert f"{name} ended (it asked the kernel for what it must never do" in said(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="an attempt to mount or to trace works for root only")
def test_each_attempt_works_in_a_process_that_gave_up_nothing(scene: Scene) -> None:
    """An attempt that cannot succeed anywhere would show nothing."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, subprocess.Popen([sys.executable, "-c", "from tests.hostile import unconfined; unconfined()"],
                                        pass_fds=[theirs.fileno()], env=environment(HOSTILE=str(theirs.fileno()))) as process:
        theirs.close()
        ours.settimeout(30)
        failed = {}
        for name, (attempt, _) in ATTEMPTS.items():
            for made in ("new", "sub", "link", "fifo", "s"):
                path = scene.folder / "out" / made
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            # A new program does not answer: it has worked if the child is gone without a word.
            ours.send((scene.code(attempt) + "\nfound = 'it'").encode() if "execv(" not in attempt else b"found = 'exec'")
            answer = ours.recv(1000).decode()
            if not answer.startswith("worked"):
                failed[name] = answer
        ours.close()
        process.wait(10)
    assert failed == {}


LOOSENED = """
import os
from dataclasses import replace
from device import sandbox
from device.errors import DoorstepError
from device.sandbox_calls import Call, Role, allowed
from device.sandbox_tries import TRIES

sandbox.kernel.landlock_version = lambda: 0  # as on a Raspberry Pi: it would stop some things a second time

def caught(role, change):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sandbox.give_up(role)
            sandbox.shut(role, change(list(allowed(role, os.getpid()))))
            os.write(write, b"-")
        except DoorstepError as error:
            os.write(write, error.message.encode())
        finally:
            os._exit(0)
    os.close(write)
    said = os.fdopen(read).read()
    assert os.waitpid(child, 0)[1] == 0
    return said

for role in Role:
    assert caught(role, lambda calls: calls) == "-", role
    for place, call in enumerate(allowed(role, 1)):
        for match in call.when:
            def looser(calls):
                left = tuple(other for other in calls[place].when if other.argument != match.argument)
                return [*calls, replace(calls[place], when=left)]
            if caught(role, looser) == "-":
                print(role.name, "may", call.name, "whatever argument", match.argument, "is")
    for row in TRIES:
        if role not in row.not_by and row.what not in caught(role, lambda calls: [*calls, Call(row.call)]):
            print(role.name, "may", row.what)
"""
# What no process without root's powers can do anyway, here or on another kernel: both must go before it is seen.
TWICE = {"load a kernel module", "open a packet socket", "run code in the kernel", "watch the processor", "handle page faults"}


def test_each_line_of_the_filter_is_missed_when_it_is_gone() -> None:
    """A filter that could lose a line unseen will lose it one day: then the process must refuse to start."""
    done = subprocess.run([sys.executable, "-c", LOOSENED], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.split(" may ")[1] not in TWICE] == []


@pytest.mark.parametrize("table", ["allowed", "alarms", "tries"])
def test_no_call_is_misspelt(table: str) -> None:
    """A name that no kernel knows would be passed over in silence: a call allowed for nothing, or an alarm that never rings."""
    names = {"allowed": {call.name for role in Role for call in allowed(role, 1)}, "alarms": set(ALARMS.split()),
             "tries": {row.call for row in TRIES}}[table]
    number = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    number.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    machines = {"x86-64": 0xC000_003E, "aarch64": 0xC000_00B7}
    known = {machine: {name for name in names if number(token, name.encode()) >= 0} for machine, token in machines.items()}
    assert names - known["x86-64"] - known["aarch64"] == set()
    # What aarch64 has not are the older spellings of calls that it has.
    older = {"access", "dup2", "epoll_create", "epoll_wait", "eventfd", "fork", "getpgrp", "lstat", "mkdir", "open", "pipe",
             "poll", "readlink", "rename", "select", "stat", "time", "unlink", "vfork"}
    assert names - known["aarch64"] == names & older


LAYERS = {
    "not dumpable": ("kernel.prctl = lambda option, value=0: 1 if option == 4 else prctl(option, value)", "leave its memory"),
    "no new privileges": ("kernel.prctl = lambda option, value=0: 0 if option == 38 else prctl(option, value)", "seccomp"),
    "no core": ("sandbox.resource = mock.Mock(wraps=resource, setrlimit=lambda *_: None, RLIMIT_CORE=4)", "leave its memory"),
    "no capabilities": ("kernel.drop_capabilities = lambda: None", "have CapPrm"),
    "Landlock": ("kernel.landlock = lambda *_, **__: None", "open /dev/null"),
    "one thread": ("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "have CapPrm"),
    "the filter": ("kernel.Filters.allow_only = lambda *_: None", "start a program"),
    "libseccomp": ("kernel.ctypes.CDLL = mock.Mock(side_effect=OSError('no libseccomp.so.2'))", "apt install libseccomp2"),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_process_that_keeps_a_power_refuses_to_start(tmp_path: Path, layer: str) -> None:
    """Whatever the reason, a kernel or a bug: better no door camera than one that could show the door."""
    undone, says = LAYERS[layer]
    if (says == "have CapPrm" and os.getuid() != 0) or (layer == "Landlock" and not LANDLOCK):
        pytest.skip("there is nothing here to give up")
    script = ("import resource, sys, threading, time; from unittest import mock; from device import sandbox; "
              "from device.cli import main; kernel = sandbox.kernel; prctl = kernel.prctl\n"
              f"{undone}\nsys.exit(main(sys.argv[1:]))")
    (tmp_path / "doorstep.toml").write_text(plain(9))
    writer, reader = pair()
    with writer, reader:
        command = [sys.executable, "-c", script, "tell", "--config", str(tmp_path / "doorstep.toml")]
        done = subprocess.run([*command, "--events-fd", str(reader.fileno())], pass_fds=[reader.fileno()], text=True,
                              capture_output=True, env=environment(), check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stderr.startswith("doorstep: error: ")


def test_it_keeps_no_descriptor_that_nobody_named(scene: Scene) -> None:
    """An open folder, left over from whoever started it, would be a way out of any confinement."""
    with (scene.folder / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        with Taken(scene.folder, "see", scene.toml("see"), leaks=(secret.fileno(),)) as taken:
            assert taken.runs(f"os.fstat({secret.fileno()})") == "worked, up to EBADF"
            assert taken.runs(f"os.fstat({taken.fds['tell-fd']})").startswith("worked")


@pytest.mark.parametrize(("role", "most_bytes"), [("see", 0), ("tell", 4096)])
def test_no_file_grows_under_it(role: str, most_bytes: int, scene: Scene) -> None:
    """A file that was open before is no store of pictures either."""
    with Taken(scene.folder, role, scene.toml(role)) as taken:
        assert taken.runs("found = resource.getrlimit(resource.RLIMIT_FSIZE)") == f"worked: {(most_bytes, most_bytes)}"


@pytest.mark.parametrize(("role", "link", "alphabet"), [
    ("see", "tell-fd", SeeToTell), ("keep", "tell-fd", KeepToTell), ("keep", "see-fd", KeepToSee)])
def test_inv_one_way_a_taken_process_floods_and_babbles_in_vain(role: str, link: str, alphabet: type, scene: Scene) -> None:
    """Of all that it can send, what arrives is letters of its own alphabet, at the wall's rate."""
    with Taken(scene.folder, role, scene.toml(role)) as taken:
        receiver = Receiver(taken.links[link], alphabet)
        assert taken.runs("pass").startswith("worked")
        began_s = time.monotonic()
        passed = len(list(receiver.receive()))
        babble = f"""
found = 0
link = socket.socket(fileno=os.dup({taken.fds[link]}))
for word in [b"", b"MM", b"?", b"\\0", bytes(60_000), *(bytes((n,)) for n in range(256) if n not in {set(map(int, alphabet))})]:
    try:
        found += link.send(word, socket.MSG_DONTWAIT) >= 0
    except BlockingIOError:
        break"""
        refused = receiver.refused
        for _ in range(100):
            assert taken.runs(babble).startswith("worked")
            passed += len(list(receiver.receive()))
        assert receiver.refused - refused > 500  # ten wait at a time
        flood = f"""
link = socket.socket(fileno=os.dup({taken.fds[link]}))
for n in range(1000):
    try:
        link.send(b"{chr(next(iter(alphabet)))}", socket.MSG_DONTWAIT)
    except BlockingIOError:
        break"""
        for _ in range(100):
            assert taken.runs(flood).startswith("worked")
            passed += len(list(receiver.receive()))
        assert passed <= BURST + RATE_PER_S * (time.monotonic() - began_s) + 1
