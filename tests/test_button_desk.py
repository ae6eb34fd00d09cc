"""What of the record button reaches the broker: states, and what Home Assistant learns."""

from __future__ import annotations

import json

from device.config import Config
from device.tell.desk import Desk
from device.tell.discovery import discovery
from device.tell.outbox import Outbox
from device.tell.words import Alert, Status, Words

WORDS = Words("front-door", "front door")


def desk(box: Outbox) -> Desk:
    desk = Desk(WORDS, box, button=True)
    desk.set_status(Status.WATCHING)
    desk.set_motion(False)
    desk.set_recording(True)
    return desk


def said(desk: Desk) -> list[str]:
    leaves = []
    while (publish := desk.next(0.0)) is not None:
        leaves.append(publish.topic.rsplit("/")[-1])
        desk.acknowledged()
    return leaves


def test_recording_is_a_retained_state_said_again_after_each_connection_before_discovery() -> None:
    """Whoever looks must see whether they are recorded; the broker may have forgotten it."""
    publish = WORDS.recording(True)
    assert (publish.topic, publish.payload, publish.retain) == ("doorstep/front-door/recording", "ON", True)
    on_desk = desk(Outbox(None, 0.0))
    for _ in range(2):
        on_desk.connected()
        assert said(on_desk) == ["status", "recording", "motion", "config"]
    on_desk.set_recording(True)
    assert said(on_desk) == []
    on_desk.set_recording(False)
    assert said(on_desk) == ["recording"]


def test_no_flood_of_states_keeps_an_alert_waiting() -> None:
    """A taken keep may say another state four times a second, and a broker may need one to acknowledge."""
    box = Outbox(None, 0.0)
    on_desk = desk(box)
    said(on_desk)
    box.push(Alert.MOTION, 0.0)
    leaves = []
    for n in range(6):
        on_desk.set_status(Status.PAUSED if n % 2 else Status.WATCHING)
        on_desk.set_recording(n % 2 == 0)
        publish = on_desk.next(0.0)
        assert publish is not None
        leaves.append(publish.topic.rsplit("/")[-1])
        on_desk.acknowledged()
    assert leaves.index("event") < 4


def test_home_assistant_learns_of_the_recording_only_where_there_is_a_button() -> None:
    """A sensor that never has a value is clutter."""
    parts = json.loads(discovery(WORDS, button=True).payload)["components"]
    assert parts["recording"] == {
        "platform": "binary_sensor", "name": "Recording", "unique_id": "doorstep_front-door_recording",
        "device_class": "running", "state_topic": "doorstep/front-door/recording"}
    assert "paused" in parts["status"]["options"]
    assert parts["alert"]["event_types"] == [alert.value for alert in Alert]
    assert "recording" not in json.loads(discovery(WORDS).payload)["components"]


def test_the_longest_discovery_document_is_small() -> None:
    """Brokers on small machines take a few kilobytes."""
    longest = Words("x" * 32, Config(place="ä" * 30).place)
    assert len(discovery(longest, button=True).payload.encode()) < 2048
