"""A broker as `doorstep broker` makes it, run by a real Mosquitto on loopback, and clients that nobody here wrote."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from device.cli import main
from tests.rig import free_port, until


@dataclass(slots=True)
class House:
    """`with House(folder, memory) as house:` a broker that runs; `house.do("phone", "add", "anna")`."""

    folder: Path
    memory: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        return self.folder / "broker"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "mosquitto.log"

    def setup(self, *more: str) -> int:
        """The one command, for loopback."""
        return main(["broker", "setup", "--dir", str(self.root), "--host", "localhost", "--host", "127.0.0.1", "--bind",
                     "127.0.0.1", "--port", str(self.port), "--memory", str(self.memory), "--user", getpass.getuser(),
                     *more])

    def do(self, *words: str, status: int = 0) -> None:
        assert main(["broker", *words, "--dir", str(self.root)]) == status

    def __enter__(self) -> Self:
        assert self.setup() == 0
        self.do("device", "add", "front-door")
        self.start()
        return self

    def start(self, ahead: str = "+0") -> None:
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        assert program, "mosquitto is missing; `make test` installs it"
        self.set_clock(ahead)
        faked = {"LD_PRELOAD": str(libfaketime()), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(self.root / "mosquitto.conf")], stdout=log, stderr=log,
                                             env={**os.environ, **faked})
        until(self._answers, lambda: f"mosquitto to listen: {self.log.read_text()}")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def clock(self) -> Path:
        return self.folder / "clock"

    def set_clock(self, ahead: str) -> None:
        """Put Mosquitto's clock on, such as by "+25h", while it runs."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(ahead + "\n")
        fresh.replace(self.clock)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.stop()

    def papers(self, where: str) -> dict[str, Any]:
        """What a pairing gave: `phones/anna`, `home-assistant`."""
        return tomllib.loads((self.root / where / "settings.toml").read_text())

    def door(self, door: str = "front-door") -> list[str]:
        """The words for mosquitto_pub to come as a door."""
        password = (self.root / "devices" / door / "password").read_text().strip()
        return as_user(self, f"doorstep-{door}", password)

    def say(self, leaf: str, words: str, *more: str, door: str = "front-door") -> None:
        """Publish as the door does: acknowledged, and an alert lives for an hour."""
        publish([*self.door(door), "-t", f"doorstep/{door}/{leaf}", "-m", words, *more])


def libfaketime() -> Path:
    found = list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    assert found, "libfaketime is missing; `make test` installs it"
    return found[0]


def as_user(house: House, user: str, password: str) -> list[str]:
    return ["-h", "localhost", "-p", str(house.port), "--cafile", str(house.root / "ca.crt"), "-u", user, "-P", password,
            "-i", f"{user}-whatever", "-V", "5", "-q", "1"]


def as_phone(house: House, name: str = "anna") -> list[str]:
    """The words for mosquitto_sub to come as a phone, from its papers alone; -c is clean session off."""
    got = house.papers(f"phones/{name}")
    return ["-h", got["host"], "-p", str(got["port"]), "--cafile", str(house.root / "phones" / name / got["ca_file"]),
            "-u", got["user"], "-P", got["password"], "-i", got["client_id"], "-k", str(got["keepalive_s"]),
            "-q", str(got["qos"]), *(["-c"] if not got["clean_session"] else [])]


def topics(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("-t", name)]


def publish(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run mosquitto_pub; it fails where the broker does not take what it says."""
    return subprocess.run(["mosquitto_pub", *words], capture_output=True, text=True, check=False, timeout=30)


@dataclass(slots=True)
class Subscriber:
    """mosquitto_sub: `with Subscriber(words) as sub:`; `sub.got` holds what it printed, a line a message."""

    words: Sequence[str]
    out: Path
    format: str = "%t %r %p"
    _process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        self.out.write_text("")
        with self.out.open("ab") as out:
            self._process = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", *self.words, "-F", f"> {self.format}"], stdout=out,
                                             stderr=out)
        try:
            until(lambda: "SUBACK" in self.said or self._process.poll() is not None, lambda: self.said)
        except AssertionError:
            self.__exit__()
            raise
        return self

    @property
    def said(self) -> str:
        return self.out.read_text()

    @property
    def got(self) -> list[str]:
        return [line[2:] for line in self.said.splitlines() if line.startswith("> ")]

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # as a phone that loses its network
        self._process.wait(10)
