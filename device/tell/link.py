"""The connection to the broker: one thread that owns paho, and a mailbox on either side of it.

Rule 1: nothing the broker says is an instruction; of all it can send only one word on one topic is heard.
Rule 2: it never gives up and never floods: retries are jittered, capped, and said once per reason.
Rule 3: every connection is a fresh client, so no message lives in two queues.
"""

from __future__ import annotations

import enum
import queue
import random
import select
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

from device.bell import bell, drain, wake
from device.config import Broker
from device.tell.credentials import Credentials
from device.tell.discovery import BIRTH_TOPIC, BIRTH_WORD
from device.tell.trouble import in_words, retry_after_s, where
from device.tell.words import Publish

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
KEEPALIVE_S = 30  # the broker notices within one and a half of it that we are gone, and says "offline"
CONNECT_TIMEOUT_S = 5.0
ACKNOWLEDGE_MOST_S = 20.0  # a broker with a slow disk takes one; the keepalive alone would be answered for ever
PACKET_MOST_BYTES = 4096
SETTLED_AFTER_S = 10.0  # a connection that lived this long starts the back-off anew


class News(enum.Enum):
    """What the link tells its owner."""

    CONNECTED = enum.auto()
    ACKNOWLEDGED = enum.auto()
    REFUSED = enum.auto()  # the broker took the message and will not pass it on
    LOST = enum.auto()
    HOME_ASSISTANT_ONLINE = enum.auto()


@dataclass(frozen=True, slots=True)
class Report:
    """One piece of news; `reason` in plain words where something was lost or refused."""

    news: News
    reason: str = ""
    connection: int = 0  # which one, counted from 1


class Link:
    """`with Link(...) as link:`; `link` is readable to a selector when `reports()` has something."""

    def __init__(self, broker: Broker, credentials: Credentials, client_id: str, will: Publish) -> None:
        self._broker, self._credentials, self._client_id, self._will = broker, credentials, client_id, will
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[tuple[int, Publish]] = queue.SimpleQueue()
        self._ring, self._heard = bell()  # to our owner
        self._call, self._called = bell()  # to the thread
        self._stopping = threading.Event()
        self._protocol = self._first_protocol()
        self._refusal = ""
        self._up = False
        self._connection = 0
        self._sent_s: float | None = None  # when the message in flight was sent
        self._clean = False
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def part_cleanly(self) -> None:
        """Say goodbye at the end; without it the broker speaks our last will, as it should if all is not said."""
        self._clean = True

    def __exit__(self, *_: object) -> None:
        """Disconnect in bounded time: a thread inside a dead resolver is left to end with us."""
        self._stopping.set()
        wake(self._call)
        self._thread.join(CONNECT_TIMEOUT_S / 5)
        if not self._thread.is_alive():
            for end in (self._ring, self._heard, self._call, self._called):
                end.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with news."""
        return self._heard.fileno()

    def reports(self) -> list[Report]:
        """Return all news since the last call, oldest first; never blocks."""
        drain(self._heard)
        found = []
        while not self._reports.empty():
            found.append(self._reports.get_nowait())
        return found

    def publish(self, message: Publish, connection: int) -> None:
        """Send one message at QoS 1, on that connection only; ACKNOWLEDGED, REFUSED or LOST follows."""
        self._orders.put((connection, message))
        wake(self._call)

    # ---- from here on everything runs in the thread

    def _report(self, news: News, reason: str = "") -> None:
        self._reports.put(Report(news, reason, self._connection))
        wake(self._ring)

    def _run(self) -> None:
        tries = 0
        while not self._stopping.is_set():
            began_s, greeted, self._refusal = time.monotonic(), self._protocol, ""
            reason = self._live()
            if self._stopping.is_set():
                return
            if self._up:
                self._protocol = self._first_protocol()  # it may be another broker by now, or had been busy
            settled = self._up and time.monotonic() - began_s > SETTLED_AFTER_S
            tries = 0 if settled else tries + 1
            self._up, self._sent_s = False, None
            self._report(News.LOST, self._refusal or reason)
            soon = (greeted, self._protocol) == (V5, V311)  # it answers, and the other version is half of the same try
            self._stopping.wait(retry_after_s(1 if soon else tries, random.random()))

    def _live(self) -> str:
        """Hold one connection from beginning to end; return in plain words why it ended."""
        client = self._client()
        host = "127.0.0.1" if self._credentials.tls is None and self._broker.host == "localhost" else self._broker.host
        try:
            client.connect(host, self._broker.port, KEEPALIVE_S, properties=self._limits())
            code = self._serve(client)
        except OSError as error:
            return in_words(error, self._broker)
        except Exception as error:  # noqa: BLE001 - paho's parsers raise what they like on a hostile packet
            return f"{where(self._broker)} sent what is no MQTT ({type(error).__name__})"
        if not self._up and not self._refusal and self._other_protocol():  # RabbitMQ 3 trips over a greeting in MQTT 5
            return f"{where(self._broker)} broke off at our greeting; trying another version of MQTT"
        return f"the connection to {where(self._broker)} broke off ({mqtt.error_string(code)})"

    def _limits(self) -> Properties | None:
        """What an honest broker keeps to; the one word we listen for is shorter."""
        if self._protocol != V5:
            return None
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's is not annotated
        limits.MaximumPacketSize = PACKET_MOST_BYTES
        return limits

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
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, code: ReasonCode,
                    _properties: Properties | None) -> None:
        if not code.is_failure:
            self._up = True
            self._connection += 1
            client.subscribe(BIRTH_TOPIC, qos=0)
            self._report(News.CONNECTED)
        elif str(code) == "Unsupported protocol version" and self._other_protocol():
            self._refusal = f"{where(self._broker)} speaks no MQTT 5; going on with 3.1.1"
        else:
            self._refusal = f"{where(self._broker)} refused us: {str(code).lower()}"
            if str(code) in ("Not authorized", "Bad user name or password"):
                self._refusal += "; check user and password_file"

    def _first_protocol(self) -> MQTTProtocolVersion:
        return V311 if self._broker.mqtt_version == "3.1.1" else V5

    def _other_protocol(self) -> bool:
        """Greet in the other version of MQTT next time; False where the configuration names one."""
        if self._broker.mqtt_version != "auto":
            return False
        self._protocol = V311 if self._protocol == V5 else V5
        return True

    def _on_publish(self, _client: mqtt.Client, _data: object, _number: int, code: ReasonCode,
                    _properties: Properties | None) -> None:
        self._sent_s = None
        if code.is_failure:
            self._report(News.REFUSED, str(code).lower())
        else:
            self._report(News.ACKNOWLEDGED)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == BIRTH_TOPIC and message.payload == BIRTH_WORD:
            self._report(News.HOME_ASSISTANT_ONLINE)

    def _serve(self, client: mqtt.Client) -> MQTTErrorCode:
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        began_s = time.monotonic()
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            sock = client.socket()
            if sock is None or self._out_of_patience(began_s):
                return MQTTErrorCode.MQTT_ERR_CONN_LOST
            waiting = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            writes = [sock] if client.want_write() else []
            readable, writable, _ = select.select([sock, self._called], writes, [], 0 if waiting else 1.0)
            if self._called in readable:
                drain(self._called)
            if self._up:
                self._send_orders(client)
            if self._stopping.is_set():
                if self._clean:
                    client.disconnect()
                    client.loop_write()
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            code = self._step(client, reads=waiting or sock in readable, writes=sock in writable)
        return code

    def _out_of_patience(self, began_s: float) -> bool:
        """Whether the broker took too long over our greeting, or over a message."""
        now_s = time.monotonic()
        if not self._up and now_s - began_s > CONNECT_TIMEOUT_S:
            self._refusal = f"{where(self._broker)} took the connection and did not answer"
            self._other_protocol()  # some brokers without MQTT 5 misread its greeting and wait for more
            return True
        if self._sent_s is not None and now_s - self._sent_s > ACKNOWLEDGE_MOST_S:
            self._refusal = f"{where(self._broker)} does not acknowledge what we send"
            return True
        return False

    @staticmethod
    def _step(client: mqtt.Client, *, reads: bool, writes: bool) -> MQTTErrorCode:
        code = client.loop_read() if reads else MQTTErrorCode.MQTT_ERR_SUCCESS
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and (writes or client.want_write()):
            code = client.loop_write()
        return client.loop_misc() if code == MQTTErrorCode.MQTT_ERR_SUCCESS else code

    def _send_orders(self, client: mqtt.Client) -> None:
        while not self._orders.empty():
            connection, order = self._orders.get_nowait()
            if connection != self._connection:
                continue  # of a connection that is gone: due again by its owner's word, not by ours
            self._sent_s = time.monotonic()
            properties = None
            if order.expiry_s is not None and self._protocol == V5:
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's is not annotated
                properties.MessageExpiryInterval = order.expiry_s
            client.publish(order.topic, order.payload, qos=1, retain=order.retain, properties=properties)
