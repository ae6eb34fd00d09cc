"""Why there is no connection, in one line of plain words; and when to try again.

Rule 1: every line says what happened and what to check; none repeats what the broker sent.
"""

from __future__ import annotations

import socket
import ssl

from device.config import Broker

RETRY_FIRST_S, RETRY_MOST_S = 0.5, 60.0


def retry_after_s(tries: int, jitter: float) -> float:
    """Seconds before try number `tries` + 1: doubling, capped, spread by `jitter` in [0, 1).

    "Full jitter" halves kept: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    whole_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** min(max(tries - 1, 0), 16))
    return whole_s * (0.5 + 0.5 * jitter)


def in_words(error: Exception, broker: Broker) -> str:
    """Say in one line why no connection came about, and what to check."""
    at = where(broker)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{at} is not who it should be ({error.verify_message}); check ca_file and host"
    if isinstance(error, ssl.SSLError):
        return f"{at} does not speak TLS as we do ({error.reason or 'no handshake'}); check port"
    if isinstance(error, ConnectionRefusedError):
        return f"{at} refuses connections; is the broker running?"
    if isinstance(error, socket.gaierror):
        return f"no machine is called {broker.host}; check host"
    if isinstance(error, TimeoutError):
        return f"{at} does not answer; check host, port and the network"
    return f"no connection to {at} ({error.strerror if isinstance(error, OSError) else error})"


def where(broker: Broker) -> str:
    """The broker's address, as the owner wrote it."""
    return f"{broker.host}:{broker.port}"
