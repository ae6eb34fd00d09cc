"""Who may do what, shown with clients nobody here wrote: mosquitto_sub, gmqtt, and what pairing gave them."""

from __future__ import annotations

import asyncio
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gmqtt
import pytest

from broker.configuration import PACKET_MOST_BYTES
from broker.names import RETAINED, RIGHTS, Role
from broker.visitor import records
from device.tell import words as words_module
from device.tell.discovery import BIRTH_TOPIC, discovery
from device.tell.words import EXPIRY_S, Alert, Status, Words
from tests.broker_rig import House, Subscriber, as_phone, as_user, publish, topics
from tests.rig import Teller, until

ALERT, STATUS = "doorstep/front-door/alert", "doorstep/front-door/status"


@pytest.fixture
def house(tmp_path: Path, runtime_folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[House]:
    """A broker with a door, a phone, and another door with another phone."""
    with House(tmp_path, runtime_folder / "broker") as house:
        house.do("phone", "add", "anna")
        house.do("device", "add", "garden")
        house.do("phone", "add", "bob", "--door", "garden")
        yield house


def test_a_door_may_write_exactly_what_tell_publishes_and_hear_what_it_listens_to() -> None:
    """An ACL that is too tight loses alerts; one that is too wide is a hole."""
    leaves = re.findall(r'_short\("(\w+)"', Path(words_module.__file__).read_text())
    words = Words("{door}", "front door")
    said = {words.topic(leaf) for leaf in leaves} | {discovery(words).topic}
    assert len(leaves) >= 5
    assert {topic for access, topic in RIGHTS[Role.DEVICE] if access == "write"} == said
    assert {topic for access, topic in RIGHTS[Role.DEVICE] if access == "read"} == {BIRTH_TOPIC}


def test_what_tell_retains_is_what_the_check_lets_pass() -> None:
    """A phantom alert at every reconnect, and a record, if the two disagreed."""
    words = Words("front-door", "front door")
    said = [words.alert(Alert.MOTION, 0), words.event(Alert.MOTION, 0), words.motion(True), words.recording(True),
            words.status(Status.WATCHING), discovery(words, button=True)]
    assert {each.topic for each in said if each.retain} == {each.topic for each in said} - records({each.topic for each in said})
    assert len(RETAINED) == 2


@pytest.mark.parametrize("place", ["x" * 60, "é" * 30, "門" * 20, "\U0001f6aa" * 15, '"' * 60])
def test_every_discovery_document_fits_into_a_packet(place: str) -> None:
    """Mosquitto 2.0.11 breaks off the connection at the first packet that does not."""
    said = discovery(Words("a" * 32, place), button=True)
    assert len(said.topic) + len(said.payload.encode()) + 40 <= PACKET_MOST_BYTES  # 40: header, properties


def teller_of(house: House, folder: Path) -> Teller:
    """The front door's `tell`, with the papers that the broker made for it carried away."""
    papers, door = house.root / "devices" / "front-door", folder / "door"
    door.mkdir()
    for name in ("ca.crt", "password"):
        (door / name).write_bytes((papers / name).read_bytes())
        (door / name).chmod(0o600)
    return Teller(door, (papers / "doorstep.toml").read_text(), button=True)


def test_a_real_tell_reaches_mosquitto_sub_in_full_path(house: House, tmp_path: Path) -> None:
    """The main job, with nothing but what `device add` and `phone add` gave."""
    with (Subscriber([*as_phone(house), *topics(house.papers("phones/anna")["topics"])], tmp_path / "anna") as anna,
          teller_of(house, tmp_path) as teller):
        teller.says("connected to localhost")
        teller.motion()
        until(lambda: f"{ALERT} 0 motion at front door" in anna.got, lambda: f"{anna.said}{teller.log.read_text()}")
        until(lambda: any(line.startswith(STATUS) and line.endswith("watching") for line in anna.got), lambda: anna.said)
        assert "will not pass on" not in teller.log.read_text()


def gmqtt_hears(house: House, name: str, wanted: list[str], say: Callable[[], None], last: str) -> list[str]:
    """Come with gmqtt, subscribe to `wanted`, try to forge an alert, call `say`, and return what was heard until `last` was."""
    got = house.papers(f"phones/{name}")
    heard: list[str] = []

    async def live() -> None:
        client = gmqtt.Client(got["client_id"], clean_session=got["clean_session"], session_expiry_interval=60)
        client.set_auth_credentials(got["user"], got["password"])
        client.on_message = lambda _client, topic, payload, _qos, _properties: heard.append(f"{topic} {payload.decode()}") or 0
        subscribed = asyncio.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.set_config({"reconnect_retries": 0})
        context = ssl.create_default_context(cafile=str(house.root / "phones" / name / "ca.crt"))
        await client.connect(got["host"], got["port"], ssl=context, keepalive=got["keepalive_s"], version=gmqtt.constants.MQTTv50)
        client.subscribe([gmqtt.Subscription(topic, qos=1) for topic in wanted])
        await asyncio.wait_for(subscribed.wait(), 20)
        client.publish(ALERT, "forged", qos=1)
        await asyncio.to_thread(say)
        await asyncio.to_thread(until, lambda: last in heard, lambda: f"{last}; heard {heard}")
        await client.disconnect()

    asyncio.run(live())
    return heard


def test_a_real_tell_reaches_another_library_in_full_path(house: House, tmp_path: Path) -> None:
    """What the owner's app is written with is nobody's business."""
    with teller_of(house, tmp_path) as teller:
        teller.says("connected to localhost")
        wanted = house.papers("phones/anna")["topics"]
        assert gmqtt_hears(house, "anna", wanted, teller.motion, f"{ALERT} motion at front door")[0] == f"{STATUS} watching"


def test_another_library_hears_its_door_and_nothing_else_however_it_asks(house: House) -> None:
    """A phone is given two topics. Wildcards, $SYS and the garden's alerts are not among them, and it can forge none."""
    def say() -> None:
        house.say("alert", "garden only", door="garden")
        house.say("event", '{"event_type":"motion"}')
        house.say("alert", "motion at front door")
        house.say("status", "last")

    wanted = ["#", "$SYS/#", "doorstep/+/alert", "doorstep/garden/alert", "homeassistant/#"]
    heard = gmqtt_hears(house, "anna", wanted, say, f"{STATUS} last")
    assert set(heard) == {f"{ALERT} motion at front door", f"{STATUS} last"}


@pytest.mark.parametrize(("who", "topic", "allowed"), [
    ("door", ALERT, True), ("door", "doorstep/front-door/recording", True),
    ("door", "homeassistant/device/front-door/config", True),
    ("door", "doorstep/garden/alert", False), ("door", "homeassistant/device/garden/config", False),
    ("door", "homeassistant/status", False), ("door", "doorstep/front-door/picture", False), ("door", "x", False),
    ("phone", ALERT, False), ("phone", STATUS, False), ("phone", "homeassistant/status", False),
])
def test_who_may_write_what(house: House, who: str, topic: str, allowed: bool) -> None:
    """A stolen phone cannot cry wolf; a stolen door cannot speak for another."""
    words = house.door() if who == "door" else [*as_user(house, *credentials(house, "anna"))]
    done = publish([*words, "-t", topic, "-m", "x", "-d"])
    assert ("Not authorized" in done.stdout + done.stderr) is not allowed, done


def credentials(house: House, name: str) -> tuple[str, str]:
    got = house.papers(f"phones/{name}")
    return got["user"], got["password"]


def test_a_door_hears_home_assistant_and_no_alert(house: House, tmp_path: Path) -> None:
    """The network has one word to say to a door."""
    house.setup("--home-assistant")
    got = house.papers("home-assistant")
    with Subscriber([*house.door("garden"), "-t", "#"], tmp_path / "garden") as garden:
        house.say("alert", "motion at front door")
        publish([*as_user(house, got["user"], got["password"]), "-t", "homeassistant/status", "-m", "online"])
        until(lambda: garden.got, "the one word")
        assert garden.got == ["homeassistant/status 0 online"]


def test_home_assistant_hears_the_doors_and_may_say_online(house: House, tmp_path: Path) -> None:
    """The user that setup made for it has what discovery needs, and cannot forge an alert."""
    house.setup("--home-assistant")
    got = house.papers("home-assistant")
    words = as_user(house, got["user"], got["password"])
    with Subscriber([*words, "-t", "doorstep/#", "-t", "homeassistant/#"], tmp_path / "ha") as home:
        house.say("event", "{}")
        publish([*house.door(), "-t", "homeassistant/device/front-door/config", "-m", "{}", "-r"])
        until(lambda: len(home.got) == 2, lambda: home.said)
    assert "Not authorized" in publish([*words, "-t", ALERT, "-m", "x"]).stderr


@pytest.mark.parametrize("password", ["bob's", "none", "empty"])
def test_another_phones_password_is_no_way_in(house: House, password: str) -> None:
    """A user and a password belong together."""
    user, _ = credentials(house, "anna")
    secret = {"bob's": credentials(house, "bob")[1], "none": "wrong", "empty": ""}[password]
    done = subprocess.run(["mosquitto_sub", *as_user(house, user, secret), "-t", ALERT, "-C", "1", "-W", "10"],
                          capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert "not authorized" in (done.stdout + done.stderr).lower()


def test_without_the_ca_file_no_client_is_fooled_into_connecting(house: House) -> None:
    """The phone verifies the broker, or sends nothing."""
    user, password = credentials(house, "anna")
    words = [word if word != str(house.root / "ca.crt") else "/etc/ssl/certs/ca-certificates.crt"
             for word in as_user(house, user, password)]
    done = subprocess.run(["mosquitto_sub", *words, "-t", ALERT, "-C", "1", "-W", "10"], capture_output=True, text=True,
                          check=False, timeout=30)
    assert done.returncode != 0
    assert "TLS error" in done.stderr or "certificate" in done.stderr


def test_a_removed_phone_is_cut_off_within_five_seconds_and_the_others_are_not(house: House, tmp_path: Path) -> None:
    """The phone was lost an hour ago."""
    own_papers = [word.replace("phones/anna/ca.crt", "ca.crt") for word in as_phone(house)]  # hers will be deleted
    with (Subscriber([*own_papers, "-t", ALERT], tmp_path / "anna") as anna,
          Subscriber([*as_phone(house, "bob"), "-t", "doorstep/garden/alert"], tmp_path / "bob") as bob):
        began_s = time.monotonic()
        house.do("phone", "remove", "anna")
        until(lambda: "received CONNACK (5)" in anna.said, lambda: anna.said, 5)  # cut off, and refused when it came back
        assert time.monotonic() - began_s < 5
        house.say("alert", "secret")
        house.say("alert", "still heard", door="garden")
        until(lambda: bob.got, lambda: bob.said)
        assert not anna.got
    assert not (house.root / "phones" / "anna").exists()
    assert "anna" not in "".join((house.root / name).read_text() for name in ("acl", "passwords", "doors.json"))


def test_a_removed_door_can_say_no_more(house: House) -> None:
    """A stolen device must not be able to say that all is well."""
    words = house.door()
    house.do("device", "remove", "front-door")
    done = publish([*words, "-t", ALERT, "-m", "x"])
    assert done.returncode != 0
    assert house.papers("phones/anna")["topics"]  # its papers were made earlier; its rights are gone
    assert "front-door" not in (house.root / "acl").read_text()


def sleep_and_wake(house: House, out: Path, *sleeping: Any, **more: Any) -> list[str]:
    """Pair with the broker, sleep while `sleeping` happens, wake, and return what came in its order."""
    words = [*as_phone(house), "-t", ALERT, *more.get("words", ())]
    with Subscriber(words, out):
        pass
    for happens in sleeping:
        happens()
    with Subscriber(words, out) as anna:
        house.say("status", "x")  # Mosquitto has said by now what waited
        time.sleep(0.5)
        return [line.split(" ", 2)[2] for line in anna.got]


def restart(house: House, number: signal.Signals = signal.SIGTERM) -> None:
    house.stop(number)
    house.start()


@pytest.mark.parametrize("version", ["311", "5"])
def test_a_sleeping_phone_gets_its_alerts_in_order_once_each_across_a_restart(house: House, tmp_path: Path, version: str) -> None:
    """The phone lay in a drawer, the broker was updated, and three people came; a fourth after the update."""
    words = ["-V", version, *(["-x", "86400"] if version == "5" else [])]
    got = sleep_and_wake(house, tmp_path / "anna", *(lambda each=each: house.say("alert", each) for each in ("one", "two", "three")),
                         lambda: restart(house), lambda: house.say("alert", "four"), words=words)
    assert got == ["one", "two", "three", "four"]


def test_alerts_survive_even_a_mosquitto_that_is_killed(house: House, tmp_path: Path) -> None:
    """It is saved at every change: memory costs nothing."""
    assert sleep_and_wake(house, tmp_path / "anna", lambda: house.say("alert", "one"), lambda: time.sleep(1.5),
                          lambda: restart(house, signal.SIGKILL)) == ["one"]


def test_an_alert_older_than_its_hour_is_not_told(house: House, tmp_path: Path) -> None:
    """An hour is shortened to a second here; who gives it is `tell`, with each alert."""
    old = ["-D", "publish", "message-expiry-interval", "1"]
    assert sleep_and_wake(house, tmp_path / "anna", lambda: house.say("alert", "old", *old), lambda: time.sleep(2.5),
                          lambda: house.say("alert", "new")) == ["new"]


def test_a_phone_that_wakes_a_day_after_a_restart_is_told_nothing_old(house: House, tmp_path: Path) -> None:
    """The alert lives for the hour that `tell` gives it, on a Mosquitto whose clock is put on by 25 hours."""
    as_tell = ["-D", "publish", "message-expiry-interval", str(EXPIRY_S)]

    def restart_later(ahead: str) -> None:
        house.stop()
        house.start(ahead)

    waking = [lambda: house.say("alert", "visitor", *as_tell), lambda: restart_later("+30m")]
    assert sleep_and_wake(house, tmp_path / "soon", *waking) == ["visitor"]
    waking[1] = lambda: restart_later("+25h")
    assert sleep_and_wake(house, tmp_path / "late", *waking) == []


def test_what_waits_for_a_lost_phone_goes_after_a_day(house: House, tmp_path: Path) -> None:
    """It would be a record, even where an alert lives for ever. Mosquitto's clock is put on by a day."""
    waking = [lambda: house.say("alert", "one"), lambda: house.set_clock("+23h"), lambda: time.sleep(2)]
    assert sleep_and_wake(house, tmp_path / "soon", *waking) == ["one"]
    waking[1] = lambda: house.set_clock("+48h")
    assert sleep_and_wake(house, tmp_path / "late", *waking) == []


def test_a_new_phone_gets_no_old_motion_and_nothing_is_retained_but_states(house: House, tmp_path: Path) -> None:
    """A retained motion is a phantom alert, and a record."""
    papers = house.root / "devices" / "front-door"
    toml = (papers / "doorstep.toml").read_text()
    (papers / "doorstep.toml").chmod(0o600)
    password = (house.root / "check.password").read_text().strip()
    with (Teller(papers, toml, button=True) as teller,
          Subscriber([*as_user(house, "check", password), "-t", "#"], tmp_path / "live") as live):
        for _ in range(3):
            teller.motion()
        until(lambda: any("event_type" in line for line in live.got) and any("/config" in line for line in live.got)
              and any("watching" in line for line in live.got), lambda: live.said + teller.log.read_text())
    house.do("phone", "add", "carla")
    with Subscriber([*as_phone(house, "carla"), "-t", "#"], tmp_path / "carla") as carla:
        until(lambda: carla.got, lambda: carla.said)
        assert [line.split()[:2] for line in carla.got] == [[STATUS, "1"]]
    with Subscriber([*as_user(house, "check", password), "-t", "#"], tmp_path / "all") as everything:
        until(lambda: len(everything.got) >= 3, lambda: everything.said)
        time.sleep(0.5)
        found = {line.split()[0] for line in everything.got}
    assert found == {STATUS, "doorstep/front-door/recording", "homeassistant/device/front-door/config"}
    assert not records(found)


def test_a_phone_of_the_same_name_paired_anew_finds_no_alert_of_the_old_one(house: House, tmp_path: Path) -> None:
    """The name is the same; the person may be another."""
    with Subscriber([*as_phone(house), "-t", ALERT], tmp_path / "old"):
        pass
    house.say("alert", "for the old phone")
    house.do("phone", "remove", "anna")
    house.do("phone", "add", "anna")
    with Subscriber([*as_phone(house), "-t", ALERT], tmp_path / "new") as anna:
        time.sleep(0.5)
        assert anna.got == []


def test_inv_no_history_on_disk_after_a_day_of_alerts(house: House, tmp_path: Path) -> None:
    """Whoever takes the SD card learns who may come in, and nothing of who came.

    Only the memory folder may know of what waits; it is left out, as a power cut leaves it out.
    """
    with Subscriber([*as_phone(house), "-t", ALERT], tmp_path / "anna"):
        pass
    before = {path: path.stat().st_mtime_ns for path in house.root.rglob("*")}
    for number in range(24):
        house.set_clock(f"+{number}h")
        house.say("alert", f"motion at front door {number}")
        house.say("event", '{"event_type":"motion"}')
        house.say("motion", "ON" if number % 2 else "OFF")
    publish([*as_user(house, *credentials(house, "bob")), "-t", ALERT, "-m", "forged"])  # a refusal is no line either
    house.stop()
    house.start("+24h")
    house.say("alert", "motion at front door")
    assert (house.memory / "mosquitto.db").read_bytes().count(b"motion at front door") > 20  # the search can find
    house.stop()
    assert {path: path.stat().st_mtime_ns for path in house.root.rglob("*")} == before
    for path in [*house.root.rglob("*"), house.log]:
        if path.is_file():
            content = path.read_bytes()
            for word in (b"motion at", b"event_type", b"forged"):
                assert word not in content, path
            if path.name not in ("acl", "steps.txt", "settings.toml", "doors.json") and "iot" not in path.name:
                assert ALERT.encode() not in content, path
    lines = [line for line in house.log.read_text().splitlines() if "should not be run as root" not in line]
    assert lines == []  # not even that anna's phone broke off
