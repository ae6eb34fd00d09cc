"""Doors and phones come and go: each its own user, its own secret, its own folder to carry to where it belongs.

Rule 1: whoever is removed is forgotten in every file, and cut off.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from broker import pairing
from broker.book import Book, Phone
from broker.certificates import pem
from broker.configuration import new_password
from broker.files import Folder
from broker.names import Role, checked_name, device_user, rights
from broker.pairing import Pairing
from broker.setup import authority_of, let_in
from device.errors import ConfigError


def add_door(folder: Folder, book: Book, door: str) -> None:
    """Give a door its user; what it needs lies in devices/DOOR."""
    checked_name("door", door)
    if door in book.devices:
        raise ConfigError(f"there is a door {door} already", f"for a new password first: broker device remove {door}")
    book, password = book.with_door(door), new_password()
    paper = _paper(folder, book, door, device_user(door), password, ())
    folder.put(f"devices/{door}/password", f"{password}\n".encode())
    folder.put(f"devices/{door}/ca.crt", pem(paper.ca))
    folder.put(f"devices/{door}/doorstep.toml", pairing.door_toml(paper, door).encode())
    let_in(folder, book, {paper.user: password})


def remove_door(folder: Folder, book: Book, door: str) -> None:
    """Forget a door."""
    if door not in book.devices:
        raise ConfigError(f"there is no door {door!a}", _those("doors", book.devices))
    let_in(folder, book.without_door(door), {})
    folder.drop(f"devices/{door}")


def add_phone(folder: Folder, book: Book, name: str, doors: Sequence[str], language: str | None = None) -> Pairing:
    """Pair a phone with `doors`, or with all there are; its papers lie in phones/NAME, in its owner's `language`."""
    checked_name("phone", name)
    if book.phone(name) is not None:
        raise ConfigError(f"there is a phone {name} already", f"to pair it again first: broker phone remove {name}")
    unknown = [door for door in doors if door not in book.devices]
    if unknown or not book.devices:
        raise ConfigError(f"there is no door {unknown[0]!a}" if unknown else "there is no door to be told of yet",
                          _those("doors", book.devices))
    fresh = "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(4))
    phone = Phone(name, fresh, tuple(dict.fromkeys(doors)) or book.devices)
    password = new_password()
    topics = tuple(topic for _, topic in rights(Role.PHONE, phone.doors))
    paper = _paper(folder, book, name, phone.user, password, topics, language or book.language)
    for file, content in pairing.documents(paper).items():
        folder.put(f"phones/{name}/{file}", content)
    let_in(folder, book.with_phone(phone), {phone.user: password})
    return paper


def remove_phone(folder: Folder, book: Book, name: str) -> None:
    """Forget a phone."""
    if book.phone(name) is None:
        raise ConfigError(f"there is no phone {name!a}", _those("phones", [phone.name for phone in book.phones]))
    let_in(folder, book.without_phone(name), {})
    folder.drop(f"phones/{name}")


def _paper(folder: Folder, book: Book, name: str, user: str, password: str, topics: tuple[str, ...],
           language: str = "en") -> Pairing:
    return Pairing(name, book.hosts[0], book.port, user, password, topics, authority_of(folder), language)


def _those(what: str, names: Sequence[str]) -> str:
    return f"the {what} are: {', '.join(names)}" if names else f"there are no {what} yet: doorstep broker --help"
