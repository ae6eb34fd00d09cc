"""A hundred doors in one process: all of `tell` but its loop, each with its own link, against a broker of several nodes.

    python -m tests.rabbit.doors FIRST COUNT PORT ADDRESS...

Each tells ALERTS, one after another, whatever becomes of the nodes. What is said of it on standard output: "up" when all
are connected (then a line on standard input lets them begin), and in the end how often a connection was lost.
"""

from __future__ import annotations

import random
import selectors
import socket
import sys
from contextlib import ExitStack
from typing import Any

from device.config import parse
from device.log import Log
from device.messages import Receiver, SeeToTell, Sender, pair
from device.tell.credentials import Credentials
from device.tell.link import Link
from device.tell.outbox import Outbox
from device.tell.process import _Teller, boottime_s
from device.tell.words import Alert, Status, Words

# Each another kind, so that one which comes twice cannot stand for one which is lost.
ALERTS = tuple(alert for alert in Alert if alert is not Alert.NO_CAMERA)[:10]
EVERY_S = 1.5


class Counted(Log):
    """What a door says, counted: of 500 nobody reads it."""

    lost = 0

    def say(self, text: str) -> None:
        Counted.lost += "trying again" in text


class Door:
    """One door, which is alive, sees nothing, and has ALERTS to tell."""

    def __init__(self, number: int, port: int, stack: ExitStack) -> None:
        self.config = parse(f'id = "door-{number}"\nplace = "door {number}"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
                            'tls = false\nmqtt_version = "3.1.1"\n')
        words = Words(self.config.id, self.config.place)
        writer, reader = pair()
        self.see = Sender[SeeToTell](stack.enter_context(writer))
        self.outbox = Outbox(None, boottime_s())
        self.link = stack.enter_context(Link(self.config.broker, Credentials(None, None), self.config.id,
                                             words.status(Status.OFFLINE)))
        self.teller = _Teller(self.config, {"see": Receiver(stack.enter_context(reader), SeeToTell)}, self.link, self.outbox,
                              words, Counted("tell"))
        self.told = 0
        self.due_s = 0.0

    def step(self, now_s: float, *, second: bool) -> None:
        if second:
            self.see.send_alive(SeeToTell.ALIVE)
        if self.due_s and now_s >= self.due_s and self.told < len(ALERTS):
            self.outbox.push(ALERTS[self.told], now_s)
            self.told, self.due_s = self.told + 1, self.due_s + EVERY_S
        self.teller.step(now_s)

    @property
    def done(self) -> bool:
        return self.told == len(ALERTS) and not len(self.outbox)


def at_any_of(addresses: list[str]) -> None:
    """Let the broker's name have several addresses, in no order: as a DNS of which nobody knows that a node is dead."""
    def found(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        order = random.sample(addresses, len(addresses))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in order]

    socket.getaddrinfo = found  # type: ignore[assignment]  # this process has no other use for it


def main(first: int, count: int, port: int, addresses: list[str]) -> None:
    at_any_of(addresses)
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        doors = [Door(number, port, stack) for number in range(first, first + count)]
        for door in doors:
            selector.register(door.link, selectors.EVENT_READ, door)
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        up, begun, second_s = False, False, 0.0
        while not all(door.done for door in doors):
            ready = {key.data for key, _ in selector.select(0.1)}
            now_s = boottime_s()
            second = now_s - second_s >= 1
            second_s = now_s if second else second_s
            if None in ready and not begun:
                begun = True
                selector.unregister(sys.stdin)
                for door in doors:
                    door.due_s = now_s + random.uniform(0, EVERY_S)
            for door in doors:
                if second or door in ready or 0 < door.due_s <= now_s:
                    door.step(now_s, second=second)
            if not up and all(door.teller._connection for door in doors):
                up = True
                print("up", flush=True)
        print(f"lost {Counted.lost}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4:])
