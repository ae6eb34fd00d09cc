"""The real `see` process on the real picamera2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device import verify_proc
from device.messages import Receiver, SeeToTell, pair
from device.see.camera import SILENT_AFTER_S
from device.verify_checks import Verdict, judge
from tests.camera import watch
from tests.camera.virtualcam import Virtual
from tests.conftest import looks_inside
from tests.rig import environment, until
from tests.test_verify_checks import GOOD


class Seer:
    """`doorstep see`, and what it said."""

    def __init__(self, folder: Path) -> None:
        (folder / "doorstep.toml").write_text('[camera]\nsource = "auto"\ndevice = "/nonexistent"\nframes_per_s = 10\n')
        writer, self._reader = pair()
        self._receiver = Receiver(self._reader, SeeToTell)
        self.log = folder / "see.log"
        with writer, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", watch.__name__, "see", "--config", folder / "doorstep.toml",
                 "--tell-fd", str(writer.fileno()), "--parent", str(os.getpid())],
                pass_fds=[writer.fileno()], stdout=subprocess.PIPE, stderr=log,
                env=environment(**watch.ENVIRONMENT, PYTHONWARNINGS=watch.WARNINGS))

    def says(self, word: SeeToTell, most_s: float = 20.0) -> float:
        """Wait for the next such word; return for how long."""
        begun_s = time.monotonic()
        until(lambda: word in [received.message for received in self._receiver.receive()],
              lambda: f"{word!r}; it said: {self.log.read_text()}", most_s)
        return time.monotonic() - begun_s

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> tuple[int, Any]:
        """End it; return its exit status and the streams it ever configured."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=10)
        return self.process.returncode, json.loads(out)["configured"]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._reader.close()


@pytest.fixture
def seer(virtual: Virtual, tmp_path: Path) -> Iterator[Seer]:
    seer = Seer(tmp_path)
    yield seer
    seer.end()


@looks_inside
def test_a_visitor_is_told_and_so_is_a_camera_that_fails_and_comes_back(seer: Seer) -> None:
    """The one process with the camera, from the first frame to the last, as the owner's device runs it."""
    seer.says(SeeToTell.ALIVE)
    seer.says(SeeToTell.MOTION_STARTED)
    open_files = seer.descriptors()
    for _ in range(2):
        seer.process.send_signal(signal.SIGUSR1)
        assert seer.says(SeeToTell.CAMERA_LOST) < SILENT_AFTER_S + 1
        seer.process.send_signal(signal.SIGUSR2)
        seer.says(SeeToTell.ALIVE)
    seer.says(SeeToTell.MOTION_STARTED)
    assert seer.descriptors() <= open_files + 4  # picamera2's two selectors of each closing wait for the collector
    status, configured = seer.stop()
    assert status == 0, seer.log.read_text()
    assert configured == [[[160, 120]]] * 3
    log = seer.log.read_text()
    assert log.count("watching at 160 x 120") == 3, log
    assert "Traceback" not in log
    assert "Exception ignored" not in log


@looks_inside
def test_verify_finds_nothing_amiss_with_a_see_on_the_real_libcamera(tmp_path: Path) -> None:
    """A check that cries wolf on every real Pi would soon be run by nobody."""
    seer = Seer(tmp_path)
    try:
        seer.says(SeeToTell.ALIVE)
        seen = verify_proc.read(seer.process.pid)
        assert seen is not None
        facts = replace(GOOD, installed=False, processes={**GOOD.processes, "see": seen})
        assert [row.found for row in judge(facts) if row.verdict is not Verdict.HOLDS] == []
    finally:
        seer.end()
