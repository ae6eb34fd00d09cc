"""Somebody at the broker's door, for the check: comes in any manner and says how it was received.

Rule 1: nothing is taken for granted: each answer is what the broker did, in words.
Rule 2: every visit is over within MOST_S.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.names import RETAINED

MOST_S = 5.0
IN, BROKE_OFF = "let in", "the connection was broken off"


@dataclass(slots=True)
class Visitor:
    """`with Visitor(host, port, tls) as visitor:`; `received` says how, IN if it may come in."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    user: str = ""
    password: str = ""
    received: str = ""
    retained: set[str] = field(default_factory=set)
    statistics: bool = False  # whether anything came from $SYS
    _answer: str = ""
    _client: mqtt.Client = field(init=False)

    def __enter__(self) -> Self:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="check", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.connect_timeout = MOST_S
        if self.tls is not None:
            self._client.tls_set_context(self.tls)
        if self.user:
            self._client.username_pw_set(self.user, self.password)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_answer
        self._client.on_message = self._on_message
        self.received = self._shown_off()
        if not self.received:
            self._client.connect(self.host, self.port, clean_start=True)
            self.received = self._until_answered()
        return self

    def _shown_off(self) -> str:
        """Why there is not even a connection; tried apart, as paho leaves a failed handshake's socket open."""
        try:
            with socket.create_connection((self.host, self.port), MOST_S) as plain:
                if self.tls is not None:
                    self.tls.wrap_socket(plain, server_hostname=self.host).close()
        except OSError as error:
            return _why(error)
        return ""

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop(0.1)
        del self._client  # paho closes its own pair of sockets when it is collected

    def publish(self, topic: str, payload: bytes) -> str:
        """Publish at QoS 1; return the broker's answer in words, which to somebody outside is how he was received."""
        if self.received != IN:
            return self.received
        self._answer = ""
        self._client.publish(topic, payload, qos=1)
        return self._until_answered()

    def listen(self, seconds: float) -> None:
        """Subscribe to everything, and note what is retained and whether statistics come."""
        self._client.subscribe([("#", 1), ("$SYS/#", 1)])
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s and self._client.loop(0.1) == MQTTErrorCode.MQTT_ERR_SUCCESS:
            pass

    def _until_answered(self) -> str:
        until_s = time.monotonic() + MOST_S
        while not self._answer:
            if self._client.loop(0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._answer or BROKE_OFF
            if time.monotonic() > until_s:
                return "no answer"
        return self._answer

    def _on_connect(self, _client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, code: ReasonCode,
                    _properties: Properties | None) -> None:
        self._answer = str(code).lower() if code.is_failure else IN

    def _on_answer(self, _client: mqtt.Client, _data: object, _number: int, code: ReasonCode,
                   _properties: Properties | None) -> None:
        self._answer = str(code).lower() if code.is_failure else IN

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("$"):
            self.statistics = True
        elif message.retain:
            self.retained.add(message.topic)


def records(retained: set[str]) -> set[str]:
    """Return those topics that the broker should not remember."""
    return {topic for topic in retained if not any(re.fullmatch(pattern, topic) for pattern in RETAINED)}


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no handshake").lower().replace("_", " ")
    return error.strerror or str(error) or type(error).__name__
