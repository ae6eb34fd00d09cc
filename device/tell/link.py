"""The connection to the broker: one thread that owns paho, and a mailbox on either side of it.

Rule 1: nothing the broker says is an instruction; of all it can send only one word on one topic is heard.
Rule 2: it never gives up and never floods: retries are jittered, capped, and said once per reason.
Rule 3: every connection is a fresh client, so no message lives in two queues.
"""

from __future__ import annotations

import contextlib
import enum
import queue
import random
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.config import Broker
from device.tell.credentials import Credentials
from device.tell.discovery import BIRTH_TOPIC, BIRTH_WORD
from device.tell.words import Publish

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
KEEPALIVE_S = 30  # the broker notices within one and a half of it that we are gone, and says "offline"
CONNECT_TIMEOUT_S = 5.0
RETRY_FIRST_S, RETRY_MOST_S = 0.5, 60.0
SETTLED_AFTER_S = 10.0  # a connection that lived this long starts the back-off anew


class News(enum.Enum):
    """What the link tells its owner."""

    CONNECTED = enum.auto()
    ACKNOWLEDGED = enum.auto()
    LOST = enum.auto()
    HOME_ASSISTANT_ONLINE = enum.auto()


@dataclass(frozen=True, slots=True)
class Report:
    """One piece of news; `reason` in plain words where the connection was lost or refused."""

    news: News
    reason: str = ""


class Link:
    """`with Link(...) as link:`; `link` is readable to a selector when `reports()` has something."""

    def __init__(self, broker: Broker, credentials: Credentials, client_id: str, will: Publish) -> None:
        self._broker, self._credentials, self._client_id, self._will = broker, credentials, client_id, will
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[Publish] = queue.SimpleQueue()
        self._ring, self._heard = _bell()  # to our owner
        self._call, self._called = _bell()  # to the thread
        self._stopping = threading.Event()
        self._protocol = V311 if broker.mqtt_version == "3.1.1" else V5
        self._refusal = ""
        self._up = False
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect cleanly, in bounded time: a thread inside a dead resolver is left to end with us."""
        self._stopping.set()
        _wake(self._call)
        self._thread.join(CONNECT_TIMEOUT_S / 5)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with news."""
        return self._heard.fileno()

    def reports(self) -> list[Report]:
        """Return all news since the last call, oldest first; never blocks."""
        _drain(self._heard)
        found = []
        while not self._reports.empty():
            found.append(self._reports.get_nowait())
        return found

    def publish(self, message: Publish) -> None:
        """Send one message at QoS 1; ACKNOWLEDGED or LOST follows."""
        self._orders.put(message)
        _wake(self._call)

    # ---- from here on everything runs in the thread

    def _report(self, news: News, reason: str = "") -> None:
        self._reports.put(Report(news, reason))
        _wake(self._ring)

    def _run(self) -> None:
        tries = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            self._refusal = ""
            reason = self._live()
            if self._stopping.is_set():
                return
            settled = self._up and time.monotonic() - began_s > SETTLED_AFTER_S
            tries = 0 if settled else tries + 1
            self._up = False
            self._report(News.LOST, self._refusal or reason)
            self._stopping.wait(retry_after_s(tries, random.random()))

    def _live(self) -> str:
        """Hold one connection from beginning to end; return in plain words why it ended."""
        client = self._client()
        host = "127.0.0.1" if self._credentials.tls is None and self._broker.host == "localhost" else self._broker.host
        try:
            client.connect(host, self._broker.port, KEEPALIVE_S)
            self._discard_orders()
            code = self._serve(client)
        except (OSError, ValueError) as error:
            return in_words(error, self._broker)
        return f"the connection to {_where(self._broker)} broke off ({mqtt.error_string(code)})"

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=self._protocol,
            clean_session=None if self._protocol == V5 else True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._credentials.password)
        if self._credentials.tls is not None:
            client.tls_set_context(self._credentials.tls)
        client.will_set(self._will.topic, self._will.payload, qos=1, retain=self._will.retain)
        client.on_connect = self._on_connect
        client.on_publish = lambda *_: self._report(News.ACKNOWLEDGED)
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, code: ReasonCode,
                    _properties: Properties | None) -> None:
        if not code.is_failure:
            self._up = True
            client.subscribe(BIRTH_TOPIC, qos=0)
            self._report(News.CONNECTED)
        elif str(code) == "Unsupported protocol version" and self._other_protocol():
            self._refusal = f"{_where(self._broker)} speaks no MQTT 5; going on with 3.1.1"
        else:
            self._refusal = f"{_where(self._broker)} refused us: {str(code).lower()}"
            if str(code) in ("Not authorized", "Bad user name or password"):
                self._refusal += "; check user and password_file"

    def _other_protocol(self) -> bool:
        """Greet in the other version of MQTT next time; False where the configuration names one."""
        if self._broker.mqtt_version != "auto":
            return False
        self._protocol = V311 if self._protocol == V5 else V5
        return True

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == BIRTH_TOPIC and message.payload == BIRTH_WORD:
            self._report(News.HOME_ASSISTANT_ONLINE)

    def _discard_orders(self) -> None:
        """What was ordered of a connection that is gone is due again by its owner's word, not by ours."""
        while not self._orders.empty():
            self._orders.get_nowait()

    def _serve(self, client: mqtt.Client) -> MQTTErrorCode:
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        until_s = time.monotonic() + CONNECT_TIMEOUT_S
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            sock = client.socket()
            if sock is None:
                return MQTTErrorCode.MQTT_ERR_CONN_LOST
            waiting = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            writes = [sock] if client.want_write() else []
            readable, writable, _ = select.select([sock, self._called], writes, [], 0 if waiting else 1.0)
            if self._called in readable:
                _drain(self._called)
            if self._up:
                self._send_orders(client)
            elif time.monotonic() > until_s:
                self._refusal = f"{_where(self._broker)} took the connection and did not answer"
                self._other_protocol()  # some brokers without MQTT 5 misread its greeting and wait for more
                return MQTTErrorCode.MQTT_ERR_CONN_LOST
            if self._stopping.is_set():
                client.disconnect()
                client.loop_write()
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            if waiting or sock in readable:
                code = client.loop_read()
            if code == MQTTErrorCode.MQTT_ERR_SUCCESS and (sock in writable or client.want_write()):
                code = client.loop_write()
            if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
                code = client.loop_misc()
        return code

    def _send_orders(self, client: mqtt.Client) -> None:
        while not self._orders.empty():
            order = self._orders.get_nowait()
            properties = None
            if order.expiry_s is not None and self._protocol == V5:
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's is not annotated
                properties.MessageExpiryInterval = order.expiry_s
            client.publish(order.topic, order.payload, qos=1, retain=order.retain, properties=properties)


def retry_after_s(tries: int, jitter: float) -> float:
    """Seconds before try number `tries` + 1: doubling, capped, spread by `jitter` in [0, 1).

    "Full jitter" halves kept: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    whole_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** min(max(tries - 1, 0), 16))
    return whole_s * (0.5 + 0.5 * jitter)


def in_words(error: Exception, broker: Broker) -> str:
    """Say in one line why no connection came about, and what to check."""
    where = _where(broker)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{where} is not who it should be ({error.verify_message}); check ca_file and host"
    if isinstance(error, ssl.SSLError):
        return f"{where} does not speak TLS as we do ({error.reason or 'no handshake'}); check port"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refuses connections; is the broker running?"
    if isinstance(error, socket.gaierror):
        return f"no machine is called {broker.host}; check host"
    if isinstance(error, TimeoutError):
        return f"{where} does not answer; check host, port and the network"
    return f"no connection to {where} ({error.strerror if isinstance(error, OSError) else error})"


def _where(broker: Broker) -> str:
    return f"{broker.host}:{broker.port}"


def _bell() -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


def _wake(bell: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):  # it rings already
        bell.send(b"\0")


def _drain(bell: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):  # drained
        while bell.recv(4096):
            pass
