"""What a phone, a door or Home Assistant is given to connect: settings in words, files to import, QR codes, steps.

Rule 1: it promises what has been verified and says of the rest that it has not.
Rule 2: a document holds the secret of its own user and of nobody else.
"""

from __future__ import annotations

import io
import json
import plistlib
import textwrap
import uuid
from dataclasses import dataclass

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

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


def settings(pairing: Pairing) -> str:
    """Return the settings, in words that `doorstep broker ntfy` reads too."""
    rows: list[tuple[str, object, str]] = [
        ("host", pairing.host, "the broker"),
        ("port", pairing.port, "MQTT over TLS"),
        ("tls", True, "and its certificate is verified with ca_file"),
        ("ca_file", "ca.crt", ""),
        ("user", pairing.user, ""),
        ("password", pairing.password, ""),
        ("client_id", pairing.user, "fixed; the broker gives this one whatever the app says"),
        ("clean_session", False, "so that alerts wait while the phone sleeps"),
        ("qos", 1, "of each subscription"),
        ("keepalive_s", KEEPALIVE_S, ""),
        ("topics", list(pairing.topics), "to subscribe to"),
    ]
    lines = [f"{key} = {json.dumps(value)}{f'  # {why}' if why else ''}" for key, value, why in rows]
    head = f"# The settings of {pairing.name}. Whoever has them is {pairing.name} to the broker."
    return "\n".join([head, *lines, ""])


def spoken(pairing: Pairing) -> str:
    """Return the settings as few lines, for a QR code that any camera shows as text."""
    return "\n".join((f"host {pairing.host}", f"port {pairing.port} TLS", f"user {pairing.user}",
                      f"password {pairing.password}", f"client id {pairing.user}", "clean session off, QoS 1",
                      f"keepalive {KEEPALIVE_S}", *pairing.topics))


def iot_mqtt_panel(pairing: Pairing) -> str:
    """Return an import for the app IoT MQTT Panel: a log of the alerts and a line of status for each door.

    Every key is one of a file that the app itself exported (version 54 of its data); none is guessed.
    """
    panels = []
    for number, topic in enumerate(pairing.topics):
        door, leaf = topic.split("/")[1:]
        panels.append({
            "panelId": f"panel_{number}", "type": "log", "mqttType": "sub", "panelName": f"{door} {leaf}",
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


def mobileconfig(ca: x509.Certificate) -> bytes:
    """Return a profile with which an iPhone learns of the broker's authority; again and again the same."""
    der = ca.public_bytes(serialization.Encoding.DER)
    mark = ca.fingerprint(hashes.SHA256()).hex()

    def payload(kind: str, part: str, **more: object) -> dict[str, object]:
        return {"PayloadType": kind, "PayloadVersion": 1, "PayloadIdentifier": f"doorstep.{mark[:16]}.{part}",
                "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{mark} {part}")).upper(),
                "PayloadDisplayName": "Doorstep: the broker's authority", **more}

    root = payload("com.apple.security.root", "ca", PayloadCertificateFileName="ca.crt", PayloadContent=der)
    about = "Lets apps verify the broker of this house. It can vouch for this house's names and addresses only."
    return plistlib.dumps(payload("Configuration", "profile", PayloadContent=[root], PayloadDescription=about,
                                  PayloadRemovalDisallowed=False))


def steps(pairing: Pairing) -> str:
    """Return how each app is set up, in five lines each, and what each can do."""
    alerts = ", ".join(topic for topic in pairing.topics if topic.endswith("/alert")) or "(no door yet)"
    return textwrap.dedent(f"""\
        Pairing {pairing.name}. One pairing is for one phone: a second one with the same settings pushes out the first.
        When the phone is paired, delete this folder: the broker does not need it, and it holds the password.

        IoT MQTT Panel (Android)
          1. Copy ca.crt into the phone's Download folder, and iot-mqtt-panel.json too.
          2. In the app choose to import a configuration, and take iot-mqtt-panel.json.
          3. Edit the connection: set the certificate path to ca.crt, once, if the app does not find it.
          4. There too: clean session off; in the alert panel: notifications on.
          5. Android, settings, battery: let the app run in the background without restriction.
          (The file has the form of the app's own export; clean session and notifications do not stand in that.)

        MQTT Dash, and any other MQTT app on Android
          1. New connection: host {pairing.host}, port {pairing.port}, TLS on, ca.crt as its authority.
          2. User {pairing.user}, the password as in settings.toml, client id the same as the user.
          3. Clean session off, keepalive {KEEPALIVE_S} s.
          4. Subscribe with QoS 1 to {alerts}; notify on each message.
          5. Android, settings, battery: let the app run in the background without restriction.
          (MQTT Dash takes imports from an MQTT topic only; a phone of Doorstep may write none.)

        iPhone
          MQTT alone cannot wake an iPhone: iOS stops an app in the background and its connection with it. Two ways can:
          1. Home Assistant's app: doorstep broker setup --home-assistant, then an automation on the Alert entity.
          2. The ntfy app: doorstep broker ntfy --help says how, and what ntfy's and Apple's servers see.
          An MQTT app still shows alerts while it is open, and those that waited when it is opened:
          send doorstep.mobileconfig to the phone, open it, install it under Settings, General, VPN & Device Management,
          trust it under Settings, General, About, Certificate Trust Settings, and set the app up as above.

        So that alerts arrive while the phone sleeps: fixed client id, clean session off, QoS 1, a keepalive of
        minutes, and no battery optimisation for the app. What waits longer than an hour is not delivered.
        """)


def documents(pairing: Pairing) -> dict[str, bytes]:
    """Return every file of a phone's pairing; each text also as a QR code where a camera can still read it."""
    ca = pairing.ca.public_bytes(serialization.Encoding.PEM)
    panel, profile = iot_mqtt_panel(pairing).encode(), mobileconfig(pairing.ca)
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
