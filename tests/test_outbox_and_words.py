"""What waits, what is said, and that neither is ever a record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import Config
from device.errors import ConfigError
from device.runtime import is_memory, runtime_folder
from device.tell.desk import READ_AFTER_S, Desk
from device.tell.outbox import MOST, Outbox
from device.tell.words import ENGLISH, PAYLOAD_MOST_BYTES, Alert, Publish, Status, Words, late_words

WORDS = Words("front-door", "front door")


def test_what_waits_survives_a_restart_in_order(tmp_path: Path) -> None:
    """`tell` may be killed at any moment; an alert may not be forgotten."""
    box = Outbox(tmp_path / "outbox.json", 0.0)
    box.push(Alert.MOTION, 1.0)
    box.push(Alert.NO_CAMERA, 2.0)
    again = Outbox(tmp_path / "outbox.json", 3.0)
    assert [again.head.alert, len(again)] == [Alert.MOTION, 2] if again.head else False
    again.pop()
    assert Outbox(tmp_path / "outbox.json", 3.0).head == again.head


def test_a_full_outbox_drops_the_oldest_and_counts_it() -> None:
    """Bounded, and nothing is dropped in silence; but the first may be half said already, and stays."""
    box = Outbox(None, 0.0)
    for n in range(MOST + 3):
        box.push(Alert.MOTION, float(n))
    assert len(box) == MOST
    assert box.dropped == 3
    assert box.head is not None
    assert box.head.born_s == 0.0
    box.pop()
    assert box.head.born_s == 4.0


def test_the_outbox_holds_no_place_and_no_time_of_day(tmp_path: Path) -> None:
    """Seconds since boot mean nothing to anybody else, nor after a power cut."""
    path = tmp_path / "outbox.json"
    Outbox(path, 0.0).push(Alert.MOTION, 12.5)
    assert json.loads(path.read_text()) == [["motion", 12.5]]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("garbage", ["", "{", "[1]", '[["dance", 1]]', '[["motion"]]', '[["motion", "x"]]', "null", "\x00"])
def test_an_unreadable_outbox_is_said_and_does_not_stop_the_start(tmp_path: Path, garbage: str) -> None:
    """A torn file must not keep the owner from the next alert."""
    path = tmp_path / "outbox.json"
    path.write_text(garbage)
    box = Outbox(path, 0.0)
    assert box.unreadable
    assert len(box) == 0
    box.push(Alert.MOTION, 1.0)
    assert len(Outbox(path, 2.0)) == 1


MOUNTS = """\
22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
25 22 0:23 / /run rw,nosuid shared:5 - tmpfs tmpfs rw
26 25 0:24 / /run/user\\0401000 rw - tmpfs tmpfs rw
27 22 179:3 / /run/card rw - ext4 /dev/mmcblk0p3 rw"""


@pytest.mark.parametrize(("folder", "memory"), [
    ("/run/doorstep", True), ("/run", True), ("/running", False), ("/var/lib/doorstep", False),
    ("/run/card/x", False), ("/", False),
])
def test_inv_no_history_on_disk_memory_is_told_from_disk(folder: str, memory: bool) -> None:
    """No record of comings and goings is ever on the SD card: the outbox goes to memory or nowhere."""
    assert is_memory(Path(folder), MOUNTS) is memory


def test_inv_no_history_on_disk_a_runtime_directory_on_a_disk_is_not_used(tmp_path: Path) -> None:
    """A wrong setting of the environment must not put the outbox on the SD card."""
    if is_memory(tmp_path, Path("/proc/self/mountinfo").read_text()):
        pytest.skip("this machine's temporary folder is in memory: there is no disk to refuse")
    assert runtime_folder({"RUNTIME_DIRECTORY": str(tmp_path)}, "front-door") is None
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_directory_that_others_can_enter_is_not_used(runtime_folder: Path) -> None:
    """/dev/shm is everybody's: a folder that somebody else prepared is not ours."""
    from device.runtime import runtime_folder as find

    (runtime_folder / "front-door").mkdir()
    (runtime_folder / "front-door").chmod(0o777)
    assert find({"RUNTIME_DIRECTORY": str(runtime_folder)}, "front-door") is None


@pytest.mark.parametrize(("age_s", "words"), [
    (-1, ""), (0, ""), (4.9, ""), (5, "less than a minute ago"), (59.9, "less than a minute ago"), (60, "1 min ago"),
    (754, "12 min ago"), (3599, "59 min ago"), (3600, "1 h ago"), (86399, "23 h ago"), (86400, "more than a day ago"),
    (float("nan"), ""),
])
def test_a_late_alert_says_how_late(age_s: float, words: str) -> None:
    """ "Motion at front door, 12 min ago" is another thing than motion now."""
    assert late_words(age_s) == words


@given(st.text(max_size=80), st.sampled_from(list(Alert)), st.floats(0, 1e9))
def test_no_place_that_is_allowed_makes_a_payload_longer_than_the_contract(place: str, alert: Alert, age_s: float) -> None:
    """No input gets past the size limit: what the configuration allows always fits."""
    try:
        config = Config(place=place)
    except ConfigError:
        return
    words = Words(config.id, config.place)
    for publish in (words.alert(alert, age_s), words.event(alert, age_s)):
        assert len(publish.payload.encode()) <= PAYLOAD_MOST_BYTES
        assert "\n" not in publish.payload
        assert not publish.retain


def test_a_payload_beyond_the_limit_cannot_be_built() -> None:
    """The check above must be able to fail."""
    with pytest.raises(ValueError, match="payload of"):
        Words("front-door", "x" * 128).alert(Alert.MOTION, 0)


def test_only_status_and_discovery_are_retained() -> None:
    """Retained motion is a phantom alert at every reconnect, and a record: never."""
    desk = Desk(WORDS, Outbox(None, 0.0))
    desk.set_status(Status.WATCHING)
    desk.set_motion(True)
    box_words = [WORDS.alert(Alert.MOTION, 0), WORDS.event(Alert.MOTION, 0), *_drain(desk)]
    assert {publish.topic for publish in box_words if publish.retain} == {
        "doorstep/front-door/status", "homeassistant/device/front-door/config"}


def test_every_alert_has_its_phrase() -> None:
    """A table with a hole would be a crash at three in the morning."""
    assert set(ENGLISH.phrases) == set(Alert)


def _drain(desk: Desk, now_s: float = 0.0) -> list[Publish]:
    found = []
    while (publish := desk.next(now_s)) is not None:
        found.append(publish)
        desk.acknowledged()
    return found


def test_one_message_is_in_flight_at_a_time_and_an_alert_leaves_only_when_acknowledged() -> None:
    """Order is kept, and nothing is lost with a connection."""
    box = Outbox(None, 0.0)
    desk = Desk(WORDS, box)
    _drain(desk)
    box.push(Alert.MOTION, 0.0)
    assert desk.next(0.0) == WORDS.alert(Alert.MOTION, 0.0)
    assert desk.next(0.0) is None
    desk.connected()  # the connection broke, and there is a new one
    sent = _drain(desk)
    assert [publish.topic.rsplit("/")[-1] for publish in sent] == ["alert", "event", "config"]
    assert desk.idle


def test_an_acknowledged_half_is_not_said_again() -> None:
    """The app has shown it; only Home Assistant's half is still due."""
    box = Outbox(None, 0.0)
    desk = Desk(WORDS, box)
    _drain(desk)
    box.push(Alert.MOTION, 0.0)
    desk.next(0.0)
    desk.acknowledged()
    desk.next(0.0)
    desk.connected()
    assert [publish.topic.rsplit("/")[-1] for publish in _drain(desk)] == ["event", "config"]
    assert len(box) == 0


def test_of_a_state_only_the_latest_is_said() -> None:
    """Motion that began and ended while the broker was gone is in the alerts, not in the switch."""
    desk = Desk(WORDS, Outbox(None, 0.0))
    _drain(desk)
    for on in (True, False, True, False):
        desk.set_motion(on)
    assert _drain(desk) == [WORDS.motion(False)]
    desk.set_motion(False)
    assert _drain(desk) == []


def test_an_outbox_that_cannot_write_goes_on_in_memory(tmp_path: Path) -> None:
    """A runtime directory that vanished at logout must not cost the next alert."""
    import shutil

    folder = tmp_path / "run"
    folder.mkdir()
    box = Outbox(folder / "outbox.json", 0.0)
    box.push(Alert.MOTION, 1.0)
    assert not box.unwritable
    shutil.rmtree(folder)
    box.push(Alert.MOTION, 2.0)
    assert box.unwritable
    assert len(box) == 2


def test_a_base_that_somebody_else_prepared_is_not_used(runtime_folder: Path) -> None:
    """Who owns the folder above can swap what is in it for a link to anything of ours."""
    from device.runtime import runtime_folder as find

    base = runtime_folder / "base"
    base.mkdir()
    base.chmod(0o777)
    assert find({"RUNTIME_DIRECTORY": str(base)}, "front-door") is None
    base.chmod(0o700)
    assert find({"RUNTIME_DIRECTORY": str(base)}, "front-door") == base / "front-door"
    link = runtime_folder / "link"
    link.symlink_to(base)
    assert find({"RUNTIME_DIRECTORY": str(link)}, "front-door") is None


def test_a_broker_that_breaks_off_on_discovery_gets_the_alerts_all_the_same() -> None:
    """A packet limit of 300 bytes is a legal choice; the door is not Home Assistant's alone."""
    box = Outbox(None, 0.0)
    desk = Desk(WORDS, box)
    desk.set_status(Status.WATCHING)
    for _ in range(2):
        desk.connected()
        while (publish := desk.next(0.0)) is not None and "homeassistant" not in publish.topic:
            desk.acknowledged()
    desk.connected()
    assert desk.unwelcome
    box.push(Alert.MOTION, 0.0)
    assert [publish.topic.rsplit("/")[-1] for publish in _drain(desk)] == ["status", "alert", "event"]
    desk.announce()
    assert [publish.topic.rsplit("/")[-1] for publish in _drain(desk)] == ["config"]


def test_inv_one_way_a_state_that_flaps_is_said_no_faster_than_its_pace() -> None:
    """A taken `see` may say four words a second; as states no more than one in two seconds of them leave the house."""
    desk, said = Desk(Words("front-door", "front door"), Outbox(None, 0.0)), 0
    for step in range(4 * 600):  # ten minutes
        now_s = step / 4
        desk.set_motion(step % 2 == 0)
        publish = desk.next(now_s)
        while publish is not None:
            said += publish.topic.endswith("/motion")
            desk.acknowledged()
            publish = desk.next(now_s)
    assert 250 < said <= 8 + 600 / 2


def test_a_state_that_waited_for_its_pace_is_the_latest_and_a_goodbye_does_not_wait() -> None:
    """What is held back is never stale, and "offline" is never held back."""
    desk = Desk(Words("front-door", "front door"), Outbox(None, 0.0))
    said = []

    def say(now_s: float) -> None:
        publish = desk.next(now_s)
        while publish is not None:
            said.append((publish.topic.rsplit("/", 1)[-1], publish.payload))
            desk.acknowledged()
            publish = desk.next(now_s)

    for step in range(21):
        desk.set_motion(step % 2 == 1)
        say(0.0)
    assert said[-1] != ("motion", "OFF")
    say(2.0)
    assert said[-1] != ("motion", "ON")
    desk.set_status(Status.WATCHING)
    desk.leave()
    say(2.0)
    assert ("status", "offline") in said
    assert desk.idle


def test_motion_is_said_again_when_home_assistant_has_read_the_document() -> None:
    """It is not remembered: a Home Assistant that has just learned of the door would show "unknown" until somebody comes."""
    desk = Desk(Words("front-door", "front door"), Outbox(None, 0.0))
    desk.set_motion(False)
    _drain(desk)
    assert desk.next(READ_AFTER_S / 2) is None
    again = desk.next(READ_AFTER_S)
    assert again is not None and (again.topic, again.payload) == ("doorstep/front-door/motion", "OFF")
    desk.acknowledged()
    assert desk.next(READ_AFTER_S * 10) is None
