"""The Pi's camera when it fails: said in time and in words, and nothing left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from device.errors import CameraError
from device.see import picamera
from device.see.picamera import PiCamera
from device.see.process import CLOSE_MOST_S
from tests.camera import watch
from tests.camera.virtualcam import Virtual
from tests.rig import environment

Opened = Callable[..., PiCamera]
CYCLES = 50
LEAK_KIB = 20  # a cycle; the three buffers of the watching stream are 101


def hang(virtual: Virtual, _camera: PiCamera) -> None:
    virtual.hangs = True


def end_event_loop(_virtual: Virtual, camera: PiCamera) -> None:
    camera._camera.pre_callback = lambda _: 1 / 0


def silence(camera: PiCamera) -> None:
    """Look at frames for as long as they come."""
    with pytest.raises(CameraError, match=r"^no frame for 0\.2 s$") as raised:
        for _ in camera.frames():
            pass
    assert "rpicam-hello" in raised.value.hint


@pytest.mark.parametrize("fail", [
    hang, pytest.param(end_event_loop, marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")),
])
def test_a_camera_that_falls_silent_is_an_error_and_can_be_opened_again(
        virtual: Virtual, opened: Opened, monkeypatch: pytest.MonkeyPatch,
        fail: Callable[[Virtual, PiCamera], None]) -> None:
    """A camera that hangs would otherwise look like a quiet street, for ever."""
    monkeypatch.setattr(picamera, "SILENT_AFTER_S", 0.2)
    camera = opened()
    next(islice(camera.frames(), 1))
    begun_s = time.monotonic()
    fail(virtual, camera)
    silence(camera)
    assert time.monotonic() - begun_s < 0.2 + 1
    closer = threading.Thread(target=camera.close, daemon=True)
    closer.start()
    closer.join(CLOSE_MOST_S)
    assert not closer.is_alive()
    virtual.hangs = False
    assert next(islice(opened().frames(), 1)).luma.shape == (120, 160)


def test_a_camera_in_use_is_an_error_that_says_so(opened: Opened) -> None:
    """The owner left another program running: the words must lead there, not to the ribbon alone."""
    opened()
    with pytest.raises(CameraError, match="resource busy") as raised:
        opened()
    assert "no other program" in raised.value.hint


@pytest.mark.parametrize("source", ["picamera2", "auto"])
def test_no_camera_is_an_error_with_a_hint(virtual: Virtual, tmp_path: Path, source: str) -> None:
    """The first thing that goes wrong on a new device is a ribbon that is not seated."""
    file = tmp_path / "doorstep.toml"
    file.write_text(f'[camera]\nsource = "{source}"\ndevice = "/nonexistent"\n')
    ended = subprocess.run(
        [sys.executable, "-m", watch.__name__, "see", "--config", file], capture_output=True, text=True, timeout=60, check=False,
        env=environment(**watch.ENVIRONMENT, PYTHONWARNINGS=watch.WARNINGS, LIBCAMERA_PIPELINES_MATCH_LIST="simple"))
    assert ended.returncode == 2, ended.stderr
    assert "doorstep: error: no camera found" in ended.stderr
    assert "doorstep: hint: is the ribbon seated" in ended.stderr
    assert "Traceback" not in ended.stderr


def closed(virtual: Virtual) -> None:
    camera = PiCamera(30.0)
    next(islice(camera.frames(), 1))
    camera.close()
    camera.close()


def hung(virtual: Virtual) -> None:
    camera = PiCamera(30.0)
    virtual.hangs = True
    silence(camera)
    virtual.hangs = False
    camera.close()


def refused(virtual: Virtual) -> None:
    with pytest.raises(CameraError):
        PiCamera(30.0)


@pytest.mark.parametrize("cycle", [closed, hung, refused])
def test_opening_again_and_again_leaves_nothing_behind(virtual: Virtual, opened: Opened, monkeypatch: pytest.MonkeyPatch,
                                                       cycle: Callable[[Virtual], None]) -> None:
    """A camera that fails each minute of a night is opened 500 times; 1024 descriptors are all a process has."""
    monkeypatch.setattr(picamera, "SILENT_AFTER_S", 0.2)
    if cycle is refused:
        opened()
    for _ in range(5):  # until caches are warm
        cycle(virtual)
    before = left()
    for _ in range(CYCLES):
        cycle(virtual)
    after = left()
    assert after[:2] == before[:2]
    assert after[2] - before[2] < LEAK_KIB * CYCLES


def left() -> tuple[int, int, int]:
    """Descriptors, threads and memory (KiB) of this process."""
    gc.collect()  # picamera2 leaves its two selectors to it
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return descriptors, threading.active_count(), pages * os.sysconf("SC_PAGESIZE") // 1024
