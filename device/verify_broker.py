"""The broker, tried: on this machine with its own check, and another one as a stranger can.

Rule 1: no trial uses the door's password: a broker knows a door by it, and would take the trial for the door.
Rule 2: a trial that could not be made is no pass.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path

from broker import book, check, usage
from broker.visitor import MOST_S
from device.config import Broker
from device.errors import DoorstepError
from device.verify_facts import Trial

TLS, HISTORY = "TLS-OR-NOTHING", "NO-HISTORY-ON-DISK"
_OF_HISTORY = ("what waits for phones", "swap", "retained", "statistics ($SYS)")  # findings of `doorstep broker check`


def addresses(host: str) -> frozenset[str]:
    """Return the addresses of a machine; none where its name is not known here."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))
    except OSError:
        return frozenset()


def trials(broker: Broker, *, installed: bool, own: Path = usage.DIR) -> tuple[Trial, ...]:
    """Try the broker. One on this machine without TLS lets anybody here in, as the owner chose: nothing to try."""
    try:
        if installed and (own / book.NAME).exists():
            return tuple(_trial(finding) for finding in check.check(own, book.load(own), dt.datetime.now(dt.UTC)))
        if not broker.tls:
            return ()
        with socket.create_connection((broker.host, broker.port), MOST_S):
            pass
        tls = ssl.create_default_context(cafile=broker.ca_file or None)
        return tuple(_trial(finding) for finding in check.from_outside(broker.host, broker.port, tls))
    except PermissionError:
        return (Trial(TLS, "the broker refuses strangers", None, "needs root"),)
    except DoorstepError as error:
        return (Trial(TLS, "the broker refuses strangers", None, error.message),)
    except OSError as error:
        return (Trial(TLS, "the broker refuses strangers", None, f"it cannot be reached: {error.strerror or error}"),)


def _trial(finding: check.Finding) -> Trial:
    promise = HISTORY if finding.what in _OF_HISTORY else TLS
    return Trial(promise, f"broker: {finding.what}", finding.good, finding.detail)
