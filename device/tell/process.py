"""The process that has the network: messages of `see` and `keep` in, MQTT out.

Rule 1: it reads bytes from the links and words from the broker's one topic; it has no other input.
Rule 2: a broker that is gone is waited for; only a configuration error ends it.
"""

from __future__ import annotations

import heapq
import os
import selectors
import socket
import time
from collections.abc import Iterator

from device import sandbox
from device.config import Config
from device.errors import ConfigError
from device.log import Log
from device.messages import KeepToTell, Received, Receiver, SeeToTell
from device.notify import Manager
from device.runtime import runtime_folder
from device.sandbox_calls import Role
from device.stopping import Stop
from device.tell import credentials
from device.tell.button import Button
from device.tell.desk import Desk
from device.tell.languages import words_of
from device.tell.link import Link, News
from device.tell.outbox import Outbox
from device.tell.policy import Policy
from device.tell.quiet import minute_of_day
from device.tell.words import Alert, Status, Words, late_words

FLOOD_PAUSE_S = 0.25  # a sender that floods the wall gets no more of the processor than this leaves
ANNOUNCE_EVERY_S = 60.0  # a Home Assistant that comes online twice a minute has the document already
GOODBYE_S = 1.0  # how long a clean stop waits for the broker to take "offline"

Wall = Receiver[SeeToTell] | Receiver[KeepToTell]
Heard = Received[SeeToTell] | Received[KeepToTell]


def boottime_s() -> float:
    """Seconds since boot: never goes back, and means the same before and after a restart of `tell`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def run(config: Config, see: socket.socket, keep: socket.socket | None = None) -> int:
    """Tell until asked to stop. `see` and `keep` are the reading ends of the links from them."""
    walls: dict[str, Wall] = {"see": Receiver(_checked(see, "see"), SeeToTell)}
    if keep is not None:
        walls["keep"] = Receiver(_checked(keep, "keep"), KeepToTell)
    log = Log("tell")
    secrets = credentials.load(config.broker)
    folder = runtime_folder(dict(os.environ), config.id)
    if folder is None:
        log.say("no runtime directory in memory: alerts that wait would not survive a restart of tell")
    outbox = Outbox(folder / "outbox.json" if folder else None, boottime_s())
    if outbox.unreadable:
        log.say(f"{folder}/outbox.json was not ours to read: starting with an empty outbox")
    words = words_of(config)
    offline = words.status(Status.OFFLINE)
    with Manager(os.environ) as manager:
        sandbox.give_up(Role.TELL)  # all that it will ever write to is open, and it has one thread
        sandbox.shut(Role.TELL)
        with Stop() as stop, Link(config.broker, secrets, f"doorstep-{config.id}", offline) as link:
            teller = _Teller(config, walls, link, outbox, words, log)
            with selectors.DefaultSelector() as selector:
                for readable in (*walls.values(), link, stop):
                    selector.register(readable, selectors.EVENT_READ)
                while not stop.asked:
                    selector.select(1.0)
                    if teller.step(boottime_s(), minute_of_day(time.time())):
                        stop.wait(FLOOD_PAUSE_S)
                    manager.alive(teller.in_words(boottime_s()))
            teller.goodbye()
    return 0


def _checked(sock: socket.socket, of: str) -> socket.socket:
    if (sock.family, sock.type) != (socket.AF_UNIX, socket.SOCK_DGRAM):
        raise ConfigError(f"the socket to hear `{of}` on is no Unix datagram socket",
                          "in its unit: ListenDatagram= and a path, such as /run/doorstep/tell.sock")
    return sock


class _Teller:
    """The loop's body: policy, desk and link put together."""

    def __init__(self, config: Config, walls: dict[str, Wall], link: Link, outbox: Outbox, words: Words,
                 log: Log) -> None:
        self._walls, self._link, self._outbox, self._log = walls, link, outbox, log
        now_s = boottime_s()
        self._policy = Policy(config.alerts, now_s, Button(now_s) if "keep" in walls else Button())
        self._words = words
        self._desk = Desk(words, outbox, button="keep" in walls)
        self._broker = f"{config.broker.host}:{config.broker.port}"
        self._connection = 0  # the one that is up, or 0
        self._announced_s = -ANNOUNCE_EVERY_S  # when Home Assistant was answered last
        self._trouble = ""  # the reason that was said last
        self._once: set[str] = set()
        self._alert_s: float | None = None  # when the last one was due

    def step(self, now_s: float, minute: int) -> bool:
        """Take what came from either side, and let the next message go; whether a wall is flooded.

        minute: of the local day.
        """
        self._policy.at(minute)
        # In the order in which it was said, and one by one: what is read and not yet in the outbox can be lost.
        streams: list[Iterator[Heard]] = [wall.receive() for wall in self._walls.values()]
        for received in heapq.merge(*streams, key=lambda received: received.sent_s):
            for alert in self._policy.on(received.message, received.sent_s):
                self._push(alert, received.sent_s)
        for alert in self._policy.tick(now_s):
            self._push(alert, now_s)
        if self._policy.status is not None:
            self._desk.set_status(self._policy.status)
        if self._policy.recording is not None:
            self._desk.set_recording(self._policy.recording)
        self._desk.set_motion(self._policy.moving)
        self._take_reports(now_s)
        self._send(now_s)
        for name, wall in self._walls.items():
            self._log.count(f"refused what is no message of {name}", wall.refused)
        self._say_once(self._outbox.dropped > 0, "the outbox is full: the oldest alerts are dropped")
        self._say_once(self._outbox.unwritable, "the runtime directory is gone or full: alerts wait in memory only")
        self._say_once(self._desk.unwelcome, f"{self._broker} breaks off on Home Assistant's discovery document; "
                       "going on without it: is its limit for packets too small?")
        return any(wall.flooded for wall in self._walls.values())

    def _push(self, alert: Alert, due_s: float) -> None:
        self._outbox.push(alert, due_s)
        self._alert_s = due_s

    def in_words(self, now_s: float) -> str:
        """Say how it stands, for `doorstep status`: of the last alert its age in coarse steps, and never its time."""
        last = "no alert yet"
        if self._alert_s is not None:
            last = f"last alert {late_words(now_s - self._alert_s) or 'just now'}"
        return f"{'connected' if self._connection else 'not connected'}, {last}"

    def _say_once(self, holds: bool, text: str) -> None:
        if holds and text not in self._once:
            self._once.add(text)
            self._log.say(text)

    def _take_reports(self, now_s: float) -> None:
        for report in self._link.reports():
            if report.news is News.CONNECTED:
                self._connection, self._trouble = report.connection, ""
                self._desk.connected()
                self._log.say(f"connected to {self._broker}")
            elif report.news is News.LOST:
                self._connection = 0
                if report.reason != self._trouble:  # once per reason, not once per try
                    self._trouble = report.reason
                    self._log.say(f"{report.reason}; trying again")
            elif report.news is News.ACKNOWLEDGED:
                self._desk.acknowledged()
            elif report.news is News.REFUSED:
                self._say_once(True, f"{self._broker} will not pass on what we say ({report.reason}); "
                               f"check its ACL: user writes {self._words.topic('#')}")
                self._desk.acknowledged()  # saying it again would be refused again, and keep the rest waiting
            elif now_s - self._announced_s >= ANNOUNCE_EVERY_S:
                self._announced_s = now_s
                self._desk.announce()

    def _send(self, now_s: float) -> None:
        publish = self._desk.next(now_s) if self._connection else None
        if publish is not None:
            self._link.publish(publish, self._connection)

    def goodbye(self) -> None:
        """Say "offline" before going, as the last will would."""
        until_s = time.monotonic() + GOODBYE_S
        self._desk.leave()
        while self._connection and not self._desk.idle and time.monotonic() < until_s:
            self._send(boottime_s())
            with selectors.DefaultSelector() as selector:
                selector.register(self._link, selectors.EVENT_READ)
                selector.select(0.1)
            self._take_reports(boottime_s())
        if self._connection and self._desk.idle:
            self._link.part_cleanly()
