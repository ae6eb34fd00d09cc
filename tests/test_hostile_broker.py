"""A broker that is broken, hostile or only strict: never a crash, never silence about it, never an alert lost by it."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.config import Broker
from device.messages import SeeToTell
from device.tell import link as link_module
from device.tell.credentials import Credentials
from device.tell.link import Link, News, Report
from device.tell.trouble import RETRY_MOST_S, in_words, retry_after_s
from device.tell.words import Status, Words
from tests.rig import Mosquitto, Phone, Teller, plain, until

WORDS = Words("front-door", "front door")
CONNACK_5 = bytes((0x20, 3, 0, 0, 0))
CONNACK_311 = bytes((0x20, 2, 0, 0))
QUICK = "[alerts]\ncooldown_s = 0"


@contextmanager
def stand_in(answer: Callable[[socket.socket], None], greetings: list[bytes] | None = None) -> Iterator[Broker]:
    """A broker that does with each connection what `answer` does, on a port of its own, and keeps the `greetings`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                with client:
                    client.settimeout(5)
                    try:
                        (greetings if greetings is not None else []).append(client.recv(4096))
                        answer(client)
                    except OSError:
                        continue  # it hung up on us

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Broker(host="127.0.0.1", port=server.getsockname()[1], tls=False, mqtt_version="5")
        finally:
            over.set()
            thread.join(10)


@contextmanager
def linked(broker: Broker) -> Iterator[tuple[Link, list[Report]]]:
    with Link(broker, Credentials(None, None), "door", WORDS.status(Status.OFFLINE)) as link:
        yield link, []


def wait_for(link: Link, got: list[Report], true: Callable[[list[Report]], object]) -> None:
    def look() -> object:
        got.extend(link.reports())
        return true(got)

    until(look, lambda: f"news; got {got}")


GARBAGE = [bytes((kind, length, *body)) for kind in range(0, 256, 8) for length, body in
           ((0, b""), (1, b"\xff"), (2, b"\x00\x01"), (3, b"\xff\xff\xff"), (5, b"\x00\x01a\x7f\xff"))]


def test_no_packet_ends_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """No input of a broker silences the device for good: every malformed packet is a lost connection at most."""
    monkeypatch.setattr(link_module, "retry_after_s", lambda *_: 0.01)
    packets = iter(GARBAGE)
    done = threading.Event()

    def answer(client: socket.socket) -> None:
        client.sendall(CONNACK_5)
        packet = next(packets, None)
        if packet is None:
            done.set()
            client.recv(4096)
        else:
            client.sendall(packet)

    with stand_in(answer) as broker, linked(broker) as (link, got):
        assert done.wait(60)
        wait_for(link, got, lambda got: got[-1].news is News.CONNECTED)
        assert link._thread.is_alive()


def test_a_broker_that_breaks_off_at_mqtt_5_is_greeted_in_3_1_1_and_after_a_connection_that_held_in_5_again(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """RabbitMQ 3 does so. And a broker with 5 that was busy once must not cost all later alerts their expiry."""
    asked: list[int] = []
    monkeypatch.setattr(link_module, "retry_after_s", lambda tries, _jitter: asked.append(tries) or 0.01)
    greetings: list[bytes] = []

    def version(greeting: bytes) -> int:
        return greeting[greeting.index(b"MQTT") + 4]

    def answer(client: socket.socket) -> None:
        if version(greetings[-1]) == 4:
            client.sendall(CONNACK_311)

    with stand_in(answer, greetings) as broker, linked(dataclasses.replace(broker, mqtt_version="auto")) as (link, got):
        wait_for(link, got, lambda got: [report.news for report in got].count(News.CONNECTED) >= 2)
        assert "broke off at our greeting" in got[0].reason
    assert [version(greeting) for greeting in greetings][:4] == [5, 4, 5, 4]
    assert asked[:3] == [1, 2, 1], "after a long outage 3.1.1 is not a minute later than 5"


def test_a_broker_that_does_not_acknowledge_is_left_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers pings for ever and takes nothing: waiting would be silence."""
    monkeypatch.setattr(link_module, "ACKNOWLEDGE_MOST_S", 0.5)

    def answer(client: socket.socket) -> None:
        client.sendall(CONNACK_5)
        while client.recv(4096):
            pass

    with stand_in(answer) as broker, linked(broker) as (link, got):
        wait_for(link, got, lambda got: got and got[-1].news is News.CONNECTED)
        link.publish(WORDS.motion(True), got[-1].connection)
        wait_for(link, got, lambda got: got[-1].news is News.LOST)
        assert "does not acknowledge" in got[-1].reason


def test_a_message_meant_for_a_connection_that_is_gone_is_not_sent_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its acknowledgement would be taken for another message's."""
    got_bytes = bytearray()
    count = 0

    def answer(client: socket.socket) -> None:
        nonlocal count
        count += 1
        client.sendall(CONNACK_5)
        if count == 2:
            while chunk := client.recv(4096):
                got_bytes.extend(chunk)

    with stand_in(answer) as broker, linked(broker) as (link, got):
        wait_for(link, got, lambda got: [r.news for r in got].count(News.CONNECTED) == 2)
        link.publish(WORDS.motion(True), 1)
        link.publish(WORDS.status(Status.WATCHING), 2)
        until(lambda: b"watching" in got_bytes, "the second message")
    assert b"motion" not in got_bytes


def test_a_broker_whose_acl_refuses_is_named(tmp_path: Path) -> None:
    """It takes the alert politely and throws it away: the owner must not believe all is well."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite doorstep/front-door/status\n")
    acl.chmod(0o600)
    with Mosquitto(tmp_path, f"acl_file {acl}") as broker, Teller(tmp_path, plain(broker.port)) as teller:
        teller.motion()
        teller.says("will not pass on what we say (not authorized); check its ACL: user writes doorstep/front-door/#")


def test_a_stop_while_the_broker_hangs_leaves_the_last_will_to_speak(
    tmp_path: Path, broker: Mosquitto, phone: Phone
) -> None:
    """A clean goodbye would cancel the will, and the retained "watching" would stand for ever."""
    with Teller(tmp_path, plain(broker.port, QUICK)) as teller:
        phone.wait("status", "watching")
        assert broker.process is not None
        os.kill(broker.process.pid, signal.SIGSTOP)
        try:
            assert teller.stop() == 0
        finally:
            os.kill(broker.process.pid, signal.SIGCONT)
        phone.wait("status", "offline")


def test_home_assistant_that_comes_online_without_end_costs_no_alert(
    tmp_path: Path, broker: Mosquitto, phone: Phone
) -> None:
    """The one word that is heard must not be one too many."""
    with Teller(tmp_path, plain(broker.port, QUICK)) as teller:
        phone.wait("status", "watching")
        for _ in range(300):
            phone.client.publish("homeassistant/status", b"online", qos=0)
        teller.motion()
        phone.wait("alert", "motion at front door")
        time.sleep(0.5)
        assert len(phone.said("config")) <= 2


def test_a_vanished_runtime_directory_costs_no_alert(
    tmp_path: Path, broker: Mosquitto, phone: Phone, runtime_folder: Path
) -> None:
    """logind removes it when the owner logs out."""
    import shutil

    with Teller(tmp_path, plain(broker.port, QUICK)) as teller:
        phone.wait("status", "watching")
        shutil.rmtree(runtime_folder / "front-door")
        teller.motion()
        phone.wait("alert", "motion at front door")
        teller.says("alerts wait in memory only")


def test_a_tell_that_restarts_before_a_covered_lens_says_so(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """`see` said it once, to a `tell` that is dead; its signs of life say it again."""
    with Teller(tmp_path, plain(broker.port)) as teller:
        teller.fall_silent()
        teller.sender.send(SeeToTell.VIEW_BLOCKED)
        phone.wait("status", "view blocked")
        teller.kill()
        phone.wait("status", "offline")
        teller.start()
        teller.says("connected to")
        teller.sender.send_alive(SeeToTell.VIEW_BLOCKED)
        until(lambda: phone.said("status")[-1] == "view blocked", lambda: f"{phone.said('status')}")
        assert "watching" not in phone.said("status")[phone.said("status").index("offline"):]


@pytest.mark.parametrize(("error", "says"), [
    (ConnectionRefusedError(111, "Connection refused"), "is the broker running?"),
    (TimeoutError(), "does not answer"),
    (socket.gaierror(-2, "Name or service not known"), "no machine is called x"),
    (OSError(113, "No route to host"), "No route to host"),
])
def test_every_failure_to_connect_is_said_in_words_with_what_to_check(error: OSError, says: str) -> None:
    """The owner is no network engineer."""
    line = in_words(error, Broker(host="x"))
    assert says in line
    assert "\n" not in line


def test_retries_double_are_spread_and_never_rarer_than_once_a_minute() -> None:
    """A street of devices must not return in one moment, and none may stay away for an hour."""
    assert [retry_after_s(tries, 1.0) for tries in (1, 2, 3)] == [0.5, 1.0, 2.0]
    for tries in range(2000):
        assert 0 < retry_after_s(tries, 0.0) < retry_after_s(tries, 0.999) <= RETRY_MOST_S
