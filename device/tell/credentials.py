"""The files that let us in at the broker.

Rule 1: TLS or nothing; a plain connection exists to this machine only, and by address.
Rule 2: a secret that others may read is refused before anything is opened.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from device.config import Broker, is_loopback
from device.errors import ConfigError


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a connection needs, read once at the start. Never shown: it has no repr."""

    tls: ssl.SSLContext | None
    password: str | None


def load(broker: Broker) -> Credentials:
    """Read every file that `broker` names. Raise ConfigError for one that cannot be used."""
    password = _secret(broker.password_file, "password_file") if broker.password_file else None
    if not broker.tls:
        if not is_loopback(broker.host):  # Broker refuses it too; this is where it would leak
            raise ConfigError(f"tls = false, but {broker.host} is another machine", "remove the line")
        return Credentials(None, password)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if broker.ca_file:
            context.load_verify_locations(broker.ca_file)
        else:
            context.load_default_certs()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca_file {broker.ca_file}: {_why(error)}",
                          "copy the broker's ca.crt here, and name it by its whole path") from None
    if broker.cert_file:
        _private(broker.key_file, "key_file")
        try:
            context.load_cert_chain(broker.cert_file, broker.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cert_file {broker.cert_file}: {_why(error)}",
                              "both must be PEM files, and belong together") from None
    return Credentials(context, password)


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):  # an OSError too, whose strerror speaks OpenSSL's own language
        return "no usable certificate in PEM form"
    return error.strerror or "cannot be read"


def _private(name: str, key: str) -> None:
    try:
        mode = Path(name).stat().st_mode
    except OSError as error:
        raise ConfigError(f"{key} {name}: {error.strerror}", f"check the path of {key}") from None
    if mode & 0o077:
        raise ConfigError(f"{key} {name} can be read by others", f"try: chmod 600 {name}")


def _secret(name: str, key: str) -> str:
    _private(name, key)
    try:
        text = Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{key} {name}: {why}", "it holds the password on one line") from None
    if not text or "\n" in text:
        raise ConfigError(f"{key} {name} does not hold one line", "write the password on one line")
    return text
