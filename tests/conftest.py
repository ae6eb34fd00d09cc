"""Fixtures: see rig.py for what they hand out."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import rig
from tests.bench import in_memory
from tests.rabbit.rig import RABBIT, Ports, Rabbit
from tests.rig import Mosquitto, Phone

if TYPE_CHECKING:  # not everywhere where tests run
    from gpiozero.pins.mock import MockFactory

BROKERS = ["mosquitto", *(["rabbitmq"] if RABBIT in os.environ else [])]  # make test-rabbit

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that has us in the background; what we start would have it too
    signal.signal(signal.SIGINT, signal.default_int_handler)

looks_inside = pytest.mark.skipif(os.getuid() != 0, reason="only root may look into a confined process")


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One RabbitMQ for all tests: it takes seconds to start."""
    with in_memory() as folder, Ports(folder) as ports, Rabbit(ports) as node:
        yield node


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto | Rabbit]:
    """A real broker on loopback that remembers nothing: what the product tells, it tells any of them."""
    if request.param == "mosquitto":
        with Mosquitto(tmp_path) as broker:
            yield broker
    else:
        rabbit: Rabbit = request.getfixturevalue("rabbit")
        rabbit.forget(*rig.TOPICS)
        yield rabbit


@pytest.fixture
def phone(broker: Mosquitto | Rabbit) -> Iterator[Phone]:
    """A subscriber to everything that Doorstep may say."""
    with Phone(broker.port, speaks_5=broker.speaks_5) as phone:
        yield phone


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own, in memory as on a device."""
    with in_memory() as folder:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
        yield folder


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    """gpiozero's own mock pins."""
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    monkeypatch.setattr(Device, "pin_factory", factory)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    yield factory
    factory.reset()
