"""`tell` against a real Mosquitto: the MQTT contract, and what happens when either of them is gone."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

from device.messages import SeeToTell, Sender
from device.tell.words import EXPIRY_S, PAYLOAD_MOST_BYTES
from tests.rig import Mosquitto, Phone, Teller, environment, free_port, plain, until

QUICK = "[alerts]\ncooldown_s = 0"
BACK_MOST_S = 90.0  # the longer the broker was away the rarer the retries, but one in a minute


@pytest.fixture
def teller(tmp_path: Path, broker: Mosquitto) -> Teller:
    return Teller(tmp_path, plain(broker.port, QUICK))


def test_motion_is_told_in_the_owners_words_to_an_app_and_to_home_assistant(teller: Teller, phone: Phone) -> None:
    """The main job."""
    with teller:
        teller.motion()
        phone.wait("alert", "motion at front door")
        phone.wait("event", '{"event_type":"motion"}')
        phone.wait("status", "watching")


def test_an_alert_has_qos_1_is_never_retained_and_expires(teller: Teller, phone: Phone) -> None:
    """A retained motion would be a phantom alert at every reconnect, and a record."""
    with teller:
        phone.wait("status", "watching")  # connected: motion that is over by then is an alert, and no state
        teller.sender.send(SeeToTell.MOTION_STARTED)
        phone.wait("motion", "ON")
        teller.sender.send(SeeToTell.MOTION_ENDED)
        until(lambda: phone.said("motion")[-1] == "OFF", "motion OFF")
    for got in phone.got:
        assert got.qos == 1
        if got.leaf in ("alert", "event", "motion"):
            assert 0 < got.expiry_s <= EXPIRY_S if phone.speaks_5 else got.expiry_s is None
        if got.leaf != "config":
            assert len(got.payload.encode()) <= PAYLOAD_MOST_BYTES
    with phone.latecomer() as latecomer:
        until(lambda: latecomer.said("config") and latecomer.said("status"), lambda: f"what is retained; got {latecomer.got}")
        assert {got.leaf for got in latecomer.got if got.retain} == {"status", "config"}, latecomer.got


def test_discovery_is_a_document_that_names_only_the_contracts_topics(teller: Teller, phone: Phone) -> None:
    """Home Assistant must find the door by itself."""
    with teller:
        until(lambda: phone.said("config"), "discovery")
    document = json.loads(phone.said("config")[0])
    assert next(got.topic for got in phone.got if got.leaf == "config") == "homeassistant/device/front-door/config"
    topics = {part["state_topic"] for part in document["components"].values()} | {document["availability_topic"]}
    assert topics == {f"doorstep/front-door/{leaf}" for leaf in ("motion", "event", "status")}
    assert document["device"]["name"] == "Front door"


def test_discovery_is_said_again_when_home_assistant_comes_online_and_nothing_else_is_heard(
    teller: Teller, phone: Phone
) -> None:
    """The network has one word; everything else it may say is ignored."""
    with teller:
        until(lambda: phone.said("config"), "discovery")
        for word in (b"offline", b"ONLINE", b"online ", b"record", b"\xff" * 4000, b""):
            phone.client.publish("homeassistant/status", word, qos=1)
            phone.client.publish("doorstep/front-door/record", word, qos=1)
        phone.client.publish("homeassistant/status", b"online", qos=1)
        until(lambda: len(phone.said("config")) == 2, "discovery again")
        teller.motion()
        phone.wait("event", '{"event_type":"motion"}')
        assert len(phone.said("config")) == 2


def test_a_killed_tell_is_offline_by_its_last_will(teller: Teller, phone: Phone) -> None:
    """A dead device that nobody noticed is the worst failure."""
    with teller:
        teller.motion()
        phone.wait("status", "watching")
        teller.kill()
        phone.wait("status", "offline")


def test_a_clean_stop_says_offline_and_ends_motion(teller: Teller, phone: Phone) -> None:
    """Home Assistant must not show motion for ever because somebody restarted the device."""
    with teller:
        phone.wait("status", "watching")  # connected: motion that is over by then is an alert, and no state
        teller.sender.send(SeeToTell.MOTION_STARTED)
        phone.wait("motion", "ON")
        began_s = time.monotonic()
        assert teller.stop() == 0
        assert time.monotonic() - began_s < 3
        phone.wait("status", "offline")
        assert phone.said("motion")[-1] == "OFF"


def test_inv_every_start_ends_when_see_falls_silent(teller: Teller, phone: Phone) -> None:
    """A see that died mid-motion leaves neither motion on nor the owner in the dark."""
    with teller:
        phone.wait("status", "watching")  # connected: motion that is over by then is an alert, and no state
        teller.sender.send(SeeToTell.MOTION_STARTED)
        phone.wait("motion", "ON")
        teller.fall_silent()
        phone.wait("status", "no camera")
        phone.wait("alert", "no camera at front door")
        until(lambda: phone.said("motion")[-1] == "OFF", "the motion to end")  # said after the alert
        teller.sender.send(SeeToTell.ALIVE)
        phone.wait("alert", "camera back at front door")
        assert phone.said("status")[-1] == "watching"


def test_alerts_of_an_outage_arrive_in_order_and_say_how_late(teller: Teller, broker: Mosquitto, phone: Phone) -> None:
    """The router reboots just when three visitors come."""
    with teller:
        teller.motion()
        phone.wait("event", '{"event_type":"motion"}')
        broker.stop()
        teller.motion()
        teller.says("trying again")
        teller.motion()
        time.sleep(6)  # lateness begins at 5 s
        broker.start()
        until(lambda: len(phone.said("alert")) >= 3, lambda: f"all three alerts {phone.got} {teller.log.read_text()}", BACK_MOST_S)
        teller.motion()
        until(lambda: len(phone.said("alert")) >= 4, "the next alert")
    late = json.loads(phone.said("event")[1])["late"]
    assert re.fullmatch(r"less than a minute ago|\d min ago", late)  # RabbitMQ may take a minute to start
    assert phone.said("alert") == ["motion at front door", *2 * [f"motion at front door, {late}"], "motion at front door"]


def test_a_tell_that_is_killed_while_the_broker_is_gone_forgets_nothing(
    teller: Teller, broker: Mosquitto, phone: Phone
) -> None:
    """Alerts wait in memory, outside the process: the outbox for those taken in, the socket for those not."""
    with teller:
        teller.motion()
        phone.wait("event", '{"event_type":"motion"}')
        broker.stop()
        teller.says("trying again")
        teller.motion()
        time.sleep(0.5)  # let it reach the outbox; the next one waits in the socket
        teller.kill()
        teller.motion()
        time.sleep(6)
        teller.start()
        broker.start()
        until(lambda: len(phone.said("alert")) >= 3, "all three alerts", BACK_MOST_S)
    assert [alert.split(",")[0] for alert in phone.said("alert")] == ["motion at front door"] * 3
    assert phone.said("alert")[2].endswith(" ago")


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(tmp_path: Path) -> None:
    """Old brokers are still about; amqtt, which we ship, is one and does not even answer an MQTT 5 greeting."""
    port = free_port()
    command = [sys.executable, "-m", "broker.embedded", str(port), str(os.getpid())]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            with Teller(tmp_path, plain(port)) as teller:
                teller.says("connected to")
        finally:
            process.terminate()


def test_a_refused_password_is_one_clear_line_and_a_retry(tmp_path: Path) -> None:
    """A typo in a password must not look like a dead camera, nor flood the log."""
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    passwords.chmod(0o600)
    with Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}") as broker:
        secret = tmp_path / "secret"
        secret.write_text("wrong-password\n")
        secret.chmod(0o600)
        toml = plain(broker.port, 'user = "door"', f'password_file = "{secret}"')
        with Teller(tmp_path, toml) as teller:
            teller.says("check user and password_file; trying again")
            time.sleep(3)  # two more tries
            assert teller.process is not None and teller.process.poll() is None
            assert teller.log.read_text().count("check user") == 1
            assert "wrong-password" not in teller.log.read_text()


@pytest.mark.parametrize("trusted", [True, False], ids=["its own CA", "another CA"])
def test_inv_tls_or_nothing_a_broker_is_believed_only_with_the_right_certificate(tmp_path: Path, trusted: bool) -> None:
    """Whoever answers at the broker's address could be anybody."""
    theirs, ours = trustme.CA(), trustme.CA()
    certificate = theirs.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.crt")
    (theirs if trusted else ours).cert_pem.write_to_path(tmp_path / "ca.crt")
    with Mosquitto(tmp_path, f"certfile {tmp_path}/server.crt", f"keyfile {tmp_path}/server.key") as broker:
        toml = f'[broker]\nhost = "localhost"\nport = {broker.port}\nca_file = "ca.crt"\n'
        with Teller(tmp_path, toml) as teller:
            if trusted:
                teller.says("connected to localhost")
            else:
                teller.says("is not who it should be")
                teller.says("check ca_file and host")
                assert teller.process is not None and teller.process.poll() is None


def test_a_client_certificate_opens_the_door_where_a_password_would(tmp_path: Path) -> None:
    """Some brokers know their devices by certificate; without one they let nobody in."""
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("front-door@doorstep.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    for name, certificate in (("server", server), ("client", client)):
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
        (tmp_path / f"{name}.key").chmod(0o600)
    lines = [f"certfile {tmp_path}/server.crt", f"keyfile {tmp_path}/server.key", f"cafile {tmp_path}/ca.crt",
             "require_certificate true"]
    with Mosquitto(tmp_path, *lines) as broker:
        toml = f'[broker]\nhost = "localhost"\nport = {broker.port}\nca_file = "ca.crt"\n'
        with Teller(tmp_path, toml) as teller:
            teller.says("trying again")
            teller.stop()
            assert "connected to" not in teller.log.read_text()
        with Teller(tmp_path, toml + 'cert_file = "client.crt"\nkey_file = "client.key"\n') as teller:
            teller.says("connected to localhost")


def test_inv_one_way_what_is_no_message_is_refused_counted_and_said(teller: Teller, phone: Phone) -> None:
    """A taken `see` may send what it likes: only the alphabet has an effect."""
    with teller:
        until(lambda: phone.said("motion"), "the first word")
        for datagram in (b"", b"MM", b"motion", b"\x00", b"\xff", b"M" * 2000):
            teller.raw(datagram)
        teller.says("refused what is no message")
        assert phone.said("alert") == []
        teller.motion()
        phone.wait("alert", "motion at front door")


def test_systemd_hands_it_its_socket(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Socket activation as in sd_listen_fds(3): descriptor 3, and our own process id beside it."""
    (tmp_path / "doorstep.toml").write_text(plain(broker.port))
    script = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
              "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
              "os.execv(sys.executable, [sys.executable, '-m', 'device', 'tell', '--config', sys.argv[2]])")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as see:
        reader.bind(str(tmp_path / "tell.sock"))
        sender = Sender[SeeToTell](see, str(tmp_path / "tell.sock"))
        command = [sys.executable, "-c", script, str(reader.fileno()), str(tmp_path / "doorstep.toml")]
        with subprocess.Popen(command, pass_fds=[reader.fileno()], env=environment()) as process:
            try:
                assert sender.send(SeeToTell.MOTION_STARTED)
                phone.wait("alert", "motion at front door")
            finally:
                process.terminate()


def test_inv_one_way_only_a_unix_datagram_socket_is_taken_for_the_wall(tmp_path: Path) -> None:
    """A typo in a unit must not make a network port the way in."""
    (tmp_path / "doorstep.toml").write_text(plain(free_port()))
    for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
        with socket.socket(family, kind) as wrong:
            command = [sys.executable, "-m", "device", "tell", "--config", str(tmp_path / "doorstep.toml"),
                       "--events-fd", str(wrong.fileno())]
            done = subprocess.run(command, pass_fds=[wrong.fileno()], capture_output=True, text=True, check=False,
                                  env=environment(), timeout=20)
            assert done.returncode == 2
            assert "no Unix datagram socket" in done.stderr
