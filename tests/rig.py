"""Real parts for tests: a real Mosquitto, a subscriber, and the product's own processes.

Rule 1: loopback only, and what a test started it stops, by its process id.
Rule 2: waiting is for something to happen, with a limit; never for time to pass alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.names import RIGHTS, Role
from device.messages import KeepToTell, SeeToTell, Sender, pair

PATIENCE_S = 20.0  # an idle machine needs a tenth; a busy one must not make a test lie

TOPICS = [topic.format(door="front-door") for access, topic in RIGHTS[Role.DEVICE] if access == "write"]


def until(true: Callable[[], object], what: str | Callable[[], str], most_s: float = PATIENCE_S) -> None:
    """Wait until `true()`; fail with `what` was missing, in words or made into words only then."""
    end_s = time.monotonic() + most_s
    while not true():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {most_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


class Mosquitto:
    """A real broker on loopback that can be stopped and started again on the same port."""

    speaks_5 = True

    def __init__(self, folder: Path, *lines: str, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.config = folder / f"mosquitto-{self.port}.conf"
        user = "root" if os.getuid() == 0 else ""
        text = [f"listener {self.port} {host}", "persistence true",
                f"persistence_location {folder}/", *([f"user {user}"] if user else []), *lines]
        if not any(line.startswith("allow_anonymous") for line in lines):
            text.append("allow_anonymous true")
        self.config.write_text("\n".join(text) + "\n")
        self.log = folder / f"mosquitto-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        assert program, "mosquitto is missing; `make test` installs it"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(self.config)], stdout=log, stderr=log)
        until(self._answers, f"mosquitto to listen; see {self.log}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return answers(self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Got:
    """One message as a subscriber received it."""

    topic: str
    payload: str
    qos: int
    retain: bool
    expiry_s: int | None
    at_s: float

    @property
    def leaf(self) -> str:
        return self.topic.rsplit("/", 1)[-1]


@dataclass(slots=True)
class Phone:
    """A subscriber with a persistent session, as the documents tell a phone to be."""

    port: int
    topics: tuple[str, ...] = ("doorstep/#", "homeassistant/#")
    speaks_5: bool = True  # whether the broker does
    got: list[Got] = field(default_factory=list)
    client: mqtt.Client = field(init=False)
    _ready: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        protocol = MQTTProtocolVersion.MQTTv5 if self.speaks_5 else MQTTProtocolVersion.MQTTv311
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"phone-{uuid.uuid4().hex[:8]}", protocol=protocol,
                                  clean_session=None if self.speaks_5 else False)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's is not annotated
        session.SessionExpiryInterval = 3600
        self.client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in self.topics])
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._take
        self.client.reconnect_delay_set(1, 1)
        if self.speaks_5:
            self.client.connect("127.0.0.1", self.port, clean_start=False, properties=session)
        else:
            self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        expiry_s = getattr(message.properties, "MessageExpiryInterval", None)
        self.got.append(Got(message.topic, message.payload.decode(errors="replace"), message.qos, message.retain, expiry_s,
                            time.monotonic()))

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.client = None  # type: ignore[assignment]  # paho closes its wake-up sockets when it is collected

    def latecomer(self) -> Phone:
        """A phone that comes only now. RabbitMQ gives what it remembers only to who asks for it by name."""
        return Phone(self.port, (*self.topics, *TOPICS), self.speaks_5)

    def said(self, leaf: str) -> list[str]:
        """All payloads on the topic that ends in `leaf`, oldest first."""
        return [got.payload for got in self.got if got.leaf == leaf]

    def wait(self, leaf: str, payload: str, most_s: float = PATIENCE_S) -> None:
        until(lambda: payload in self.said(leaf), lambda: f"{leaf} {payload!r}; got {self.got}", most_s)


@dataclass(slots=True)
class Teller:
    """The real `doorstep tell` at the end of real links; the test is its `see`, alive while `beating`.

    button: the test is its `keep` too, which says `life` while it is not None.
    """

    folder: Path
    toml: str
    process: subprocess.Popen[bytes] | None = None
    button: bool = False
    sender: Sender[SeeToTell] = field(init=False)
    keep: Sender[KeepToTell] = field(init=False)
    beating: bool = True
    life: KeepToTell | None = KeepToTell.ALIVE
    _writer: socket.socket = field(init=False)
    _reader: socket.socket = field(init=False)
    _keep_writer: socket.socket = field(init=False)
    _keep_reader: socket.socket = field(init=False)
    _heart: threading.Thread = field(init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock)  # no stale sign of life after a word
    _over: bool = False

    def __enter__(self) -> Self:
        (self.folder / "doorstep.toml").write_text(self.toml)
        self._writer, self._reader = pair()
        self._keep_writer, self._keep_reader = pair()
        self.sender, self.keep = Sender(self._writer), Sender(self._keep_writer)
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()
        self.start()
        return self

    def _beat(self) -> None:
        while not self._over:
            with self._turn:
                if self.beating:
                    self.sender.send_alive(SeeToTell.ALIVE)
                if self.button and self.life is not None:
                    self.keep.send_alive(self.life)
            time.sleep(0.5)

    def fall_silent(self) -> None:
        """Let `see` say no more of itself."""
        with self._turn:
            self.beating = False

    def press(self, word: KeepToTell, life: KeepToTell | None) -> None:
        """Let `keep` say `word`, and from then on `life`."""
        with self._turn:
            self.life = life
            assert self.keep.send(word)

    def start(self) -> None:
        links = {"--events-fd": self._reader.fileno()} | ({"--keep-fd": self._keep_reader.fileno()} if self.button else {})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "device", "tell", "--config", str(self.folder / "doorstep.toml"),
                 *(str(word) for option in links.items() for word in option), "--parent", str(os.getpid())],
                pass_fds=list(links.values()), stderr=log, env=environment(),
            )

    @property
    def log(self) -> Path:
        return self.folder / "tell.log"

    def says(self, text: str) -> None:
        """Wait until `text` stands in what it said."""
        until(lambda: text in self.log.read_text(), lambda: f"{text!r}; it said: {self.log.read_text()}")

    def raw(self, datagram: bytes) -> None:
        """Send whatever a taken `see` might."""
        self._writer.send(datagram)

    def raw_keep(self, datagram: bytes) -> None:
        """Send whatever a taken `keep` might."""
        self._keep_writer.send(datagram)

    def motion(self) -> None:
        """One visitor."""
        assert self.sender.send(SeeToTell.MOTION_STARTED)
        assert self.sender.send(SeeToTell.MOTION_ENDED)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.kill()
        self._over = True
        self._heart.join()
        for end in (self._writer, self._reader, self._keep_writer, self._keep_reader):
            end.close()


def environment(**more: str) -> dict[str, str]:
    """The environment for the product's processes: ours, and warnings are errors there too."""
    return {**os.environ, "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1", **more}


def doorstep(*arguments: str | Path, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command line to its end."""
    return subprocess.run([sys.executable, "-m", "device", *map(str, arguments)], capture_output=True, text=True,
                          timeout=seconds, env=environment(**more), check=False)


def plain(port: int, *lines: str) -> str:
    """A doorstep.toml for a broker on loopback; `lines` are further tables."""
    return f'[broker]\nhost = "127.0.0.1"\nport = {port}\ntls = false\n' + "\n".join(lines) + "\n"
