"""The broker, the first phone and the test alert in `doorstep setup`.

Rule 1: a broker, a door and a phone are made by `doorstep broker`, by the same commands that an owner would type.
Rule 2: the test alert goes the way of every alert: the same words, the same connection, until it is acknowledged.
"""

from __future__ import annotations

import argparse
import os
import selectors
import shlex
import shutil
import socket
import time
from pathlib import Path

from broker import book as books
from broker import running, usage
from broker.book import Book
from broker.names import device_user
from device.config import Broker
from device.errors import ConfigError, DoorstepError
from device.setup_answers import HERE, NONE
from device.setup_job import Job, Paper
from device.setup_talk import GREEN, RED, YELLOW
from device.tell import credentials
from device.tell.languages import words_of
from device.tell.link import Link, News
from device.tell.words import Alert, Status

ANSWER_MOST_S = 20.0  # connecting, a second try in the other MQTT version, and the acknowledgement


def choose(job: Job) -> None:
    """Have doorstep.toml name a broker."""
    answer = job.talk.ask("broker")
    if answer == NONE:
        job.talk.say("Then doorstep run starts one of its own, for this machine only. No phone can reach that.")
        job.left.append("name a broker, so that a phone is told: doorstep setup broker")
    elif answer == HERE:
        _here(job)
    else:
        _elsewhere(job, answer)


def _elsewhere(job: Job, host: str) -> None:
    talk = job.talk
    ca_file = talk.ask("ca_file", test=_readable)
    user = talk.ask("user")
    password_file = talk.ask("password_file", test=_readable) if user else ""
    broker = Broker(host=host, port=talk.ask("port"), ca_file=ca_file, user=user, password_file=password_file)
    credentials.load(broker)
    _name(job, broker)


def _here(job: Job) -> None:
    talk, root, door = job.talk, job.broker_folder, job.config.id
    if (book := _book(root)) is None:
        if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
            raise ConfigError("Mosquitto is not on this machine", "first: sudo apt install mosquitto")
        hosts = talk.ask("hosts", tuple(_own_names()))
        words = [word for host in ("localhost", *hosts) for word in ("--host", host)]
        words = words[2:] + words[:2]  # the first is the one that phones are given
        order = ["setup", *words, *shlex.split(talk.given("broker_options"))]
        _command(root, *order, "--dry-run")
        if not talk.agree(f"Make a broker in {root}?"):
            return
        _command(root, *order)
        book = books.load(root)
    talk.say(f"The door {door} gets a user and a new password there; they go beside {job.path}.")
    if not talk.agree("Do that?"):
        return
    if door in book.devices:
        _command(root, "device", "remove", door)
    _command(root, "device", "add", door)
    papers = root / "devices" / door
    if _name(job, Broker(host="localhost" if "localhost" in book.hosts else book.hosts[0], port=book.port,
                         ca_file=str(papers / "ca.crt"), user=device_user(door),
                         password_file=str(papers / "password"))):
        shutil.rmtree(papers)  # they are where they belong
    else:
        job.left.append(f"carry {papers} to the door: its old password is no longer good")


def _name(job: Job, broker: Broker) -> bool:
    """Put what belongs to `broker` beside doorstep.toml, and name it there; whether that was agreed to."""
    wanted: dict[str, object] = {"broker.host": broker.host, "broker.port": broker.port}
    if broker.user:
        wanted["broker.user"] = broker.user
    files = []
    for key, source, name, secret in (("ca_file", broker.ca_file, "ca.crt", False),
                                      ("password_file", broker.password_file, "password", True)):
        if source:
            wanted[f"broker.{key}"] = name
            files.append(Paper(Path(source), name, secret))
    return job.propose(wanted, files)


def is_served(job: Job) -> str:
    """Say which broker doorstep.toml names, or nothing. Raise ConfigError where its files will not do."""
    broker = job.config.broker
    if not broker.host:
        return ""
    credentials.load(broker)
    return f"{broker.host}:{broker.port}"


def phones(job: Job) -> str:
    """Say which phones are paired at the broker of this machine."""
    book = _book(job.broker_folder)
    return ", ".join(phone.name for phone in book.phones if job.config.id in phone.doors) if book else ""


def pair(job: Job) -> None:
    """Pair the first phone."""
    root, talk, config = job.broker_folder, job.talk, job.config
    book = _book(root)
    if book is None or config.id not in book.devices:
        talk.say("Phones are paired where the broker is: doorstep broker phone add NAME. With another broker set an "
                 f"MQTT app up by hand: subscribe to doorstep/{config.id}/alert and doorstep/{config.id}/status with "
                 "QoS 1, a fixed client id, clean session off and a keepalive of minutes.")
        return
    _start(job, root, book)
    name = talk.ask("phone")
    if not name:
        job.left.append(f"pair a phone: doorstep broker phone add NAME --dir {root}")
        return
    talk.say(f"{name} gets a user at the broker, and papers in {root}/phones/{name}.")
    if talk.agree("Do that?"):
        _command(root, "phone", "add", name)
        job.left.append(f"when {name} is paired, delete {root}/phones/{name}: its password is in there")


def _start(job: Job, root: Path, book: Book) -> None:
    """Have the owner start the broker; nothing of ours runs Mosquitto."""
    order = f"mosquitto -c {root}/mosquitto.conf"
    while not running.find(root / "mosquitto.conf"):
        if not job.talk.wait(f"The broker does not run yet. Start it in another terminal: {order}; as a service: see "
                             "broker/README.md."):
            job.left.append(f"start the broker ({order}; as a service: broker/README.md)")
            return
    job.talk.say(f"The broker runs, at port {book.port}.", GREEN)


def alert(job: Job) -> None:
    """Send a test alert, and ask whether it was seen."""
    talk, config = job.talk, job.config
    if not config.broker.host:
        talk.say("There is no broker to send it to.")
        return
    if not talk.ask("alert"):
        return
    trouble = send(job)
    if trouble:
        talk.say(f"It was not sent: {trouble}", RED)
        job.left.append("send a test alert: doorstep setup alert")
        return
    words = words_of(config).alert(Alert.MOTION, 0).payload
    talk.say(f'The broker has taken "{words}".', GREEN)
    if talk.seen("Does the phone show it?") is False:
        talk.say("Then look at the app: is it connected, is its battery use unrestricted, are notifications on? "
                 "An iPhone shows it only while the app is open; broker/README.md says what can wake it.", YELLOW)
        job.left.append("have the phone show a test alert: doorstep setup alert")


def send(job: Job) -> str:
    """Send the words for motion over a connection as `tell` has it; return what went wrong, or nothing."""
    config = job.config
    words = words_of(config)
    try:
        secrets = credentials.load(config.broker)
    except DoorstepError as error:
        return f"{error.message}; {error.hint}"
    until_s, trouble = time.monotonic() + ANSWER_MOST_S, "the broker does not answer"
    with (Link(config.broker, secrets, f"doorstep-{config.id}", words.status(Status.OFFLINE)) as link,
          selectors.DefaultSelector() as selector):
        selector.register(link, selectors.EVENT_READ)
        while (left_s := until_s - time.monotonic()) > 0:
            selector.select(left_s)
            for report in link.reports():
                if report.news is News.CONNECTED:
                    link.publish(words.alert(Alert.MOTION, 0), report.connection)
                elif report.news is News.ACKNOWLEDGED:
                    link.part_cleanly()  # else the broker would say that the door is offline
                    return ""
                elif report.news is News.REFUSED:
                    return f"the broker refused it ({report.reason})"
                elif report.news is News.LOST:
                    trouble = report.reason
                    if "speaks no MQTT 5" not in trouble:
                        return trouble
    return trouble


def _book(root: Path) -> Book | None:
    return books.load(root) if (root / books.NAME).exists() else None


def _command(root: Path, *words: str) -> None:
    """Do what an owner would type."""
    parser = argparse.ArgumentParser("doorstep")
    usage.add(parser.add_subparsers())
    options = parser.parse_args(["broker", *words, "--dir", str(root)])
    options.run(options)


def _readable(path: str) -> None:
    try:
        if path:
            Path(path).open("rb").close()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "name it by its whole path") from None


def _own_names() -> list[str]:
    """Return what phones can call this machine by: its name, and its address in the local network."""
    names = [f"{socket.gethostname().lower()}.local"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation's address: nothing is sent, a route is looked up
            names.append(probe.getsockname()[0])
        except OSError:
            pass  # no network yet: the name alone
    return names
