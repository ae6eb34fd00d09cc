"""The broker's folder: made, completed, and kept true to its book.

Rule 1: done twice it changes nothing; done with other hosts it makes a new certificate and keeps every key.
Rule 2: a user has a password exactly as long as the book knows the user.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from broker import certificates, pairing
from broker.book import NAME, Book, fits_a_line
from broker.configuration import acl, hashed, mosquitto_conf, new_password, passwords, read_passwords
from broker.files import Folder, own
from broker.names import CHECK_USER, HOME_ASSISTANT_USER
from broker.pairing import Pairing
from device.errors import ConfigError
from device.runtime import is_memory

CHECK_PASSWORD = "check.password"  # noqa: S105 - the name of its file


def setup(folder: Folder, book: Book, now: dt.datetime) -> None:
    """Make or complete everything that a Mosquitto with this `book` needs."""
    if not fits_a_line(str(folder.root)):
        raise ConfigError(f"{str(folder.root)!r} cannot stand in a configuration", "choose a folder with a plain name")
    if not is_memory(Path(book.memory), Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        raise ConfigError(f"{book.memory} is on a disk", "what waits for phones must lie in memory: --memory /run/...")
    ca = _certificates(folder, book, now)
    known = read_passwords((folder.read("passwords") or b"").decode())
    fresh: dict[str, str] = {}
    if CHECK_USER not in known or folder.read(CHECK_PASSWORD) is None:
        fresh[CHECK_USER] = new_password()
        folder.put(CHECK_PASSWORD, f"{fresh[CHECK_USER]}\n".encode())
    if book.home_assistant and HOME_ASSISTANT_USER not in known:
        fresh[HOME_ASSISTANT_USER] = new_password()
        paper = Pairing("Home Assistant", book.hosts[0], book.port, HOME_ASSISTANT_USER, fresh[HOME_ASSISTANT_USER],
                        ("doorstep/#", "homeassistant/#"), ca)
        folder.put("home-assistant/settings.toml", pairing.settings(paper).encode())
        folder.put("home-assistant/ca.crt", certificates.pem(ca))
    if not book.home_assistant:
        folder.drop("home-assistant")
    for user in [user for user in book.users() if user not in known and user not in fresh]:
        folder.say(f"without a password: {user}; remove it and add it again")
    let_in(folder, book, fresh)
    if not folder.dry and not Path(book.memory).exists():
        Path(book.memory).mkdir(mode=0o700, parents=True)
        own(Path(book.memory), book.run_as)


def let_in(folder: Folder, book: Book, fresh: Mapping[str, str]) -> None:
    """Write who may come in and what they may do; `fresh` are new users' passwords. The book comes last."""
    hashes = read_passwords((folder.read("passwords") or b"").decode())
    hashes |= {user: hashed(password) for user, password in fresh.items()}
    folder.put("passwords", passwords(hashes, book.users()).encode(), mosquitto=True)
    folder.put("acl", acl(book).encode(), mosquitto=True)
    folder.put("mosquitto.conf", mosquitto_conf(book, folder.root).encode(), mosquitto=True)
    folder.put(NAME, book.dump().encode())
    folder.open_to_mosquitto()


def renew(folder: Folder, book: Book, now: dt.datetime) -> dt.datetime:
    """Replace the broker's certificate by a fresh one with the same key; return when that ends."""
    ca, ca_key = authority_of(folder), certificates.read_key(needed(folder, "ca.key"), "ca.key")
    key = certificates.read_key(needed(folder, "server.key"), "server.key")
    fresh = certificates.server(book.hosts, key, ca, ca_key, now)
    folder.put("server.crt", certificates.pem(fresh), mosquitto=True)
    return fresh.not_valid_after_utc


def authority_of(folder: Folder) -> x509.Certificate:
    """Return the broker's authority."""
    return certificates.read_certificate(needed(folder, "ca.crt"), "ca.crt")


def _certificates(folder: Folder, book: Book, now: dt.datetime) -> x509.Certificate:
    key_pem, ca_pem = folder.read("ca.key"), folder.read("ca.crt")
    if (key_pem is None) != (ca_pem is None):
        raise ConfigError(f"{folder.root} holds only one of ca.key and ca.crt",
                          "restore the other; or remove this one, and pair every phone again")
    if key_pem is None or ca_pem is None:
        ca_key = certificates.new_key()
        ca = certificates.authority(ca_key, book.hosts, now)
        folder.put_key("ca.key", certificates.key_pem(ca_key))
        folder.put("ca.crt", certificates.pem(ca), public=True)
    else:
        ca_key, ca = certificates.read_key(key_pem, "ca.key"), certificates.read_certificate(ca_pem, "ca.crt")
    server_pem, server_crt = folder.read("server.key"), folder.read("server.crt")
    key = certificates.new_key() if server_pem is None else certificates.read_key(server_pem, "server.key")
    if server_pem is None or server_crt is None or not _serves(server_crt, book, key, ca):
        fresh = certificates.server(book.hosts, key, ca, ca_key, now)
        if server_pem is None:
            folder.put_key("server.key", certificates.key_pem(key), mosquitto=True)
        folder.put("server.crt", certificates.pem(fresh), mosquitto=True)
    return ca


def _serves(pem: bytes, book: Book, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate) -> bool:
    certificate = certificates.read_certificate(pem, "server.crt")
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, InvalidSignature):  # of an authority that was replaced
        return False
    return certificates.hosts_of(certificate) == set(book.hosts) and certificate.public_key() == key.public_key()


def needed(folder: Folder, name: str) -> bytes:
    """Return the content of a file that setup has made."""
    content = folder.read(name)
    if content is None:
        raise ConfigError(f"{folder.root / name} is missing", f"try: doorstep broker setup --dir {folder.root}")
    return content
