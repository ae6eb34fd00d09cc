"""What a phone is given: settings that work, imports in the form of the app's own, QR codes that a camera reads."""

from __future__ import annotations

import datetime as dt
import json
import os
import plistlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import zxingcpp
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from broker import certificates, pairing
from broker.pairing import Pairing
from device import config
from tests.broker_rig import House
from tests.rig import doorstep, environment, until

# Every key in a file that IoT MQTT Panel exported (dataVersion 54: a dashboard of switches, gauges and logs over TLS,
# published by a user of the app), for what we make: the whole, a connection, a dashboard, a panel of type "log".
EXPORTED: dict[str, dict[str, type]] = {
    "whole": {"dataVersion": int, "appTheme": str, "runInBackground": bool, "wakeLock": bool, "displayOrientation": str,
              "connections": list},
    "connection": {"autoConnect": bool, "host": str, "port": int, "clientId": str, "connectionName": str, "connectionType": str,
                   "connectionTimeout": int, "keepAlive": int, "defaultDashboard": str, "connectionId": str, "dashboards": list,
                   "username": str, "password": str, "caPath": str, "dashboardQuickAccess": bool},
    "dashboard": {"dashboardId": str, "dashboardName": str, "dashboardPrefixTopic": str, "dashboardIcon": str,
                  "dashboardColor": str, "panels": list, "lockPanels": bool},
    "panel": {"showReceivedTimeStamp": bool, "panelName": str, "topic": str, "logLength": int, "showLatestMsgOnly": bool,
              "panelId": str, "type": str, "mqttType": str, "panelWidth": str, "qos": int, "hideTopic": bool,
              "disableDashboardPrefix": bool, "isJSONPayload": bool, "jsonPath": str, "unit": str, "panelMergeClass": str},
}


@pytest.fixture(scope="module")
def paper() -> Pairing:
    ca = certificates.authority(certificates.new_key(), ("broker.lan",), dt.datetime.now(dt.UTC))
    topics = tuple(f"doorstep/{door}/{leaf}" for door in ("front-door", "garden") for leaf in ("alert", "status"))
    return Pairing("anna", "broker.lan", 8883, "phone-anna-k3f9", "abcde-fghij-kmnpq-rstuv-wxyz2", topics, ca)


@pytest.fixture
def house(tmp_path: Path, runtime_folder: Path) -> Iterator[House]:
    with House(tmp_path, runtime_folder / "broker") as house:
        yield house


def test_the_settings_are_read_by_a_machine_as_by_a_person(paper: Pairing) -> None:
    """The relay and the tests come in with nothing else."""
    got = tomllib.loads(pairing.settings(paper))
    assert (got["host"], got["port"], got["user"], got["password"]) == (paper.host, paper.port, paper.user, paper.password)
    assert got["client_id"] == paper.user
    assert (got["tls"], got["clean_session"], got["qos"]) == (True, False, 1)
    assert 60 <= got["keepalive_s"] <= 300
    assert tuple(got["topics"]) == paper.topics


def test_the_import_for_iot_mqtt_panel_has_the_form_of_the_apps_own_export(paper: Pairing) -> None:
    """A key that the app does not know is a promise that it does not keep."""
    whole = json.loads(pairing.iot_mqtt_panel(paper))
    (connection,) = whole["connections"]
    (dashboard,) = connection["dashboards"]
    for part, kind in ((whole, "whole"), (connection, "connection"), (dashboard, "dashboard"),
                       *((panel, "panel") for panel in dashboard["panels"])):
        assert set(part) <= set(EXPORTED[kind]), kind
        for key, value in part.items():
            assert type(value) is EXPORTED[kind][key], key
    assert [panel["topic"] for panel in dashboard["panels"]] == list(paper.topics)
    assert (connection["connectionType"], connection["host"], connection["port"]) == ("ssl", paper.host, paper.port)
    assert (connection["clientId"], connection["username"], connection["password"]) == (paper.user, paper.user, paper.password)


def test_the_profile_for_an_iphone_is_a_root_certificate_and_always_the_same(paper: Pairing) -> None:
    """Installed again it replaces itself, instead of standing there twice."""
    profile = plistlib.loads(pairing.mobileconfig(paper.ca))
    assert pairing.mobileconfig(paper.ca) == pairing.mobileconfig(paper.ca)
    (root,) = profile["PayloadContent"]
    assert profile["PayloadType"] == "Configuration"
    assert root["PayloadType"] == "com.apple.security.root"
    assert x509.load_der_x509_certificate(root["PayloadContent"]) == paper.ca
    for part in (profile, root):
        assert {"PayloadIdentifier", "PayloadUUID", "PayloadVersion", "PayloadDisplayName"} <= set(part)
        assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", part["PayloadUUID"])
    assert profile["PayloadUUID"] != root["PayloadUUID"]


def test_each_qr_code_reads_as_what_it_stands_for(paper: Pairing, tmp_path: Path) -> None:
    """One scan."""
    files = pairing.documents(paper)
    codes = [name.removesuffix(".png") for name in files if name.endswith(".png")]
    assert {"settings", "ca.crt"} <= set(codes)
    for name in codes:
        (tmp_path / "qr.png").write_bytes(files[f"{name}.png"])
        with av.open(str(tmp_path / "qr.png")) as picture:
            (read,) = zxingcpp.read_barcodes(next(picture.decode(video=0)).to_ndarray(format="gray"))
        assert read.bytes == (files[name] if name in files else pairing.spoken(paper).encode())
        assert files[f"{name}.svg"].startswith(b"<?xml")
    assert max(map(len, pairing.qr_text(paper).splitlines()[0].split("\n"))) <= 80


def test_the_steps_are_five_lines_for_each_app_and_promise_no_alert_to_a_sleeping_iphone(paper: Pairing) -> None:
    """Whoever is told otherwise finds out at the worst moment."""
    text = pairing.steps(paper)
    for part in text.split("\n\n"):
        assert len(re.findall(r"^  \d\. ", part, re.MULTILINE)) in (0, 2, 5)
    assert "MQTT alone cannot wake an iPhone" in text
    for word in ("clean session off", "keepalive", "QoS 1", "battery", "doorstep.mobileconfig", "ntfy", "Home Assistant's app"):
        assert word in text
    assert paper.password not in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_papers_of_a_door_are_a_legal_configuration(house: House) -> None:
    """Carried to the door, they work as they are."""
    folder = house.root / "devices" / "front-door"
    door = config.load(folder / "doorstep.toml")
    assert (door.id, door.broker.host, door.broker.port, door.broker.user) == ("front-door", "localhost", house.port, "doorstep-front-door")
    done = doorstep("config", "check", folder / "doorstep.toml")
    assert done.returncode == 0, done.stderr


def test_phone_add_shows_settings_steps_and_in_a_terminal_a_code(house: House, tmp_path: Path) -> None:
    """The files may be far from the phone; the screen is not."""
    import pty

    done = doorstep("broker", "phone", "add", "anna", "--dir", house.root)
    assert "█" not in done.stdout
    got = house.papers("phones/anna")
    for word in (got["password"], got["user"], "IoT MQTT Panel", "iPhone", "Mosquitto (process"):
        assert word in done.stdout
    main, side = pty.openpty()
    out = bytearray()
    with subprocess.Popen([sys.executable, "-m", "device", "broker", "phone", "add", "bob", "--dir", str(house.root)],
                          stdout=side, stderr=side, env=environment(PYTHONIOENCODING="utf-8")) as process:
        os.close(side)
        until(lambda: reads(main, out) or process.poll() is not None, lambda: out.decode())
    os.close(main)
    assert "█".encode() in out or "▀".encode() in out
    assert all(len(line) <= 80 for line in out.decode().splitlines() if "█" in line)


def reads(descriptor: int, out: bytearray) -> bool:
    """Read what is there; whether the last step of the last app is among it."""
    try:
        out.extend(os.read(descriptor, 65536))
    except OSError:  # the other side is closed
        return True
    return b"is not delivered." in out


REFUSED = {
    "a phone with an odd name": (["phone", "add", "Anna's"], "try: annas"),
    "a phone that is there": (["phone", "add", "anna"], "phone remove anna"),
    "a phone for a door that is not": (["phone", "add", "bob", "--door", "cellar"], "the doors are: front-door"),
    "a phone that is not there": (["phone", "remove", "carla"], "the phones are: anna"),
    "a door with an odd name": (["device", "add", "a/b"], "try: a-b"),
    "a door that is there": (["device", "add", "front-door"], "device remove front-door"),
    "a door that is not there": (["device", "remove", "cellar"], "the doors are: front-door"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_with_a_hint_and_changes_nothing(
    house: House, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happened, then what to do."""
    house.do("phone", "add", "anna")
    before = {path: path.stat().st_mtime_ns for path in house.root.rglob("*")}
    words, says = REFUSED[case]
    capsys.readouterr()
    house.do(*words, status=2)
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("doorstep: error: ")
    assert says in hint
    assert {path: path.stat().st_mtime_ns for path in house.root.rglob("*")} == before


def test_lists_say_who_may_come_in(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Before one removes anybody."""
    house.do("device", "add", "garden")
    house.do("phone", "add", "anna")
    house.do("phone", "add", "bob", "--door", "garden")
    capsys.readouterr()
    house.do("device", "list")
    house.do("phone", "list")
    assert capsys.readouterr().out.splitlines() == ["front-door", "garden", "anna: front-door, garden", "bob: garden"]
    house.do("device", "remove", "garden")
    capsys.readouterr()
    house.do("phone", "list")
    assert capsys.readouterr().out.splitlines() == ["anna: front-door", "bob: no door"]


def test_a_ca_file_is_the_brokers_own(house: House) -> None:
    """A phone that is given another authority is given away."""
    house.do("phone", "add", "anna")
    ours = (house.root / "ca.crt").read_bytes()
    for path in house.root.rglob("*/ca.crt"):
        assert path.read_bytes() == ours
    assert x509.load_pem_x509_certificate(ours).public_bytes(serialization.Encoding.PEM) == ours
