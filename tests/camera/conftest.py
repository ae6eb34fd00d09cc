"""Fixtures: the virtual camera, and the product's camera source on it. Skipped, with the reason, where it is not set up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.see.picamera import PiCamera
from tests.camera import virtualcam
from tests.camera.virtualcam import Virtual

SET_UP = (Path(sys.prefix) / "virtual-camera").exists()  # by setup.sh; a real Pi has libcamera, but not this camera

# picamera2 starts its event loop with Thread.setDaemon(), deprecated in Python 3.10, still there in 3.13.
PICAMERA2S_OWN = r"ignore:setDaemon\(\) is deprecated:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(PICAMERA2S_OWN))
            if not SET_UP:
                item.add_marker(pytest.mark.skip(reason="no virtual camera in this Python; try: make test-camera"))


@pytest.fixture(scope="session")
def installed() -> Iterator[Virtual]:
    """The stand-ins, put in place once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in virtualcam.ENVIRONMENT.items():  # libcamera reads it at each opening
            patch.setenv(name, value)
        yield virtualcam.install()


@pytest.fixture
def virtual(installed: Virtual) -> Virtual:
    """The virtual camera as new."""
    installed.reset()
    return installed


@pytest.fixture
def opened(virtual: Virtual) -> Iterator[Callable[..., PiCamera]]:
    """PiCamera, for as many as a test wants; each is closed in the end."""
    cameras: list[PiCamera] = []

    def opened(frames_per_s: float = 10.0) -> PiCamera:
        cameras.append(PiCamera(frames_per_s))
        return cameras[-1]

    yield opened
    for camera in cameras:
        camera.close()
