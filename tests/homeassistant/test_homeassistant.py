"""A real Home Assistant takes the door: over TLS, with the user that `doorstep broker` made for it, and with nothing set by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import __version__
from device.messages import KeepToTell, SeeToTell
from device.tell.words import Alert
from tests.bench import in_memory
from tests.broker_rig import House
from tests.homeassistant.rig import HomeAssistant
from tests.rig import Teller, until

PREFIX = Path(os.environ["HOMEASSISTANT"]).absolute() if "HOMEASSISTANT" in os.environ else None  # by `make test-ha`
pytestmark = pytest.mark.skipif(PREFIX is None, reason="no Home Assistant; try: make test-ha")

MOTION, RECORDING, ALERT, STATUS = ENTITIES = ("binary_sensor.front_door_motion", "binary_sensor.front_door_recording",
                                              "event.front_door_alert", "sensor.front_door_status")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with in_memory() as folder, House(folder, folder / "memory") as house:
        house.do("setup", "--home-assistant")
        yield house


@pytest.fixture(scope="module")
def home(house: House) -> Iterator[HomeAssistant]:
    assert PREFIX is not None
    with HomeAssistant(PREFIX, house.folder / "homeassistant", house) as home:
        yield home


@pytest.fixture
def door(house: House, home: HomeAssistant, tmp_path: Path) -> Iterator[Teller]:
    """The real `tell` with the papers that the broker made for it, known to Home Assistant and watching."""
    papers = house.root / "devices" / "front-door"
    for name in ("ca.crt", "password"):
        (tmp_path / name).write_bytes((papers / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    with Teller(tmp_path, (papers / "doorstep.toml").read_text() + "\n[alerts]\ncooldown_s = 0\n", button=True) as door:
        home.shows(STATUS, "watching")
        home.shows(MOTION, "off")
        home.shows(RECORDING, "off")
        until(lambda: home.changes(MOTION)[-1:] == ["off"], "the change to be heard of too")
        yield door
    home.shows(STATUS, "unavailable")


def test_the_door_is_one_device_and_what_it_has_is_named_and_of_its_kind(door: Teller, home: HomeAssistant) -> None:
    """Nobody shall write YAML for a door."""
    states = home.states()
    assert [states[entity]["attributes"]["friendly_name"] for entity in ENTITIES] == [
        "Front door Motion", "Front door Recording", "Front door Alert", "Front door Status"]
    assert [states[entity]["attributes"].get("device_class") for entity in ENTITIES] == ["motion", "running", None, "enum"]
    assert set(states[ALERT]["attributes"]["event_types"]) == {alert.value for alert in Alert}
    assert home.asked(f"{{{{ device_entities(device_id('{MOTION}')) | sort | join(' ') }}}}").split() == sorted(ENTITIES)
    of = f"device_attr('{MOTION}', '%s')"
    asked = " ~ '|' ~ ".join(of % what for what in ("name", "manufacturer", "model", "sw_version"))
    assert home.asked(f"{{{{ {asked} }}}}") == f"Front door|Doorstep|Doorstep|{__version__}"


def test_motion_goes_on_and_off_and_an_alert_is_one_event(door: Teller, home: HomeAssistant) -> None:
    """An automation that rings twice for one visitor is switched off by its owner."""
    before, told = len(home.changes(MOTION)), len(home.changes(ALERT))

    def changed(times: int) -> None:
        until(lambda: len(home.changes(MOTION)) >= before + times, lambda: f"{times} changes; {home.changes(MOTION)[before:]}")

    for visitor in range(3):
        assert door.sender.send(SeeToTell.MOTION_STARTED)
        changed(2 * visitor + 1)
        assert door.sender.send(SeeToTell.MOTION_ENDED)
        changed(2 * visitor + 2)
    until(lambda: len(home.changes(ALERT)) == told + 3, lambda: f"three events; {home.changes(ALERT)[told:]}")
    assert home.changes(MOTION)[before:] == ["on", "off"] * 3
    assert home.states()[ALERT]["attributes"]["event_type"] == "motion"
    assert len(set(home.changes(ALERT)[told:])) == 3  # the state of an event is when it came


def test_status_and_recording_follow(door: Teller, home: HomeAssistant) -> None:
    """What the camera is doing must be right where the household looks."""
    door.press(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING)
    home.shows(RECORDING, "on")
    door.press(KeepToTell.RECORDING_ENDED, KeepToTell.ALIVE)
    home.shows(RECORDING, "off")
    door.fall_silent()
    home.shows(STATUS, "no camera")
    door.press(KeepToTell.STORAGE_LOW, KeepToTell.ALIVE)
    until(lambda: home.states()[ALERT]["attributes"]["event_type"] == "storage_low", lambda: f"{home.states()[ALERT]}")


def test_a_dead_door_is_unavailable_until_it_is_back(door: Teller, home: HomeAssistant) -> None:
    """A switch that stands on "off" while the device is dead is a lie."""
    door.kill()
    for entity in ENTITIES:
        home.shows(entity, "unavailable")
    door.start()
    home.shows(STATUS, "watching")
    home.shows(MOTION, "off")
    home.shows(RECORDING, "off")


def test_the_door_is_back_after_a_restart_of_home_assistant(door: Teller, home: HomeAssistant) -> None:
    """Its updates come every month; nobody shall restart the door after them."""
    home.stop()
    home.start()
    home.shows(STATUS, "watching")
    home.shows(RECORDING, "off")
    home.shows(MOTION, "off")  # which the broker does not remember: the door says it again
    told = len(home.changes(ALERT))
    door.motion()
    until(lambda: len(home.changes(ALERT)) == told + 1, lambda: f"an event; {home.changes(ALERT)[told:]}")
