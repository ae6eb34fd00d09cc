"""The watchdog of the house: what hangs is ended, what lives or was stopped with the house is not.

As a program it is a child of the house that does nothing but to say that it lives; those named in MUTE say so once.
"""

from __future__ import annotations

import configparser
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import watchdog
from device.config import Broker, Config
from device.notify import Manager
from device.run import House
from device.stopping import Stop
from device.watchdog import SILENT_MOST_S, START_MOST_S, Watchdog

UNITS = Path(__file__).parent.parent / "deploy" / "systemd"
SHORT_S = 2.0  # in the place of half a minute; a child that lives says so forty times in it


@pytest.fixture
def dog(tmp_path: Path) -> Iterator[Watchdog]:
    dog = Watchdog("tell", tmp_path / "tell.notify")
    yield dog
    dog.close()


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house of children that only live."""
    monkeypatch.setattr(watchdog, "SILENT_MOST_S", dict.fromkeys(SILENT_MOST_S, SHORT_S))
    monkeypatch.setattr(House, "modules", dict.fromkeys(SILENT_MOST_S, "tests.test_watchdog"))
    monkeypatch.setenv("MUTE", "see")
    with Stop() as stop, House(Config(broker=Broker(host="127.0.0.1", tls=False)), stop) as house:
        yield house


def step_until_ended(house: House, name: str, times: int) -> None:
    """Let the house go on until it has ended the child `name` so often and started it again."""
    seen, end_s = [house.pid(name)], time.monotonic() + 60
    while len(seen) <= times:
        assert time.monotonic() < end_s, f"{name} was {seen}"
        assert house.step(0.2) is None
        pid = house.pid(name)
        if pid not in (None, seen[-1]):
            seen.append(pid)


@pytest.mark.parametrize("name", SILENT_MOST_S)
def test_the_house_waits_as_long_as_systemd_would(name: str) -> None:
    """What is told by hand, and in the tests, is then told on the device."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # the names are systemd's as they are
    unit.read(UNITS / f"doorstep-{name}.service")
    assert unit["Service"]["WatchdogSec"] == f"{SILENT_MOST_S[name]:g}"
    assert unit["Service"]["TimeoutStartSec"] == f"{START_MOST_S:g}"


def test_a_child_that_falls_silent_is_ended_and_started_again_and_one_that_lives_is_left_alone(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    """A hang shows in nothing but silence; and a watchdog that ends what lives would be the fault itself."""
    before = {name: house.pid(name) for name in ("tell", "keep")}
    step_until_ended(house, "see", 2)
    assert {name: house.pid(name) for name in before} == before
    assert capfd.readouterr().err.count("see gives no sign of life; ending it") == 2


def test_a_child_that_never_says_that_it_is_up_is_ended_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera whose driver hangs hangs at the start."""
    monkeypatch.setattr(watchdog, "START_MOST_S", SHORT_S)
    monkeypatch.setenv("MUTE", "see dumb")
    step_until_ended(house, "see", 2)  # the first had its say


def test_a_house_that_was_stopped_with_all_in_it_ends_nobody(house: House) -> None:
    """A laptop that slept for a night, or a container that was frozen, has no process that hangs."""
    step_until_ended(house, "see", 1)  # the others are up, and say so
    before = {name: house.pid(name) for name in ("tell", "keep")}
    living = [pid for pid in before.values() if pid is not None]
    for pid in living:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SHORT_S + 1)  # nor does the house take a step
    assert house.step(0.0) is None  # it wakes up first
    for pid in living:
        os.kill(pid, signal.SIGCONT)
    end_s = time.monotonic() + SHORT_S + 1
    while time.monotonic() < end_s:
        assert house.step(0.2) is None
    assert {name: house.pid(name) for name in before} == before


def test_only_a_sign_of_life_puts_the_end_off(dog: Watchdog) -> None:
    """A `see` that says that it has no camera is alive in a way that helps nobody."""
    dog.start()
    started_s = dog.due_s
    assert started_s > time.monotonic() + START_MOST_S - 20
    with Manager({"NOTIFY_SOCKET": str(dog.path)}) as manager:
        manager.say("no camera")
        dog.hear()
        assert dog.due_s == started_s
        manager.alive("watching")
        dog.hear()
    assert dog.due_s < time.monotonic() + SILENT_MOST_S["tell"] + 1
    dog.start()
    assert dog.due_s >= started_s, "a child that was started again has its time to start again"


def test_no_bytes_are_a_sign_of_life_but_the_one_line(dog: Watchdog) -> None:
    """Whoever has taken a process must not break the house with what it sends."""
    dog.start()
    began_s = dog.due_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(dog.path))
        for data in (b"", b"\n", b"WATCHDOG=10", b"XWATCHDOG=1", os.urandom(9000), b"\0" * 300):
            sender.send(data)
    dog.hear()
    assert dog.due_s == began_s
    assert len("READY=1\nWATCHDOG=1\nSTATUS=" + "x" * 100) <= watchdog._LINE_MOST_BYTES


def _live() -> None:
    mute = os.environ["MUTE"].split()
    with Manager(os.environ) as manager:
        if "dumb" not in mute:
            manager.alive("up")
        while True:
            time.sleep(SHORT_S / 40)
            if sys.argv[1] not in mute:
                manager.alive(f"{time.monotonic()}")  # news each time, so it is said each time


if __name__ == "__main__":
    _live()
