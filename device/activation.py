"""The sockets that systemd hands over, by name: sd_listen_fds_with_names(3).

Rule 1: a socket is taken for a link by its name, never by its place in a row that a unit may reorder.
Rule 2: what is missing, unknown or there twice is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from device.errors import ConfigError

_START = 3  # SD_LISTEN_FDS_START


def handed(environment: Mapping[str, str], pid: int, hint: str, first: str, *more: str) -> dict[str, int]:
    """Return the descriptors handed to process `pid` by name: `first` alone, or all. `hint` helps where there is none.

    One alone is `first`, however it is called, unless it bears the name of another.
    """
    count = environment.get("LISTEN_FDS", "") if environment.get("LISTEN_PID") == str(pid) else ""
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    if count == "1" and names[0] not in more:
        return {first: _START}
    if count == str(1 + len(more)) and sorted(names) == sorted((first, *more)):
        return {name: _START + place for place, name in enumerate(names)}
    if count in ("", "1"):
        raise ConfigError(f"no socket to hear `{first}` on", hint)
    raise ConfigError(f"{count} sockets called {', '.join(names)}: which is whose?",
                      "FileDescriptorName= in their units: " + ", ".join((first, *more)))


def given(options: Mapping[str, object], environment: Mapping[str, str], pid: int) -> set[int]:
    """Return the descriptors that came with the start by name: ends of links, sockets of systemd, the configuration."""
    fds = {value for name, value in options.items() if name.endswith("_fd") and isinstance(value, int)}
    if environment.get("LISTEN_PID") == str(pid):
        fds |= set(range(_START, _START + int(environment.get("LISTEN_FDS", "0"))))
    path = Path(str(options["config"] or ""))
    return fds | ({int(path.name)} if path.parent == Path("/proc/self/fd") else set())
