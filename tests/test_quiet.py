"""Quiet hours and pauses: what is kept back, what never is, and that nobody on the network can ask for either."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from device import config
from device.config import Alerts
from device.errors import ConfigError
from device.messages import KeepToTell, SeeToTell
from device.tell.button import Button
from device.tell.policy import CALM_AFTER_S, Eye, Policy
from device.tell.quiet import Hours, minute_of_day
from device.tell.words import Alert, Status
from tests.rig import Mosquitto, Phone, Teller, plain, until

NIGHT = Alerts(quiet="22:00-07:00")
NOON, MIDNIGHT = 12 * 60, 0
S, E, A = SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED, SeeToTell.ALIVE


@pytest.mark.parametrize(("text", "inside", "outside"), [
    ("22:00-07:00", ("22:00", "23:59", "00:00", "06:59"), ("21:59", "07:00", "12:00")),
    ("13:00-14:30", ("13:00", "14:29"), ("12:59", "14:30", "00:00")),
    ("00:00-00:01", ("00:00",), ("00:01", "23:59")),
    ("00:01-00:00", ("00:01", "23:59"), ("00:00",)),
    ("", (), ("00:00", "12:00", "23:59")),
])
def test_quiet_hours_begin_and_end_with_their_minute(text: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    """Also across midnight, where most of them lie."""
    def has(clock: str) -> bool:
        return Hours.parse(text).has(int(clock[:2]) * 60 + int(clock[3:]))
    assert all(has(clock) for clock in inside)
    assert not any(has(clock) for clock in outside)


@given(st.integers(0, 1439), st.integers(0, 1439))
def test_no_input_is_quiet_for_more_or_less_minutes_than_it_says(begin: int, end: int) -> None:
    """No input of two different times is quiet by night where it should be by day."""
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    if begin == end:
        with pytest.raises(ConfigError):
            Alerts(quiet=text)
        return
    hours = Hours.parse(Alerts(quiet=text).quiet)
    assert sum(hours.has(minute) for minute in range(1440)) == (end - begin) % 1440


@pytest.mark.parametrize("text", ["22-7", "22:00", "24:00-07:00", "22:60-07:00", "22:00-22:00", " 22:00-07:00", "22:00-07:00\n", "٢٢:00-07:00"])
def test_what_is_no_pair_of_times_is_refused(text: str) -> None:
    """A quiet night that was misread is a burglar nobody heard of."""
    with pytest.raises(ConfigError) as refused:
        Alerts(quiet=text)
    assert '"22:00-07:00"' in refused.value.hint
    with pytest.raises(ConfigError):
        config.parse("[alerts]\nquiet = 22")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_it_is_the_clock_on_the_wall_that_counts_summer_and_winter(berlin: None) -> None:
    """At the change to summer time, 01:59 is followed by 03:00; in autumn 02:30 comes twice."""
    spring = 1774746000  # 2026-03-29 01:00 UTC
    assert [minute_of_day(spring + second) for second in (-1, 0)] == [119, 180]
    autumn = 1792890000  # 2026-10-25 01:00 UTC
    assert [minute_of_day(autumn + second) for second in (-1800, 1800)] == [150, 150]


def moves(policy: Policy, at_s: float) -> list[Alert]:
    """Somebody comes and goes."""
    return policy.on(S, at_s) + policy.on(E, at_s + 1)


def watching(settings: Alerts = NIGHT) -> Policy:
    policy = Policy(settings, 0.0, Button(0.0))
    policy.on(A, 0.0)
    policy.on(KeepToTell.ALIVE, 0.0)
    return policy


def test_at_night_motion_is_a_state_and_no_alert() -> None:
    """The lamp goes on, the phone stays dark."""
    policy = watching()
    policy.at(MIDNIGHT)
    assert policy.status is Status.QUIET
    assert policy.on(S, 1.0) == []
    assert policy.moving
    assert policy.on(E, 2.0) == []
    assert not policy.moving


def test_the_first_visitor_of_the_morning_is_told_at_once() -> None:
    """A night full of foxes must not count as a storm."""
    policy = watching()
    policy.at(MIDNIGHT)
    for n in range(100):
        assert moves(policy, 10.0 + 40 * n) == []
    policy.at(NOON)
    assert policy.status is Status.WATCHING
    assert moves(policy, 10.0 + 40 * 100) == [Alert.MOTION]


def test_a_storm_of_the_evening_is_over_by_the_morning_only_if_it_was_calm() -> None:
    """Quiet hours are no trick around the limit."""
    policy = watching(Alerts(quiet="22:00-07:00", cooldown_s=0))
    assert [alert for n in range(8) for alert in moves(policy, 10.0 * n)][-1] is Alert.MOTION_KEEPS_ON
    policy.at(MIDNIGHT)
    assert moves(policy, 100.0) == []
    policy.at(NOON)
    assert moves(policy, 110.0) == []
    assert moves(policy, 111.0 + CALM_AFTER_S) == [Alert.MOTION]


def test_faults_and_the_button_are_told_at_any_hour() -> None:
    """Whoever breaks the camera at three in the morning must not be the only one who knows."""
    policy = watching()
    policy.at(MIDNIGHT)
    assert policy.on(SeeToTell.CAMERA_LOST, 1.0) == [Alert.NO_CAMERA]
    assert policy.status is Status.NO_CAMERA
    assert policy.on(A, 2.0) == [Alert.CAMERA_BACK]
    assert policy.on(SeeToTell.VIEW_BLOCKED, 3.0) == [Alert.VIEW_BLOCKED]
    assert policy.status is Status.VIEW_BLOCKED
    policy.on(SeeToTell.VIEW_CLEAR, 4.0)
    assert policy.on(KeepToTell.RECORDING_STARTED, 5.0) == [Alert.RECORDING]
    assert policy.on(KeepToTell.PAUSED, 6.0) == [Alert.WATCHING_PAUSED]
    assert policy.status is Status.PAUSED


@given(st.lists(st.tuples(st.integers(0, 1439), st.sampled_from(list(SeeToTell))), max_size=60))
def test_no_input_makes_quiet_hours_keep_back_anything_but_motion(night: list[tuple[int, SeeToTell]]) -> None:
    """No order of clock jumps and messages costs a fault its word, or leaves motion on."""
    quiet, plainly = watching(), watching(Alerts())
    for second, (minute, message) in enumerate(night):
        quiet.at(minute)
        told, all_told = quiet.on(message, float(second)), plainly.on(message, float(second))
        about_motion = (Alert.MOTION, Alert.MOTION_KEEPS_ON)
        assert [alert for alert in told if alert not in about_motion] == [alert for alert in all_told if alert not in about_motion]
        assert quiet.moving is plainly.moving
        assert (quiet.status is Status.QUIET) is (quiet.eye is Eye.SEEING and Hours.parse(NIGHT.quiet).has(minute))


def around_now(ahead_min: int) -> str:
    """Two hours of the local day, `ahead_min` from now in their middle."""
    middle = minute_of_day(time.time()) + ahead_min
    begin, end = (middle - 60) % 1440, (middle + 60) % 1440
    return f'[alerts]\ncooldown_s = 0\nquiet = "{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"'


# Whatever somebody might think of, on topics the door could listen to; "online" at the one where it may.
ORDERS = [(f"{base}/{leaf}", word) for base in ("doorstep/front-door", "doorstep/front-door/set", "homeassistant", "homeassistant/device/front-door")
          for leaf in ("pause", "quiet", "alerts", "set", "command", "status/set", "status") for word in ("ON", "OFF", "watching", "paused", "resume")
          if f"{base}/{leaf}" != "doorstep/front-door/status"] + [("homeassistant/status", "online")]


def orders(port: int) -> None:
    """Somebody who may publish everything does."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, word in ORDERS:
        client.publish(topic, word, qos=1).wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


def test_the_phone_sees_that_it_is_quiet_and_no_order_changes_it(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Who waits for words must see why none come; and nobody far away may make it so, or end it."""
    with Teller(tmp_path, plain(broker.port, around_now(0)), button=True) as teller:
        phone.wait("status", "quiet")
        orders(broker.port)
        teller.sender.send(SeeToTell.MOTION_STARTED)
        phone.wait("motion", "ON")
        teller.sender.send(SeeToTell.CAMERA_LOST)
        phone.wait("alert", "no camera at front door")  # told in order: motion would have come before
        assert phone.said("alert") == ["no camera at front door"]
        assert [got.payload for got in phone.got if got.topic == "doorstep/front-door/status"][:2] == ["quiet", "no camera"]


def test_no_order_pauses_a_door_or_resumes_it(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Only a finger can; and outside of quiet hours everything is told."""
    def status() -> list[str]:
        return [got.payload for got in phone.got if got.topic == "doorstep/front-door/status"]

    with Teller(tmp_path, plain(broker.port, around_now(600)), button=True) as teller:
        phone.wait("status", "watching")
        orders(broker.port)
        teller.motion()
        phone.wait("alert", "motion at front door")
        assert status() == ["watching"]
        teller.fall_silent()
        teller.press(KeepToTell.PAUSED, KeepToTell.PAUSED)
        phone.wait("alert", "watching paused at front door")
        orders(broker.port)
        until(lambda: status() == ["watching", "paused"], lambda: f"{status()}")
        teller.press(KeepToTell.RECORDING_FAILED, KeepToTell.PAUSED)
        phone.wait("alert", "recording failed at front door")  # told after whatever the orders had done
        assert status() == ["watching", "paused"]


def test_home_assistant_is_told_that_quiet_is_a_word_of_the_status(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """A state that is not among the options would be an error in its log."""
    import json

    with Teller(tmp_path, plain(broker.port)):
        until(lambda: phone.said("config"), "discovery")
    assert "quiet" in json.loads(phone.said("config")[0])["components"]["status"]["options"]
