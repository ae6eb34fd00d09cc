"""What each command below `doorstep broker` does, put together from its parts.

Rule 1: nothing here decides who may do what; it reads the book, has it changed, and tells Mosquitto.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import pwd
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from broker import book as books
from broker import pairing, people, running
from broker import setup as making
from broker.book import Book
from broker.files import Folder
from broker.names import checked_host
from device.errors import ConfigError

MEMORY = "doorstep-broker"  # below /run, or below the user's own folder there


def _setup(options: argparse.Namespace) -> int:
    root = options.dir.expanduser().resolve()
    book = _wished(options, books.load(root) if (root / books.NAME).exists() else None)
    with Folder(root, dry=options.dry_run, run_as=book.run_as) as folder:
        making.setup(folder, book, _now())
    if options.dry_run:
        print("nothing was written (--dry-run)" if folder.changed else "nothing to do")
        return 0
    print(_told(folder) if folder.changed else f"{root} is as it should be")
    if not running.find(root / "mosquitto.conf"):
        print(f"start it: mosquitto -c {root}/mosquitto.conf; as a service: see broker/README.md")
    return 0


def _wished(options: argparse.Namespace, old: Book | None) -> Book:
    """The old book, or the defaults, changed by what was asked for."""
    if old is None:
        if not options.host:
            raise ConfigError("no host", "give each name and address of it: --host broker.lan --host 192.168.1.5")
        root = os.geteuid() == 0
        old = Book(hosts=("localhost",), port=8883, bind="", loopback_port=0,
                   memory=f"{'/run' if root else os.environ.get('XDG_RUNTIME_DIR', '/run')}/{MEMORY}",
                   run_as="mosquitto" if root else pwd.getpwuid(os.geteuid()).pw_name)
    asked = {"hosts": tuple(dict.fromkeys(map(checked_host, options.host))) if options.host else None,
             "port": options.port, "bind": options.bind, "loopback_port": options.loopback_port,
             "memory": str(Path(options.memory).expanduser().resolve()) if options.memory else None,
             "run_as": options.user, "connections": options.connections, "home_assistant": options.home_assistant,
             "language": options.language}
    return replace(old, **{key: value for key, value in asked.items() if value is not None})


def _open(options: argparse.Namespace) -> tuple[Folder, Book]:
    root = options.dir.expanduser().resolve()
    book = books.load(root)
    return Folder(root, run_as=book.run_as), book


def _renew(options: argparse.Namespace) -> int:
    folder, book = _open(options)
    with folder:
        ends = making.renew(folder, book, _now())
    print(f"the certificate is good until {ends:%Y-%m-%d}\n{_told(folder)}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from broker.check import check

    folder, book = _open(options)
    findings = check(folder.root, book, _now())
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'BAD '}  {finding.what}: {finding.detail}")
    return 0 if all(finding.good for finding in findings) else 1


def _device_add(options: argparse.Namespace) -> int:
    folder, book = _open(options)
    with folder:
        people.add_door(folder, book, options.name)
    print(f"{_told(folder)}\ncarry {folder.root}/devices/{options.name} to the door, then delete it here")
    return 0


def _device_remove(options: argparse.Namespace) -> int:
    folder, book = _open(options)
    with folder:
        people.remove_door(folder, book, options.name)
    print(_told(folder))
    return 0


def _device_list(options: argparse.Namespace) -> int:
    for door in _open(options)[1].devices:
        print(door)
    return 0


def _phone_add(options: argparse.Namespace) -> int:
    folder, book = _open(options)
    with folder:
        paper = people.add_phone(folder, book, options.name, options.door, options.language)
    print(f"{_told(folder)}\n\n{pairing.settings(paper)}")
    if sys.stdout.isatty():  # a log has no camera before it
        print(pairing.qr_text(paper))
    print(pairing.steps(paper), end="")
    return 0


def _phone_remove(options: argparse.Namespace) -> int:
    folder, book = _open(options)
    with folder:
        people.remove_phone(folder, book, options.name)
    print(_told(folder))
    return 0


def _phone_list(options: argparse.Namespace) -> int:
    for phone in _open(options)[1].phones:
        print(f"{phone.name}: {', '.join(phone.doors) or 'no door'}")
    return 0


def _ntfy(options: argparse.Namespace) -> int:
    from broker.ntfy import run

    return run(options.phone, options.to)


def _told(folder: Folder) -> str:
    return running.tell(folder.root / "mosquitto.conf")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


RUNS: dict[str, Callable[[argparse.Namespace], int]] = {
    "broker setup": _setup,
    "broker renew": _renew,
    "broker check": _check,
    "broker device add": _device_add,
    "broker device remove": _device_remove,
    "broker device list": _device_list,
    "broker phone add": _phone_add,
    "broker phone remove": _phone_remove,
    "broker phone list": _phone_list,
    "broker ntfy": _ntfy,
}
