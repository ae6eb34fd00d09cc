"""The relay to ntfy: a phone that never sleeps, and passes on the words of an alert and nothing else.

Rule 1: only what could be an alert is passed on; no topic of MQTT, no name of a device, no picture fits.
Rule 2: an alert is acknowledged to the broker when ntfy has it; until then it waits there, and nothing is written.
Rule 3: no line of the log is written because somebody came; what failed is said on the hour.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import ssl
import time
import tomllib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.pairing import KEEPALIVE_S
from device.config import Broker, is_loopback
from device.errors import ConfigError
from device.log import Log
from device.stopping import Stop
from device.tell import credentials
from device.tell.languages import heard
from device.tell.trouble import in_words, retry_after_s, where
from device.tell.words import EXPIRY_S, PAYLOAD_MOST_BYTES, late_words

SESSION_S = 86400  # what comes while the relay is down waits at the broker, as for a phone
POST_MOST_S = 10.0
_URL = r"(https?)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/([A-Za-z0-9_-]{1,64})"  # ntfy's own topics


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """The topic of an ntfy server. Never shown: whoever knows it can read it."""

    tls: bool
    host: str
    port: int | None
    topic: str
    token: str


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """How the relay comes in at the broker."""

    broker: Broker
    user: str
    password: str
    topics: tuple[str, ...]


def target(values: dict[str, Any]) -> Target:
    """Read what TO says. Raise ConfigError where alerts would leave the house in plain."""
    url = re.fullmatch(_URL, str(values.get("url")))
    token = re.fullmatch(r"[A-Za-z0-9_]{0,64}", str(values.get("token", "")))
    if not url or not token or set(values) - {"url", "token"} or (url[1] == "http" and not is_loopback(url[2])):
        raise ConfigError("TO does not name a topic of an ntfy server over https",
                          'url = "https://ntfy.example/a-long-random-topic" and, if it must be, token = "tk_..."')
    return Target(url[1] == "https", url[2].strip("[]"), int(url[3]) if url[3] else None, url[4], token[0])


def entry(values: dict[str, Any], folder: Path) -> Entry:
    """Read the settings of a pairing, as pairing.settings() writes them."""
    try:
        topics = tuple(topic for topic in values["topics"] if topic.endswith("/alert"))
        broker = Broker(host=values["host"], port=values["port"], ca_file=str(folder / values["ca_file"]))
        return Entry(broker, values["user"], values["password"], topics)
    except (KeyError, TypeError, AttributeError):
        raise ConfigError(f"{folder} holds no pairing", "try: doorstep broker phone add relay") from None


def words_of(payload: bytes, left_s: int | None) -> str | None:
    """Return the words to pass on, None for what is no alert; `left_s` is what is left of the hour an alert lives."""
    text = payload.decode(errors="replace")
    if not text or not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text or len(payload) > PAYLOAD_MOST_BYTES:
        return None
    language, is_late = heard(text)
    late = late_words(EXPIRY_S - left_s, language) if left_s is not None and not is_late else ""
    return f"{text}, {late}" if late else text


def ask(to: Target, method: str, path: str, body: bytes = b"") -> str:
    """Ask the ntfy server; return why it refuses, or nothing. No redirect is followed: the token is for it alone."""
    headers = {"Authorization": f"Bearer {to.token}"} if to.token else {}
    kind = http.client.HTTPSConnection if to.tls else http.client.HTTPConnection  # it verifies: ssl's default
    connection = kind(to.host, to.port, timeout=POST_MOST_S)
    try:
        connection.request(method, path, body, headers)
        status = connection.getresponse().status
    except ssl.SSLCertVerificationError as error:
        return f"{to.host} is not who it should be ({error.verify_message})"
    except (OSError, http.client.HTTPException) as error:
        return f"{to.host} cannot be reached ({type(error).__name__})"
    finally:
        connection.close()
    return "" if status == http.client.OK else f"{to.host} refuses ({status}); check url and token"


def run(phone: Path, to_file: Path) -> int:
    """Relay until asked to stop."""
    to = target(_secret(to_file))
    where_to = entry(_secret(phone / "settings.toml"), phone)
    tls = credentials.load(where_to.broker).tls
    assert tls is not None  # Broker's default
    with Stop() as stop:
        _Relay(where_to, tls, to, stop).run()
    return 0


@dataclass(slots=True)
class _Relay:
    entry: Entry
    tls: ssl.SSLContext
    to: Target
    stop: Stop
    log: Log = field(default_factory=lambda: Log("ntfy"))
    _waiting: deque[mqtt.MQTTMessage] = field(default_factory=deque)
    _refusal: str = ""
    _said: str = ""
    _failed: int = 0
    _hour: int = 0

    def run(self) -> None:
        if trouble := ask(self.to, "GET", "/v1/health"):
            self._say(trouble)
        tries = 0
        while not self.stop.asked:
            self._waiting.clear()  # not acknowledged: the broker sends it again
            self._refusal = ""
            try:
                tries = 1 if self._live(self._client()) else tries + 1
                reason = self._refusal or f"the connection to {where(self.entry.broker)} broke off"
            except OSError as error:
                tries, reason = tries + 1, in_words(error, self.entry.broker)
            if not self.stop.asked:
                self._say(f"{reason}; trying again")
                self.stop.wait(retry_after_s(tries, random.random()))

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, self.entry.user, protocol=MQTTProtocolVersion.MQTTv5,
                             manual_ack=True)
        client.tls_set_context(self.tls)
        client.username_pw_set(self.entry.user, self.entry.password)
        client.on_connect = self._on_connect
        client.on_message = lambda _client, _data, message: self._waiting.append(message)
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, code: ReasonCode,
                    _properties: Properties | None) -> None:
        if code.is_failure:
            self._refusal = f"the broker refuses the relay ({str(code).lower()}); was it removed?"
            return
        client.subscribe([(topic, 1) for topic in self.entry.topics])
        self._say(f"connected to {where(self.entry.broker)}")

    def _live(self, client: mqtt.Client) -> bool:
        """Hold one connection to its end; return whether the broker had let us in."""
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's is not annotated
        session.SessionExpiryInterval = SESSION_S
        client.connect(self.entry.broker.host, self.entry.broker.port, KEEPALIVE_S, clean_start=False,
                       properties=session)
        again_s, failures = 0.0, 0
        while not self.stop.asked and client.loop(0.5) == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._say_on_the_hour()
            if not self._waiting or time.monotonic() < again_s:
                continue
            message = self._waiting[0]
            words = words_of(bytes(message.payload), getattr(message.properties, "MessageExpiryInterval", None))
            if words is not None and ask(self.to, "POST", f"/{self.to.topic}", words.encode()):
                failures, self._failed = failures + 1, self._failed + 1
                again_s = time.monotonic() + retry_after_s(failures, random.random())
                continue
            failures = 0
            self._waiting.popleft()
            client.ack(message.mid, message.qos)
        client.disconnect()
        client.loop(0.1)
        return not self._refusal

    def _say_on_the_hour(self) -> None:
        hour, self._hour = self._hour, int(time.time() // 3600)
        if self._failed and hour != self._hour:
            self.log.say(f"{self.to.host} did not take what it was sent in the last hour; check url and token")
            self._failed = 0

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.log.say(text)


def _secret(path: Path) -> dict[str, Any]:
    # What systemd hands over (LoadCredential=) is ours alone; its mode shows the mask of its ACL.
    handed = os.environ.get("CREDENTIALS_DIRECTORY") == str(path.parent)
    try:
        if path.stat().st_mode & 0o077 and not handed:
            raise ConfigError(f"{path} can be read by others", f"try: chmod 600 {path}")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "see: doorstep broker ntfy --help") from None
    except (UnicodeError, tomllib.TOMLDecodeError):
        raise ConfigError(f"{path} is no TOML", "see: doorstep broker ntfy --help") from None
