"""What a phone, a door or Home Assistant is given to connect: settings in words, files to import, QR codes, steps.

Rule 1: it promises what has been verified and says of the rest that it has not.
Rule 2: a document holds the secret of its own user and of nobody else.
"""

from __future__ import annotations

import io
import json
import plistlib
import uuid
from dataclasses import dataclass

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from broker import papers
from broker.papers import PAPERS, Papers
from device.versions import VERSION

KEEPALIVE_S = 240  # minutes, so that the radio sleeps; below the five after which routers forget a connection
_QR_MOST_BYTES = 1900  # what a phone's camera still reads from a screen; the largest code holds 2,953
_APP_CA = "/storage/emulated/0/Download/ca.crt"  # where Android puts what it downloads


@dataclass(frozen=True, slots=True, repr=False)
class Pairing:
    """What one user needs to connect. Never shown by accident: it has no repr."""

    name: str
    host: str
    port: int
    user: str
    password: str
    topics: tuple[str, ...]  # to subscribe to
    ca: x509.Certificate
    language: str = "en"

    @property
    def papers(self) -> Papers:
        """The words on its papers."""
        return PAPERS[self.language]


def settings(pairing: Pairing) -> str:
    """Return the settings, in words that `doorstep broker ntfy` reads too."""
    rows: dict[str, object] = {
        "host": pairing.host,
        "port": pairing.port,
        "tls": True,
        "ca_file": "ca.crt",
        "user": pairing.user,
        "password": pairing.password,
        "client_id": pairing.user,
        "clean_session": False,
        "qos": 1,
        "keepalive_s": KEEPALIVE_S,
        "topics": list(pairing.topics),
    }
    why = pairing.papers.comments
    lines = [f"{key} = {json.dumps(value)}{f'  # {why[key]}' if key in why else ''}" for key, value in rows.items()]
    return "\n".join([f"# {pairing.papers.head.format(name=pairing.name)}", *lines, ""])


def spoken(pairing: Pairing) -> str:
    """Return the settings as few lines, for a QR code that any camera shows as text."""
    lines = pairing.papers.spoken.format(host=pairing.host, port=pairing.port, user=pairing.user,
                                         password=pairing.password, keepalive_s=KEEPALIVE_S)
    return "\n".join((lines, *pairing.topics))


def iot_mqtt_panel(pairing: Pairing) -> str:
    """Return an import for the app IoT MQTT Panel: a log of the alerts and a line of status for each door.

    Every key is one of a file that the app itself exported (version 54 of its data); none is guessed.
    """
    panels = []
    for number, topic in enumerate(pairing.topics):
        door, leaf = topic.split("/")[1:]
        panels.append({
            "panelId": f"panel_{number}", "type": "log", "mqttType": "sub",
            "panelName": f"{door} {pairing.papers.leaves[leaf]}",
            "topic": topic, "qos": 1, "disableDashboardPrefix": True, "panelWidth": "100", "hideTopic": True,
            "logLength": 20 if leaf == "alert" else 1, "showLatestMsgOnly": leaf != "alert",
            "showReceivedTimeStamp": True,
        })
    dashboard = {"dashboardId": "dashboard_0", "dashboardName": "Doorstep", "dashboardPrefixTopic": "",
                 "dashboardIcon": "assignment", "dashboardColor": "#4CAF50", "lockPanels": True, "panels": panels}
    connection = {
        "connectionId": "connection_0", "connectionName": "Doorstep", "connectionType": "ssl", "host": pairing.host,
        "port": pairing.port, "clientId": pairing.user, "username": pairing.user, "password": pairing.password,
        "caPath": _APP_CA, "autoConnect": True, "connectionTimeout": 30, "keepAlive": KEEPALIVE_S,
        "dashboardQuickAccess": False, "defaultDashboard": "dashboard_0", "dashboards": [dashboard],
    }
    return json.dumps({"dataVersion": 54, "appTheme": "default", "runInBackground": True, "wakeLock": False,
                       "displayOrientation": "portrait", "connections": [connection]}, separators=(",", ":"))


def mobileconfig(ca: x509.Certificate, words: Papers = PAPERS["en"]) -> bytes:
    """Return a profile with which an iPhone learns of the broker's authority; again and again the same."""
    der = ca.public_bytes(serialization.Encoding.DER)
    mark = ca.fingerprint(hashes.SHA256()).hex()

    def payload(kind: str, part: str, **more: object) -> dict[str, object]:
        return {"PayloadType": kind, "PayloadVersion": 1, "PayloadIdentifier": f"doorstep.{mark[:16]}.{part}",
                "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{mark} {part}")).upper(),
                "PayloadDisplayName": words.authority, **more}

    root = payload("com.apple.security.root", "ca", PayloadCertificateFileName="ca.crt", PayloadContent=der)
    return plistlib.dumps(payload("Configuration", "profile", PayloadContent=[root], PayloadDescription=words.about,
                                  PayloadRemovalDisallowed=False))


def steps(pairing: Pairing) -> str:
    """Return how each app is set up, in five lines each, and what each can do."""
    alerts = ", ".join(topic for topic in pairing.topics if topic.endswith("/alert")) or pairing.papers.no_door
    return papers.steps(pairing.language).format(name=pairing.name, host=pairing.host, port=pairing.port,
                                                 user=pairing.user, keepalive_s=KEEPALIVE_S, alerts=alerts)


def documents(pairing: Pairing) -> dict[str, bytes]:
    """Return every file of a phone's pairing; each text also as a QR code where a camera can still read it."""
    ca = pairing.ca.public_bytes(serialization.Encoding.PEM)
    panel, profile = iot_mqtt_panel(pairing).encode(), mobileconfig(pairing.ca, pairing.papers)
    files = {"settings.toml": settings(pairing).encode(), "steps.txt": steps(pairing).encode(), "ca.crt": ca,
             "iot-mqtt-panel.json": panel, "doorstep.mobileconfig": profile}
    for name, content in (("settings", spoken(pairing).encode()), ("ca.crt", ca), ("iot-mqtt-panel.json", panel),
                          ("doorstep.mobileconfig", profile)):
        if len(content) <= _QR_MOST_BYTES:
            files |= {f"{name}.{kind}": _qr_file(content, kind) for kind in ("png", "svg")}
    return files


def door_toml(pairing: Pairing, door: str) -> str:
    """Return the doorstep.toml of a door, to be completed with `place` and whatever else is wanted."""
    return (f'version = {VERSION}\nid = "{door}"\n\n[broker]\nhost = "{pairing.host}"\nport = {pairing.port}\n'
            f'ca_file = "ca.crt"\nuser = "{pairing.user}"\npassword_file = "password"\n')


def qr_text(pairing: Pairing) -> str:
    """Return the settings as a QR code for a terminal 80 columns wide."""
    out = io.StringIO()
    _qr(spoken(pairing).encode()).terminal(out, compact=True, border=2)
    return out.getvalue()


def _qr(content: bytes) -> segno.QRCode:
    return segno.make_qr(content, error="L", boost_error=False)


def _qr_file(content: bytes, kind: str) -> bytes:
    out = io.BytesIO()
    _qr(content).save(out, kind=kind, scale=6)
    return out.getvalue()
