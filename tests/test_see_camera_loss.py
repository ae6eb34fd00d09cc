"""A camera that fails: told at once, reopened with back-off, given up to a restart only when it cannot be closed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from device.config import Config
from device.errors import CameraError
from device.messages import Receiver, SeeToTell, pair
from device.notify import Manager
from device.see import process
from device.see.frame import Frame


class Scripted:
    """A camera that gives some frames and then ends as told: an error, or for good."""

    def __init__(self, frames: int, error: CameraError | None = None, *, hangs: bool = False) -> None:
        self.count, self.error, self.hangs, self.closed = frames, error, hangs, 0

    def frames(self) -> Iterator[Frame]:
        for n in range(self.count):
            yield Frame(np.full((120, 160), 90, np.uint8), n / 10)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1
        if self.hangs:
            threading.Event().wait(30)


LOST = CameraError("no frame for 5 s", "try another cable")


def watch(monkeypatch: pytest.MonkeyPatch, script: list[Scripted | CameraError]) -> tuple[int, list[SeeToTell]]:
    """Run `see` over the script, opening by opening; return its exit status and what it said."""
    left = iter(script)

    def opening(_settings: object) -> Scripted:
        camera = next(left)
        if isinstance(camera, CameraError):
            raise camera
        return camera

    monkeypatch.setattr(process, "open_camera", opening)
    monkeypatch.setattr(process, "REOPEN_FIRST_S", 0.01)
    monkeypatch.setattr(process, "CLOSE_MOST_S", 0.2)
    writer, reader = pair()
    with writer, reader, Manager(os.environ) as manager:
        receiver = Receiver(reader, SeeToTell)
        status = process.run(Config(), writer, manager=manager)
        return status, [received.message for received in receiver.receive()]


def test_a_lost_camera_is_told_and_opened_again(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Once per failure to the owner, once per reason to the log."""
    cameras = [Scripted(3, LOST), LOST, LOST, Scripted(3)]
    status, said = watch(monkeypatch, cameras)
    assert status == 0
    assert [word for word in said if word is SeeToTell.CAMERA_LOST] == [SeeToTell.CAMERA_LOST] * 3
    assert said[0] is SeeToTell.ALIVE
    log = capfd.readouterr().err
    assert log.count("no frame for 5 s; trying again (try another cable)") == 1
    assert log.count("watching at 160 x 120") == 2
    assert [camera.closed for camera in cameras if isinstance(camera, Scripted)] == [1, 1]


def test_a_camera_that_cannot_be_closed_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung driver keeps its device; only the end of the process frees it, and the supervisor starts another."""
    status, said = watch(monkeypatch, [Scripted(3, LOST, hangs=True)])
    assert status == 1
    assert SeeToTell.CAMERA_LOST in said


def test_a_first_opening_that_fails_is_an_error_not_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo in the configuration must not look like a camera that may come back."""
    with pytest.raises(CameraError):
        watch(monkeypatch, [LOST])
