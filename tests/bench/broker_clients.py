"""Doors and phones by the thousand in one process: what they say is the product's own, how is a few lines of MQTT 5.

Rule 1: a door is the product's Desk, Outbox and Words; only its wire is ours, since a client library's loop a door would be
        what is measured.
Rule 2: only what this contract needs of MQTT is spoken; anything else that comes is an error.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from device.tell.desk import Desk
from device.tell.discovery import BIRTH_TOPIC
from device.tell.outbox import Outbox
from device.tell.words import Alert, Publish, Status, Words

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
DOOR_KEEPALIVE_S, PHONE_KEEPALIVE_S = 30, 240  # device/tell/link.py, broker/pairing.py
SESSION_S = 86400


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text.encode())) + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while size > 127:
        length, size = length + bytes((size % 128 | 128,)), size // 128
    return bytes((first,)) + length + bytes((size,)) + body


def connect(user: str, password: str, keepalive_s: int, will: Publish | None) -> bytes:
    """A door comes clean, with a last will; a phone comes back to its session."""
    flags = 0xC0 | (0x2E if will else 0)  # name and password; clean start, a will, of QoS 1, retained
    session = b"" if will else b"\x11" + struct.pack("!I", SESSION_S)
    body = _text("MQTT") + bytes((5, flags)) + struct.pack("!H", keepalive_s) + bytes((len(session),)) + session + _text(user)
    if will:
        body += b"\x00" + _text(will.topic) + _text(will.payload)
    return _packet(0x10, body + _text(user) + _text(password))


def publish(message: Publish, number: int) -> bytes:
    expiry = b"" if message.expiry_s is None else b"\x02" + struct.pack("!I", message.expiry_s)
    return _packet(0x33 if message.retain else 0x32, _text(message.topic) + struct.pack("!H", number) + bytes((len(expiry),))
                   + expiry + message.payload.encode())


def subscribe(*topics: str) -> bytes:
    return _packet(0x82, struct.pack("!HB", 1, 0) + b"".join(_text(topic) + b"\x01" for topic in topics))


def packets(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take whole packets off `buffer`: (first byte, body)."""
    found = []
    while len(buffer) >= 2:
        length, at = 0, 1
        while True:
            if at >= len(buffer):
                return found
            length |= (buffer[at] & 127) << 7 * (at - 1)
            at += 1
            if buffer[at - 1] < 128:
                break
        if len(buffer) < at + length:
            return found
        found.append((buffer[0], bytes(buffer[at:at + length])))
        del buffer[:at + length]
    return found


class Wire(asyncio.Protocol):
    """One connection; `taken` gets (kind, first byte, body) of every packet."""

    def __init__(self, hello: bytes, taken: Callable[[int, int, bytes], None]) -> None:
        self._hello, self._taken, self._buffer = hello, taken, bytearray()
        self.lost = False
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.write(self._hello)

    def write(self, packet: bytes) -> None:
        self._transport.write(packet)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for first, body in packets(self._buffer):
            self._taken(first >> 4, first, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = not self.closing

    def close(self) -> None:
        self.closing = True
        self._transport.abort()


@dataclass(slots=True)
class Client:
    """What doors and phones have in common."""

    user: str
    password: str
    up: asyncio.Event = field(default_factory=asyncio.Event)
    wire: Wire = field(init=False)

    async def come(self, port: int, tls: ssl.SSLContext, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, self.wire = await loop.create_connection(lambda: Wire(hello, self.take), "127.0.0.1", port, ssl=tls,
                                                    server_hostname="localhost", ssl_handshake_timeout=120)
        await asyncio.wait_for(self.up.wait(), 120)

    def take(self, kind: int, first: int, body: bytes) -> None:
        raise NotImplementedError

    def ping(self) -> None:
        self.wire.write(b"\xc0\x00")


@dataclass(slots=True)
class Door(Client):
    """A door that is told when somebody comes; `told` is when, of those of which its phone has not heard."""

    id: str = ""
    acknowledged: int = 0  # alerts, with all that belongs to one
    told: deque[float] = field(default_factory=deque)
    on_done: Callable[[Door], None] | None = None
    _words: Words = field(init=False)
    _box: Outbox = field(init=False)
    _desk: Desk = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        self._words = Words(self.id, "front door")
        self._box = Outbox(None, 0.0)
        self._desk = Desk(self._words, self._box, button=True)
        self._desk.set_status(Status.WATCHING)
        self._desk.set_recording(False)
        self._desk.set_motion(False)

    async def arrive(self, port: int, tls: ssl.SSLContext) -> None:
        await self.come(port, tls, connect(self.user, self.password, DOOR_KEEPALIVE_S, self._words.status(Status.OFFLINE)))

    def motion(self) -> None:
        """Somebody comes."""
        now_s = time.monotonic()
        self.told.append(now_s)
        self._desk.set_motion(True)
        self._box.push(Alert.MOTION, now_s)
        self.say()

    def calm(self) -> None:
        """Somebody has gone."""
        self._desk.set_motion(False)
        self.say()

    def say(self) -> None:
        message = self._desk.next(time.monotonic())
        if message is not None:
            self._number = self._number % 65535 + 1
            self.wire.write(publish(message, self._number))

    def take(self, kind: int, first: int, body: bytes) -> None:
        if kind == CONNACK:
            assert body[1] == 0, f"{self.user} was refused: {body!r}"
            self._desk.connected()
            self.wire.write(subscribe(BIRTH_TOPIC))
            self.up.set()
            self.say()
        elif kind == PUBACK:
            assert len(body) < 3 or body[2] < 128, f"{self.user} may not say that: {body!r}"
            waiting = len(self._box)
            self._desk.acknowledged()
            self.acknowledged += waiting - len(self._box)
            self.say()
            if waiting and not len(self._box) and self.on_done is not None:
                self.on_done(self)
        else:
            assert kind in (SUBACK, PINGRESP), f"{self.user} got {first:#x}"

    @property
    def idle(self) -> bool:
        return self._desk.idle


@dataclass(slots=True)
class Phone(Client):
    """A phone that is awake, and notes how long after the door saw somebody it heard of it."""

    door: Door = field(kw_only=True)
    waits_s: list[float] = field(default_factory=list)
    subscribed: bool = False

    async def arrive(self, port: int, tls: ssl.SSLContext) -> None:
        await self.come(port, tls, connect(self.user, self.password, PHONE_KEEPALIVE_S, None))

    def take(self, kind: int, first: int, body: bytes) -> None:
        if kind == CONNACK:
            assert body[1] == 0, f"{self.user} was refused: {body!r}"
            self.wire.write(subscribe(f"doorstep/{self.door.id}/alert", f"doorstep/{self.door.id}/status"))
        elif kind == SUBACK:
            self.up.set()
        elif kind == PUBLISH:
            size = struct.unpack_from("!H", body)[0]
            if body[2:2 + size].endswith(b"/alert"):
                self.waits_s.append(time.monotonic() - self.door.told.popleft())
            if first & 0x06:
                self.wire.write(_packet(0x40, body[2 + size:4 + size]))
        else:
            assert kind == PINGRESP, f"{self.user} got {first:#x}"
