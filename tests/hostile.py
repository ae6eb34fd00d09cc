"""Hostile code inside a confined process, as whoever has taken it over would run it.

As a program it is the command line; once the process is confined, a thread runs whatever the test sends.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from device.messages import pair
from tests.rig import environment

# What the hostile code has at hand; it imports nothing, since a file it cannot read would stop it too early.
REFUSALS = ("EPERM", "EACCES", "ENOSYS")  # any other error is of somebody who looked at what was asked for
TOOLS: dict[str, Any] = {"ctypes": ctypes, "fcntl": fcntl, "mmap": mmap, "os": os, "resource": resource, "signal": signal,
                         "socket": socket, "subprocess": subprocess, "Path": Path, "libc": ctypes.CDLL(None, use_errno=True)}


@dataclass(slots=True)
class Taken:
    """`see`, `tell` or `keep` as the house starts it, taken over. `links` are the test's ends of its links, by option."""

    folder: Path
    role: str
    toml: str
    leaks: tuple[int, ...] = ()  # descriptors that it is started with for no reason
    process: subprocess.Popen[bytes] = field(init=False)
    links: dict[str, socket.socket] = field(default_factory=dict)
    fds: dict[str, int] = field(default_factory=dict)  # the numbers of its own ends
    _talk: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        (self.folder / "doorstep.toml").write_text(self.toml)
        self._talk, talk = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given: dict[str, socket.socket] = {}
        for option in {"see": ("tell-fd",), "tell": (), "keep": ("tell-fd", "see-fd")}[self.role]:
            given[option], self.links[option] = pair()
        if self.role == "tell":
            self.links["events-fd"], given["events-fd"] = pair()
        if self.role == "keep":
            given["video-fd"] = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            (self.folder / "video.sock").unlink(missing_ok=True)
            given["video-fd"].bind(str(self.folder / "video.sock"))
            given["video-fd"].listen()
        self.fds = {name: end.fileno() for name, end in given.items()}
        words = [word for name, end in given.items() for word in (f"--{name}", str(end.fileno()))]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile", self.role, "--config", str(self.folder / "doorstep.toml"),
             "--parent", str(os.getpid()), *words],
            pass_fds=[talk.fileno(), *self.leaks, *(end.fileno() for end in given.values())], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(HOSTILE=str(talk.fileno())))
        for end in (talk, *given.values()):
            end.close()
        return self

    def runs(self, code: str) -> str:
        """Have it run `code`; return "worked: ...", "refused: ..." or "killed"."""
        self._talk.settimeout(30)
        try:
            self._talk.send(code.encode())
            answer = self._talk.recv(100_000).decode()
        except ConnectionError:
            answer = ""
        if answer:
            return answer
        status = self.process.wait(30)
        assert self.process.stderr is not None
        assert status == -signal.SIGSYS, (status, self.process.stderr.read().decode())
        return "killed"

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        for end in (self._talk, *self.links.values()):
            end.close()


def _obey(talk: socket.socket) -> None:
    while code := talk.recv(100_000):
        _do(code, talk)


def _do(code: bytes, talk: socket.socket) -> None:
    space = dict(TOOLS)
    try:
        exec(code, space)
        answer = f"worked: {space.get('found')}"
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, str(error))
        answer = f"refused: {name}" if name in REFUSALS else f"worked, up to {name}"
    except Exception as error:  # noqa: BLE001 - the test shall hear of it
        answer = f"broken: {error!r}"
    talk.send(answer.encode())


def unconfined() -> None:
    """Run what the test sends, of each a child, with nothing given up: an attempt that fails here too shows nothing."""
    talk = socket.socket(fileno=int(os.environ["HOSTILE"]))
    while code := talk.recv(100_000):
        child = os.fork()
        if child == 0:
            _do(code, talk)
            os._exit(0)
        os.waitpid(child, 0)


def main() -> int:
    from device import cli, sandbox
    from device.sandbox_calls import Role

    talk, shut = socket.socket(fileno=int(os.environ["HOSTILE"])), sandbox.shut
    os.set_inheritable(talk.fileno(), False)  # as of a thing that the process has opened itself

    def shut_and_obey(role: Role) -> None:
        shut(role)
        threading.Thread(target=_obey, args=(talk,), daemon=True).start()

    sandbox.shut = shut_and_obey
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
