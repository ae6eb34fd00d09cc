"""The processes of one door on one machine, without systemd.

Rule 1: each process is a child with its own end of each link and nothing of the others.
Rule 2: a child that dies or hangs is started again with back-off; one that refuses its first start ends the house.
Rule 3: when the house ends, however it ends, so do all its children, within STOP_MOST_S.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from broker import embedded
from device.config import Broker, Camera, Config, Recording, to_toml
from device.log import Log
from device.messages import pair
from device.runtime import runtime_folder
from device.stopping import Stop
from device.watchdog import Watchdog

STOP_MOST_S = 2.5
SEE_STOP_MOST_S = 1.0  # so that a hung camera leaves `tell` the time for its goodbye
RESTART_FIRST_S, RESTART_MOST_S = 1.0, 30.0
REFUSES_WITHIN_S = 30.0  # a child that ends later with an error of the owner's has started all the same
STEADY_AFTER_S = 60.0  # a child that lived this long starts the back-off anew
CONFIG_ERROR = 2  # the exit status of every DoorstepError
ASLEEP_S = 0.5  # a house that wakes up so much later was stopped, and its children may have been


@dataclass(slots=True)
class _Child:
    name: str
    command: list[str]
    fds: tuple[int, ...]
    dog: Watchdog | None = None
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    starts: int = 0
    began_s: float = 0.0
    wait_s: float = RESTART_FIRST_S
    again_s: float | None = None  # when to start it again


@dataclass(slots=True)
class House:
    """`with House(config, stop) as house:`; then `house.step()` until it returns an exit status."""

    modules: ClassVar[Mapping[str, str]] = {}  # what runs a child, where it is not the command line itself

    config: Config
    stop: Stop
    log: Log = field(default_factory=lambda: Log("run"))
    _children: list[_Child] = field(default_factory=list)
    _links: list[socket.socket] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _memory: list[int] = field(default_factory=list)
    _temporary: tempfile.TemporaryDirectory[str] | None = None
    _terminal: list[Any] | None = None  # how it was before `keep` took its keys

    def __enter__(self) -> Self:
        if not self.config.broker.host:
            embedded.require()
            here = replace(self.config.broker, host=embedded.HOST, port=embedded.free_port(), tls=False,
                           mqtt_version=embedded.MQTT_VERSION)
            self.config = replace(self.config, broker=here)
            self._add("broker", ["-m", "broker.embedded", str(here.port), str(os.getpid())])
        if sys.stdin is not None and sys.stdin.isatty():
            self._terminal = termios.tcgetattr(sys.stdin)
        (see_tell, from_see), (keep_tell, from_keep), (keep_see, to_see) = pair(), pair(), pair()
        video = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._links += [see_tell, from_see, keep_tell, from_keep, keep_see, to_see, video]
        folder = self._folder()
        address = str(folder / "video.sock")
        video.bind(address)
        video.listen(1)
        # Each gets its own part only: `see` knows of no broker and no owner, `tell` and `keep` of no camera, or that
        # there is none, so that the one tells of a sensor and the other refuses to record.
        own = self.config.recording
        picture = Recording(width_px=own.width_px, height_px=own.height_px, bitrate_mbit=own.bitrate_mbit,
                            longest_s=own.longest_s, budget_mb=own.budget_mb,
                            panel=own.panel, button_pin=own.button_pin, led_pin=own.led_pin)
        eye = Camera() if self.config.camera.has_picture else Camera(source="pir", pin=self.config.camera.pin)
        self._add_own("tell", folder, replace(self.config, camera=eye, recording=picture),
                      events=from_see, keep=from_keep)
        self._add_own("keep", folder, replace(self.config, camera=eye, broker=Broker()),
                      tell=keep_tell, see=keep_see, video=video)
        self._add_own("see", folder, replace(self.config, broker=Broker(), recording=picture),
                      "--video-socket", address, tell=see_tell, keep=to_see)
        self._selector.register(self.stop, selectors.EVENT_READ)
        for child in self._children:
            self._start(child)
            if child.name == "broker":
                embedded.wait_until_up(self.config.broker.port)
        return self

    def _folder(self) -> Path:
        """Return a folder of our own for sockets; it goes with us."""
        self._temporary = tempfile.TemporaryDirectory(prefix="doorstep-",
                                                      dir=runtime_folder(dict(os.environ), self.config.id))
        return Path(self._temporary.name)

    def _add_own(self, name: str, folder: Path, config: Config, *arguments: str, **links: socket.socket) -> None:
        memory = _sealed(to_toml(config))
        self._memory.append(memory)
        ends = [word for end, link in links.items() for word in (f"--{end}-fd", str(link.fileno()))]
        self._add(name, ["-m", self.modules.get(name, "device"), name, "--config", f"/proc/self/fd/{memory}",
                         "--parent", str(os.getpid()), *arguments, *ends],
                  memory, *(link.fileno() for link in links.values()), dog=Watchdog(name, folder / f"{name}.notify"))

    def _add(self, name: str, arguments: list[str], *fds: int, dog: Watchdog | None = None) -> None:
        self._children.append(_Child(name, [sys.executable, *arguments], fds, dog))
        if dog is not None:
            self._selector.register(dog, selectors.EVENT_READ, dog)

    def _start(self, child: _Child) -> None:
        # A session of its own: Ctrl-C reaches us alone, and we stop them in order.
        # The terminal's keys can be the button; then it is `keep` who reads them.
        if child.dog is not None:
            child.dog.start()
        child.process = subprocess.Popen(child.command, pass_fds=child.fds, start_new_session=True,
                                         env={**os.environ, "NOTIFY_SOCKET": str(child.dog.path if child.dog else "")},
                                         stdin=None if child.name == "keep" else subprocess.DEVNULL)
        child.pidfd = os.pidfd_open(child.process.pid)
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        child.starts, child.began_s, child.again_s = child.starts + 1, time.monotonic(), None

    def pid(self, name: str) -> int | None:
        """Return the process id of the child called `name`, if it lives."""
        for child in self._children:
            if child.name == name and child.process is not None:
                return child.process.pid
        return None

    def step(self, most_s: float) -> int | None:
        """Wait at most `most_s`, seeing to children that end; return the house's exit status once it is over."""
        dogs = [child.dog for child in self._children if child.dog is not None and child.process is not None]
        due = [child.again_s for child in self._children if child.again_s is not None]
        until_s = min([time.monotonic() + most_s, *due, *(dog.due_s for dog in dogs)])
        found = self._selector.select(max(0.0, until_s - time.monotonic()))
        asleep_s = time.monotonic() - until_s
        for dog in dogs if asleep_s > ASLEEP_S else ():
            dog.due_s = max(dog.due_s, time.monotonic() + dog.silent_most_s)
        for key, _ in found:
            if isinstance(key.data, Watchdog):
                key.data.hear()
                continue
            status = 0 if key.data is None else self._ended(key.data)
            if status is not None:
                return status
        for child in self._children:
            self._see_to(child, time.monotonic())
        return None

    def _see_to(self, child: _Child, now_s: float) -> None:
        if child.again_s is not None and now_s >= child.again_s:
            self._start(child)
        elif child.process is not None and child.dog is not None and now_s >= child.dog.due_s:
            self.log.say(f"{child.name} gives no sign of life; ending it")
            child.dog.due_s = math.inf
            child.process.kill()  # also where it is stopped

    def _ended(self, child: _Child) -> int | None:
        status = self._reap(child)
        if child.name == "see" and status == 0 and self.config.camera.source == "file":
            return 0  # the recording is over
        if status == CONFIG_ERROR and child.starts == 1 and time.monotonic() - child.began_s < REFUSES_WITHIN_S:
            return CONFIG_ERROR  # it has said what and why
        if time.monotonic() - child.began_s > STEADY_AFTER_S:
            child.wait_s = RESTART_FIRST_S
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        if status == -signal.SIGSYS:
            how = "it asked the kernel for what it must never do, and was ended: a bug, or somebody has taken it over"
            child.wait_s = RESTART_MOST_S  # long enough for the owner to be told
        self.log.say(f"{child.name} ended ({how}); starting it again in {child.wait_s:g} s")
        child.again_s = time.monotonic() + child.wait_s
        child.wait_s = min(2 * child.wait_s, RESTART_MOST_S)
        return None

    def _reap(self, child: _Child) -> int:
        assert child.process is not None  # only living children are registered
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        status, child.process = child.process.wait(), None
        return status

    def __exit__(self, *_: object) -> None:
        """Stop the watcher, then the teller, then the broker; whoever does not end in time is killed."""
        until_s = time.monotonic() + STOP_MOST_S
        for child in reversed(self._children):
            if child.process is None:
                continue
            child.process.send_signal(signal.SIGTERM)
            most_s = SEE_STOP_MOST_S if child.name == "see" else until_s - time.monotonic()
            try:
                child.process.wait(max(0.0, most_s))
            except subprocess.TimeoutExpired:
                child.process.kill()
            self._reap(child)
        for link in self._links:
            link.close()
        for memory in self._memory:
            os.close(memory)
        self._selector.close()
        for child in self._children:
            if child.dog is not None:
                child.dog.close()
        if self._temporary is not None:
            self._temporary.cleanup()
        if self._terminal is not None:  # a `keep` that was killed has left it as it was
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._terminal)


def _sealed(text: str) -> int:
    """Return a file in memory that nobody can change any more, whoever inherits it; no disk sees it."""
    memory = os.memfd_create("doorstep.toml", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memory, text.encode())
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS,
                fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return memory


def run(config: Config) -> int:
    """Run the house until a signal, or until its recording is over; return its exit status."""
    with Stop() as stop, House(config, stop) as house:
        if config.broker.host == "":
            house.log.say(f"no broker configured: one for this machine only is at port {house.config.broker.port}")
        while True:
            status = house.step(60.0)
            if status is not None:
                return status
