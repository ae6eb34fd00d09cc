"""Who is known at the broker and what each may do: names in, users and topics out.

Rule 1: a name that is not plain is refused before it reaches a topic, an ACL or a password file.
Rule 2: who may do what stands in RIGHTS; what does not stand there is refused.
"""

from __future__ import annotations

import enum
import ipaddress
import re
import unicodedata

from device.errors import ConfigError

NAME = r"[a-z0-9][a-z0-9_-]{0,31}"  # as `id` in doorstep.toml: safe in a topic, a file name and a password file
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


class Role(enum.Enum):
    """What somebody is to the broker."""

    DEVICE = "a door"
    PHONE = "a phone, or the relay"
    HOME_ASSISTANT = "Home Assistant"
    CHECK = "doorstep broker check"


# (access, topic); {door} is each door of a device or a phone. The broker refuses everything else.
RIGHTS: dict[Role, tuple[tuple[str, str], ...]] = {
    Role.DEVICE: (
        ("write", "doorstep/{door}/alert"),
        ("write", "doorstep/{door}/event"),
        ("write", "doorstep/{door}/motion"),
        ("write", "doorstep/{door}/recording"),
        ("write", "doorstep/{door}/status"),
        ("write", "homeassistant/device/{door}/config"),
        ("read", "homeassistant/status"),
    ),
    Role.PHONE: (
        ("read", "doorstep/{door}/alert"),
        ("read", "doorstep/{door}/status"),
    ),
    Role.HOME_ASSISTANT: (
        ("read", "doorstep/#"),
        ("read", "homeassistant/device/+/config"),
        ("write", "homeassistant/status"),
    ),
    Role.CHECK: (("read", "#"),),  # looks for what should not be retained; $SYS is not in it
}

# What the broker may remember. Anything else retained would be a record, and a phantom alert.
RETAINED = (r"doorstep/[^/]+/(status|recording)", r"homeassistant/device/[^/]+/config")

HOME_ASSISTANT_USER, CHECK_USER = "home-assistant", "check"


def rights(role: Role, doors: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return every (access, topic) of somebody with `role` at `doors`, each once."""
    found = [(access, topic.format(door=door)) for door in doors or ("",) for access, topic in RIGHTS[role]
             if doors or "{door}" not in topic]
    return list(dict.fromkeys(found))


def device_user(door: str) -> str:
    """The user of a door; also the client id that `tell` gives."""
    return f"doorstep-{door}"


def phone_user(name: str, pairing: str) -> str:
    """The user of one pairing. A new pairing is a new user: it finds no alerts that waited for the last one."""
    return f"phone-{name}-{pairing}"


def checked_name(what: str, name: str) -> str:
    """Return `name` if it is plain; else raise ConfigError and offer one that is."""
    if re.fullmatch(NAME, name):
        return name
    raise ConfigError(f"{what} {_shown(name)} is no plain name",
                      f"1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit; try: {plain(name) or 'anna'}")


def checked_host(host: str) -> str:
    """Return a host name or address as it belongs into a certificate; else raise ConfigError."""
    try:
        address = ipaddress.ip_address(host)
        if "%" not in host and not address.is_unspecified:
            return str(address)
    except ValueError:  # then it must be a name
        name = host.lower().removesuffix(".")
        numeric = re.fullmatch(r"[0-9.]+", name)  # 192.168.1.300 is a typo, not a name
        if len(name) <= 253 and not numeric and re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name):
            return name
    raise ConfigError(f"host {_shown(host)} is neither a name nor an address",
                      "as a phone will dial it, such as broker.lan or 192.168.1.5; outside ASCII write its xn-- form")


def plain(name: str) -> str:
    """Make a plain name of any words, or none where there is no letter in them."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().replace("'", "")
    return re.sub(r"[^a-z0-9_-]+", "-", letters).strip("-_")[:32]


def _shown(text: str) -> str:
    return ascii(text) if len(text) <= 60 else ascii(text[:57]) + "..."
