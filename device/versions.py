"""A doorstep.toml of an earlier version is read as if it were written today.

Rule 1: what was released once is read for ever. A version changed one thing: a row here says how that is written now.
Rule 2: a file of a version that is not known yet is refused, before anything else in it is looked at.
Rule 3: the file itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from device.checks import shown
from device.errors import ConfigError

Table = dict[str, Any]

VERSION = 1  # 0.1.0; a file that names none is of this one

# What a file of each earlier version means today: from it to the next. {1: lambda table: {...}} with version 2.
STEPS: dict[int, Callable[[Table], Table]] = {}


def of(table: Table, name: str) -> int:
    """Return the version that a file is of. Raise ConfigError where it is none that is known."""
    version = table.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigError(f"{name}: version = {shown(version)} is not allowed", f"allowed: 1 to {VERSION}")
    if version > VERSION:
        raise ConfigError(f"{name}: it is of version {version}, and this Doorstep knows {VERSION} at most",
                          "upgrade Doorstep; or write the file anew, from: doorstep config example")
    return version


def current(table: Table, version: int) -> Table:
    """Return the same settings as they are written today, without the version."""
    table = {key: value for key, value in table.items() if key != "version"}
    for step in range(version, VERSION):
        table = STEPS[step](table)
    return table
