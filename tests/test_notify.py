"""What a service manager hears: the watchdog is fed by frames and by loops, and the words are few."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import notify
from device.config import Config
from device.messages import KeepToSee, KeepToTell, Sender, pair
from device.notify import LINES, Manager
from device.see import process
from tests.keep_rig import Keep, owned
from tests.rig import Mosquitto, Teller, plain, until
from tests.test_see_camera_loss import LOST, Scripted, watch


class Ear:
    """The service manager's socket, and what was said to it."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.bind(str(path))

    def listen(self) -> list[str]:
        """All that was said so far, one text a datagram."""
        while True:
            try:
                self.heard.append(self._sock.recv(500).decode())
            except BlockingIOError:
                return self.heard

    def hears(self, text: str) -> None:
        """Wait until `text` stands in what is said from now on."""
        before = len(self.listen())
        until(lambda: any(text in said for said in self.listen()[before:]), lambda: f"{text}; heard {self.heard}")

    def heard_or_hears(self, text: str) -> None:
        """Wait until `text` stands in what was said, now or before."""
        until(lambda: any(text in said for said in self.listen()), lambda: f"{text}; heard {self.heard}")

    def lines(self) -> list[str]:
        """Each status, in order."""
        return re.findall(r"STATUS=(.*)", "\n".join(self.listen()))

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    ear = Ear(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield ear
    ear.close()


def test_without_a_service_manager_nothing_is_opened() -> None:
    """`doorstep run` and the demo have none."""
    before = list(Path("/proc/self/fd").iterdir())
    with Manager({}) as manager:
        manager.alive("watching")
        manager.say("no camera")
        assert list(Path("/proc/self/fd").iterdir()) == before


def test_what_could_not_be_said_is_said_again(tmp_path: Path) -> None:
    """A manager that is busy, or that starts anew, must not take a healthy process for a hung one."""
    ear = Ear(tmp_path / "notify")
    with Manager({"NOTIFY_SOCKET": str(tmp_path / "notify")}) as manager:
        for n in range(1000):  # until its socket is full, and beyond
            manager.alive(f"watching, {n % 500} frames/s")
        taken = len(ear.listen())
        assert taken < 1000
        manager.alive("watching")
        manager.alive("watching")
        assert ear.listen()[taken:] == ["READY=1\nWATCHDOG=1\nSTATUS=watching"]
    ear.close()


def test_see_feeds_the_watchdog_with_frames_and_not_while_there_is_no_camera(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """A see whose frames stop must be started afresh, however busily it tries to open its camera."""
    watch(monkeypatch, [Scripted(3, LOST), LOST, LOST, Scripted(3)])
    assert ear.listen() == ["READY=1\nWATCHDOG=1\nSTATUS=watching", "STATUS=no camera", "READY=1\nWATCHDOG=1\nSTATUS=watching"]


def test_see_feeds_the_watchdog_while_it_is_paused(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that is closed on purpose gives no frames, and there is nothing to be mended."""
    monkeypatch.setattr(process, "PAUSED_LOOK_S", 0.05)
    monkeypatch.setattr(notify, "EVERY_S", 0.01)
    (to_tell, tell), (keep, from_keep) = pair(), pair()

    def stop_when_fed() -> None:
        try:
            ear.heard_or_hears("STATUS=paused")
            ear.hears("WATCHDOG=1")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with to_tell, tell, keep, from_keep:
        Sender[KeepToSee](keep).send(KeepToSee.PAUSE)
        waiting = threading.Thread(target=stop_when_fed)
        waiting.start()
        with notify.Manager(os.environ) as manager:
            assert process.run(Config(), to_tell, manager=manager, from_keep=from_keep) == 0
        waiting.join()
    assert ear.lines() == ["paused"]


def test_tell_feeds_it_with_its_loop_and_says_how_long_ago_the_last_alert_was(ear: Ear, tmp_path: Path) -> None:
    """`doorstep status` shows it; the time of a visit it never shows."""
    with Mosquitto(tmp_path) as broker, Teller(tmp_path, plain(broker.port)) as teller:
        ear.heard_or_hears("STATUS=connected, no alert yet")
        ear.hears("WATCHDOG=1")
        teller.motion()
        ear.heard_or_hears("STATUS=connected, last alert just now")
        broker.stop()
        ear.heard_or_hears("STATUS=not connected, last alert")
    assert all(re.fullmatch(LINES["tell"], line) for line in ear.lines()), ear.lines()


def test_keep_feeds_it_with_its_loop_and_says_what_the_gate_does(ear: Ear, tmp_path: Path) -> None:
    """How much room there is, is for `doorstep status`; the folder itself is nobody else's."""
    with Keep(tmp_path, owned()) as keep:
        ear.heard_or_hears("STATUS=ready, 0 clips, room for 5 more")
        ear.hears("WATCHDOG=1")
        keep.record(b"x" * 1000)
        ear.heard_or_hears("STATUS=recording")
        keep.finger.hold()
        keep.hears(KeepToTell.PAUSED)
        ear.heard_or_hears("STATUS=paused")
    assert all(re.fullmatch(LINES["keep"], line) for line in ear.lines()), ear.lines()
