"""The keeper's loop by itself, with a clock of the test's own: hours in seconds."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from device.config import Config, Recording
from device.keep import process
from device.keep.gate import Gate, Light
from device.keep.panel import Touch
from device.keep.process import Keeper, Links
from device.keep.recorder import Recorder
from device.keep.statement import Ended
from device.log import Log
from device.messages import KeepToSee, KeepToTell, Receiver, Sender, pair
from tests.rig import until

OWNER = pyrage.x25519.Identity.generate()


class Untouched:
    """A panel that nobody touches, and whose light does what it is told."""

    def __init__(self) -> None:
        self._ends = socket.socketpair()
        self.trouble, self.is_gone = "", False
        self.shown: set[Light] = set()

    def fileno(self) -> int:
        return self._ends[0].fileno()

    def touches(self) -> Iterator[Touch]:
        return iter(())

    def show(self, light: Light) -> bool:
        self.shown.add(light)
        return True

    def close(self) -> None:
        for end in self._ends:
            end.close()


def test_inv_button_opens_the_gate_not_ten_hours_of_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten hours, second by second, with video that comes unasked at any time: not one byte is kept, no light, no START."""
    clock_s = 1000.0
    monkeypatch.setattr(process.time, "monotonic", lambda: clock_s)
    (to_tell, tell), (to_see, see) = pair(), pair()
    settings = Config(recording=Recording(recipients=(str(OWNER.to_public()),), folder=str(tmp_path / "state")))
    panel, rng = Untouched(), random.Random(3)
    address = str(tmp_path / "video.sock")
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        keeper = Keeper(settings, Links(Sender(to_tell), Sender(to_see), listener), panel, selector, Log("keep"))
        before = {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()}
        said: set[KeepToTell] = set()
        asked: set[KeepToSee] = set()
        heard, ordered = Receiver(tell, KeepToTell), Receiver(see, KeepToSee)
        videos: list[socket.socket] = []
        for _ in range(36_000):
            clock_s += 1.0
            if rng.random() < 0.05:
                videos.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                videos[-1].connect(address)
                videos[-1].send(os.urandom(rng.randrange(1, 4096)))
            keeper.step()
            said |= {received.message for received in heard.receive()}
            asked |= {received.message for received in ordered.receive()}
            assert keeper.gate is Gate.CLOSED
            if len(videos) > 50:
                videos.pop(0).close()
        keeper.close()
        for end in (*videos, to_tell, tell, to_see, see):
            end.close()
    panel.close()
    assert {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()} == before
    assert said == {KeepToTell.ALIVE}
    assert asked == {KeepToSee.RESUME}
    assert panel.shown == {Light.OFF}


def test_a_connection_from_before_the_press_is_not_read(tmp_path: Path) -> None:
    """What a taken `see` has ready is not what the finger asked for."""
    address = str(tmp_path / "video.sock")
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        settings = Recording(recipients=(str(OWNER.to_public()),))
        with contextlib.closing(Recorder(settings, tmp_path / "state", listener, selector, lambda: None, lambda _: None)) as recorder:
            recorder.check(make_room=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as early, \
                    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as wanted:
                early.connect(address)
                early.send(b"from before the press")
                recorder.expect()
                wanted.connect(address)
                wanted.send(b"from after it")
                assert recorder.step() is None
                with pytest.raises(ConnectionResetError):  # closed with all of it unread
                    early.recv(1)
            until(lambda: recorder.step() == "", "the stream to end")
            assert recorder.finish(Ended.BUTTON) == ""
    sealed = next((tmp_path / "state" / "clips").glob("*.age")).read_bytes()
    assert pyrage.decrypt(sealed, [OWNER]) == b"from after it"
