"""The process that has the network: messages of `see` in, MQTT out.

Rule 1: it reads bytes from the wall and words from the broker's one topic; it has no other input.
Rule 2: a broker that is gone is waited for; only a configuration error ends it.
"""

from __future__ import annotations

import os
import selectors
import socket
import time

from device.config import Config
from device.errors import ConfigError
from device.log import Log
from device.messages import Receiver, SeeToTell
from device.runtime import runtime_folder
from device.stopping import Stop
from device.tell import credentials
from device.tell.desk import Desk
from device.tell.link import Link, News
from device.tell.outbox import Outbox
from device.tell.policy import Policy
from device.tell.words import Status, Words

FLOOD_PAUSE_S = 0.25  # a sender that floods the wall gets no more of the processor than this leaves
ANNOUNCE_EVERY_S = 60.0  # a Home Assistant that comes online twice a minute has the document already
GOODBYE_S = 1.0  # how long a clean stop waits for the broker to take "offline"


def boottime_s() -> float:
    """Seconds since boot: never goes back, and means the same before and after a restart of `tell`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def run(config: Config, events: socket.socket) -> int:
    """Tell until asked to stop. `events` is the reading end of the link from `see`."""
    if (events.family, events.type) != (socket.AF_UNIX, socket.SOCK_DGRAM):
        raise ConfigError("the socket to hear `see` on is no Unix datagram socket",
                          "in its unit: ListenDatagram=/run/doorstep/tell.sock")
    log = Log("tell")
    secrets = credentials.load(config.broker)
    folder = runtime_folder(dict(os.environ), config.id)
    if folder is None:
        log.say("no runtime directory in memory: alerts that wait would not survive a restart of tell")
    outbox = Outbox(folder / "outbox.json" if folder else None, boottime_s())
    if outbox.unreadable:
        log.say(f"{folder}/outbox.json was not ours to read: starting with an empty outbox")
    words = Words(config.id, config.place)
    offline = words.status(Status.OFFLINE)
    with Stop() as stop, Link(config.broker, secrets, f"doorstep-{config.id}", offline) as link:
        teller = _Teller(config, Receiver(events, SeeToTell), link, outbox, words, log)
        with selectors.DefaultSelector() as selector:
            for source in (events, link, stop):
                selector.register(source, selectors.EVENT_READ)
            while not stop.asked:
                selector.select(1.0)
                if teller.step(boottime_s()):
                    stop.wait(FLOOD_PAUSE_S)
        teller.goodbye()
    return 0


class _Teller:
    """The loop's body: policy, desk and link put together."""

    def __init__(self, config: Config, events: Receiver[SeeToTell], link: Link, outbox: Outbox, words: Words,
                 log: Log) -> None:
        self._events, self._link, self._outbox, self._log = events, link, outbox, log
        self._policy = Policy(config.alerts, boottime_s())
        self._words = words
        self._desk = Desk(words, outbox)
        self._broker = f"{config.broker.host}:{config.broker.port}"
        self._connection = 0  # the one that is up, or 0
        self._announced_s = -ANNOUNCE_EVERY_S  # when Home Assistant was answered last
        self._trouble = ""  # the reason that was said last
        self._once: set[str] = set()

    def step(self, now_s: float) -> bool:
        """Take what came from either side, and let the next message go; whether the wall is flooded."""
        for received in self._events.receive():
            for alert in self._policy.on(received.message, received.sent_s):
                self._outbox.push(alert, received.sent_s)
        for alert in self._policy.tick(now_s):
            self._outbox.push(alert, now_s)
        if self._policy.status is not None:
            self._desk.set_status(self._policy.status)
        self._desk.set_motion(self._policy.moving)
        self._take_reports(now_s)
        self._send(now_s)
        self._log.count("refused what is no message", self._events.refused)
        self._say_once(self._outbox.dropped > 0, "the outbox is full: the oldest alerts are dropped")
        self._say_once(self._outbox.unwritable, "the runtime directory is gone or full: alerts wait in memory only")
        self._say_once(self._desk.unwelcome, f"{self._broker} breaks off on Home Assistant's discovery document; "
                       "going on without it: is its limit for packets too small?")
        return self._events.flooded

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
        self._desk.set_motion(False)
        self._desk.set_status(Status.OFFLINE)
        while self._connection and not self._desk.idle and time.monotonic() < until_s:
            self._send(boottime_s())
            with selectors.DefaultSelector() as selector:
                selector.register(self._link, selectors.EVENT_READ)
                selector.select(0.1)
            self._take_reports(boottime_s())
        if self._connection and self._desk.idle:
            self._link.part_cleanly()
