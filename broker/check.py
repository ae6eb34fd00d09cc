"""The broker, tried from outside as a stranger would, and looked at from inside.

Rule 1: a trial that could not be made is no pass.
Rule 2: what is told of the broker is what it did, never what its configuration says.
"""

from __future__ import annotations

import datetime as dt
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

from broker import certificates, running
from broker.book import Book
from broker.configuration import PACKET_MOST_BYTES
from broker.files import Folder
from broker.names import CHECK_USER
from broker.setup import CHECK_PASSWORD, needed
from broker.visitor import BROKE_OFF, IN, Visitor, records
from device.runtime import is_memory

# How the broker itself refuses. Nothing else is a pass: not silence, and not a library of ours that cannot.
STRANGER = ("not authorized", "bad user name or password")
NO_TLS = (BROKE_OFF, "connection reset by peer")
OLD_TLS = ("tlsv1 alert protocol version",)
LARGE = (BROKE_OFF, "packet too large")
LISTEN_S = 1.0  # what is retained comes at once
SWAPS = Path("/proc/swaps")
DAYS_LEAST = 60  # a renewal each month has failed once before this
_SECRET = ("ca.key", "server.key", "passwords", "acl", "mosquitto.conf", "doors.json", CHECK_PASSWORD)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried or looked at."""

    good: bool
    what: str
    detail: str


def check(root: Path, book: Book, now: dt.datetime) -> list[Finding]:
    """Try everything; return what was found."""
    password = needed(Folder(root), CHECK_PASSWORD).decode().strip()
    found = _inside(root, book, now)
    host = ""  # the first name by which one gets in: this machine may not know each name that phones use
    for name in book.hosts:
        with Visitor(name, book.port, _tls(root), CHECK_USER, password) as visitor:
            found.append(Finding(visitor.received == IN, f"with the authority, as {name}", visitor.received))
            host = host or name * (visitor.received == IN)
    if not host:
        return [*found, Finding(False, "the rest", "could not be tried: nobody is let in")]
    trials = (
        ("as nobody", Visitor(host, book.port, _tls(root)), STRANGER),
        ("as a user that is none", Visitor(host, book.port, _tls(root), "nobody-known", password), STRANGER),
        ("with a wrong password", Visitor(host, book.port, _tls(root), CHECK_USER, password[::-1]), STRANGER),
        ("in plaintext", Visitor(host, book.port, None, CHECK_USER, password), NO_TLS),
        ("with TLS 1.1", Visitor(host, book.port, _old_tls(), CHECK_USER, password), OLD_TLS),
    )
    for what, visitor, refusals in trials:
        with visitor:
            found.append(Finding(visitor.received in refusals, what, visitor.received))
    packets = (("to publish", b"x", STRANGER),
               (f"with more than {PACKET_MOST_BYTES} bytes", b"x" * (PACKET_MOST_BYTES + 1), LARGE))
    for what, payload, refusals in packets:
        with Visitor(host, book.port, _tls(root), CHECK_USER, password) as visitor:
            answer = visitor.publish("doorstep/check/alert", payload)
            found.append(Finding(answer in refusals, what, answer))
    with Visitor(host, book.port, _tls(root), CHECK_USER, password) as visitor:
        visitor.listen(LISTEN_S)
    wrong = sorted(records(visitor.retained))
    found.append(Finding(not wrong, "retained", ", ".join(wrong) or "status, recording and discovery only"))
    found.append(Finding(not visitor.statistics, "statistics ($SYS)", "given out" if visitor.statistics else "none"))
    return found


def from_outside(host: str, port: int, tls: ssl.SSLContext) -> list[Finding]:
    """Try what a stranger can, without any password: to come in, in plaintext, with an old TLS, with a large packet.

    For a broker of which we have no user but a door's: it would take that door's place.
    """
    trials = (
        ("as nobody", Visitor(host, port, tls), STRANGER),
        ("in plaintext", Visitor(host, port, None), NO_TLS),
        ("with TLS 1.1", Visitor(host, port, _old_tls()), OLD_TLS),
        # Its first packet is too large, which is seen before who it is.
        (f"with more than {PACKET_MOST_BYTES} bytes", Visitor(host, port, tls, "x" * PACKET_MOST_BYTES), LARGE),
    )
    found = []
    for what, visitor, refusals in trials:
        with visitor:
            found.append(Finding(visitor.received in refusals, what, visitor.received))
    return found


def _inside(root: Path, book: Book, now: dt.datetime) -> list[Finding]:
    pem = needed(Folder(root), "server.crt")
    days = (certificates.read_certificate(pem, "server.crt").not_valid_after_utc - now).days
    open_to_all = [name for name in _SECRET if (root / name).exists() and (root / name).stat().st_mode & 0o077]
    memory = is_memory(Path(book.memory), Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    swaps = [line.split()[0] for line in SWAPS.read_text(encoding="utf-8").splitlines()[1:]]
    on_disk = [swap for swap in swaps if "zram" not in swap]
    running_ids = running.find(root / "mosquitto.conf")
    return [
        Finding(bool(running_ids), "Mosquitto", "runs with this configuration" if running_ids else "does not run"),
        Finding(days >= DAYS_LEAST, "certificate", f"good for {days} more days"),
        Finding(not open_to_all, "modes", f"others may read {', '.join(open_to_all)}" if open_to_all else "ours alone"),
        Finding(memory, "what waits for phones", f"{book.memory} is {'in memory' if memory else 'on a disk'}"),
        Finding(not on_disk, "swap", f"memory may go to {on_disk[0]}: turn it off" if on_disk else "none on a disk"),
    ]


def _tls(root: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(root / "ca.crt")
    return context


def _old_tls() -> ssl.SSLContext:
    """A client of the year 2006. It verifies nothing: it shall get as far as the broker lets it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context
