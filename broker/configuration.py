"""What Mosquitto reads: its configuration, its ACL and its password file, as text.

Rule 1: each line that is a decision has its reason above it.
Rule 2: nothing of who came and when is written to a disk or a log by what stands here.
Rule 3: no listener but ours. An option of a listener above the first `listener` line would open port 1883 to all.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from broker.book import Book

PACKET_MOST_BYTES = 2048  # no picture fits; the longest discovery document does (measured in tests)
WAITING_MOST = 100  # twice what a door says in a day of storm control; more would be a record
TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_ITERATIONS = 101  # mosquitto_passwd's own
_SALT_BYTES = 12  # what Mosquitto 2.0 takes
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, without what looks alike


def mosquitto_conf(book: Book, folder: Path) -> str:
    """Return mosquitto.conf for a stock Mosquitto 2.0."""
    return f"""\
# Written by doorstep broker setup; a change by hand is overwritten.

# Nobody without a name and a password.
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
per_listener_settings false

# What waits for a phone lies in memory, never on a disk: it survives a restart of Mosquitto, not a power cut.
persistence true
persistence_location {book.memory}/
autosave_on_changes true
autosave_interval 1

# A phone that stays away for a day is lost: what waits for it goes.
persistent_client_expiration 1d
max_queued_messages {WAITING_MOST}

# One at a time: alerts arrive in order.
max_inflight_messages 1

# No picture fits into a packet.
max_packet_size {PACKET_MOST_BYTES}

# No statistics of who talks how much.
sys_interval 0

# No log: even Mosquitto's errors say when a phone left the network. To see why it does not start: mosquitto -v -c ...
log_dest stderr
log_type none
connection_messages false

# Given up as soon as Mosquitto has started, where root starts it.
user {book.run_as}

listener {book.port}{" " + book.bind if book.bind else ""}
certfile {folder}/server.crt
keyfile {folder}/server.key
# 1.2 or later, and with 1.2 only what keeps old traffic secret when a key is stolen.
tls_version tlsv1.2
ciphers {TLS_1_2_CIPHERS}
# A user is one client, whatever it calls itself: its alerts wait for it alone, and a copied password shows.
use_username_as_clientid true
# Before a password was asked for, too.
max_connections {book.connections}
{_loopback(book)}"""


def _loopback(book: Book) -> str:
    if not book.loopback_port:
        return ""
    return f"""
# Without TLS, as asked for: this machine only.
listener {book.loopback_port} 127.0.0.1
use_username_as_clientid true
max_connections {book.connections}
"""


def acl(book: Book) -> str:
    """Return the ACL: what does not stand in it is refused."""
    lines = ["# Written by doorstep broker; a change by hand is overwritten. What does not stand here is refused."]
    for user, rights in book.users().items():
        lines += ["", f"user {user}", *(f"topic {access} {topic}" for access, topic in rights)]
    return "\n".join(lines) + "\n"


def new_password() -> str:
    """Make a password of 125 bits that a person can copy."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(5))


def hashed(password: str, salt: bytes | None = None, iterations: int = _ITERATIONS) -> str:
    """Return what Mosquitto keeps of a password: `$7$`, PBKDF2 with SHA-512.

    Few rounds, as Mosquitto's own: they slow the guessing of passwords that people think up; these have 125 bits.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, 64)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def read_passwords(text: str) -> dict[str, str]:
    """Return user -> hash."""
    return {line.partition(":")[0]: line.partition(":")[2] for line in text.splitlines()}


def passwords(hashes: Mapping[str, str], users: Collection[str]) -> str:
    """Return the password file: the hashes of `users`, and of nobody else."""
    return "".join(f"{user}:{digest}\n" for user, digest in hashes.items() if user in users)
