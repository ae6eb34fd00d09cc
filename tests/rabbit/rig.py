"""RabbitMQ with its MQTT plugin, where tests/rabbit/setup.sh has put it: one node, or a few that are one broker.

Rule 1: loopback only: MQTT, Erlang's distribution, and a port mapper (epmd) of our own.
Rule 2: what lies in a node's folder is in memory; what was started is stopped, by its process id.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from paho.mqtt import publish

from tests.rig import answers, free_port, until

BOOT_MOST_S = 120.0  # six seconds on an idle machine
RABBIT = "RABBIT"  # names setup.sh's folder


@dataclass(slots=True)
class Ports:
    """epmd: tells Erlang's nodes where each other are; one for all of a test."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([program("epmd"), "-port", str(self.port), "-address", "127.0.0.1"], stderr=subprocess.DEVNULL)
        until(lambda: answers(self.port), "epmd to listen")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)


@dataclass(slots=True)
class Rabbit:
    """A node that can be stopped and started again on the same port, as tests.rig.Mosquitto; it has no MQTT 5."""

    ports: Ports
    name: str = "rabbit"
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    lines: Sequence[str] = ()  # more of rabbitmq.conf
    speaks_5: bool = False
    process: subprocess.Popen[bytes] | None = None
    _between: int = field(default_factory=free_port)  # nodes talk there

    @property
    def folder(self) -> Path:
        return self.ports.folder / self.name

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def node(self) -> str:
        return f"{self.name}@localhost"

    def __enter__(self) -> Self:
        self.folder.mkdir()
        (self.folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        (self.folder / "rabbitmq.conf").write_text("\n".join((
            "listeners.tcp = none", f"mqtt.listeners.tcp.1 = {self.host}:{self.port}",
            "mqtt.retained_message_store = rabbit_mqtt_retained_msg_store_ets",
            "mqtt.prefetch = 1",  # alerts arrive in order
            *self.lines)) + "\n")
        self.start()
        return self

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": f"{Path(program('erl')).parent}:{os.environ['PATH']}", "HOME": str(self.ports.folder),
            "ERL_EPMD_PORT": str(self.ports.port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node, "RABBITMQ_DIST_PORT": str(self._between),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOGS": "-", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RUNNING_UNDER_SYSTEMD": "true",  # the process we start becomes the node, with no shell before it
        }

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([program("rabbitmq-server")], stdout=log, stderr=log, cwd=self.folder,
                                            env=self._environment())
        until(self._answers, lambda: f"RabbitMQ to listen: {self.log.read_text()}", BOOT_MOST_S)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return answers(self.port, self.host)

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl against this node."""
        return subprocess.run([program("rabbitmqctl"), "-q", *words], env=self._environment(), check=True, timeout=BOOT_MOST_S,
                              stdout=subprocess.PIPE, text=True).stdout

    def forget(self, *topics: str) -> None:
        """Let nothing be remembered there."""
        publish.multiple([{"topic": topic, "payload": "", "qos": 1, "retain": True} for topic in topics], self.host, self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """As when its power goes."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()


def program(name: str) -> str:
    found = [path for folder in ("erlang/bin", "rabbitmq/lib/*/sbin")
             for path in Path(os.environ[RABBIT]).absolute().joinpath("root/usr/lib").glob(f"{folder}/{name}")]
    assert found, f"{name} is missing; `make test-rabbit` puts it into {os.environ[RABBIT]}"
    return str(found[0])
