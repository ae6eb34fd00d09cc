"""Fixtures: see rig.py for what they hand out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import Mosquitto, Phone

looks_inside = pytest.mark.skipif(os.getuid() != 0, reason="only root may look into a confined process")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real Mosquitto on loopback."""
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def phone(broker: Mosquitto) -> Iterator[Phone]:
    """A subscriber to everything that Doorstep may say."""
    with Phone(broker.port) as phone:
        yield phone


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own, in memory as on a device."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="doorstep-test-", dir="/dev/shm"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    yield folder
    shutil.rmtree(folder)
