"""doorstep.toml is changed setting by setting; everything else in it stays as its owner wrote it.

Rule 1: the file is whole at any time: written beside it, synced, and then put in its place.
Rule 2: a text that device.config does not read as meant is refused, and nothing is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from device import config
from device.checks import Checked
from device.errors import ConfigError

NEW_MODE = 0o644  # there is no secret in it


def edited(text: str, wanted: Mapping[str, object], name: str, folder: Path) -> str:
    """Return the file's text with the settings wanted ("place", "broker.host"), and no other changed."""
    before = config.parse(text, name, folder)

    def change(document: tomlkit.TOMLDocument) -> None:
        for setting, value in wanted.items():
            table, _, key = setting.rpartition(".")
            set_key(table_of(document, table) if table else document, key, value)

    after = changed(text, name, change)
    found, was = _flat(config.parse(after, name, folder)), _flat(before)
    if not {setting for setting in found if found[setting] != was[setting]} <= set(wanted):
        raise ConfigError(f"{name}: cannot be edited without changing more",
                          f"write {', '.join(wanted)} into it by hand")
    return after


def _flat(part: Checked, table: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for item in dataclasses.fields(part):  # type: ignore[arg-type]  # every subclass is a dataclass
        value = getattr(part, item.name)
        found |= _flat(value, f"{item.name}.") if isinstance(value, Checked) else {f"{table}{item.name}": value}
    return found


def changed(text: str, name: str, change: Callable[[tomlkit.TOMLDocument], None]) -> str:
    """Return the text after `change`, with its comments, spaces and ends of lines. Raise ConfigError."""
    unix = text.replace("\r\n", "\n")
    try:
        document = tomlkit.parse(unix if not unix or unix.endswith("\n") else unix + "\n")
        change(document)
        after = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(f"{name}: {error}", "write into it by hand") from None
    return after.replace("\n", "\r\n") if "\r\n" in text else after


def table_of(document: tomlkit.TOMLDocument, name: str) -> MutableMapping[str, Any]:
    """Return a table of the document, made where it is missing."""
    if name not in document:
        document[name] = tomlkit.table()
    found: MutableMapping[str, Any] = document[name]  # config.parse took it for a table
    return found


def set_key(table: MutableMapping[str, Any], key: str, value: object) -> None:
    """Set a key; a new one goes behind the table's last, before comments that belong to what follows."""
    below: list[Any] = []
    if key not in table and isinstance(table, Table):
        body = table.value.body
        while body and body[-1][0] is None:
            below.insert(0, body.pop())
        table[key] = value
        body.extend(below)
    else:
        table[key] = value


def read(path: Path) -> str:
    """Return its text, line ends as they are."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def replace(path: Path, text: str, before: os.stat_result | None) -> None:
    """Put `text` into the file's place, with its mode and, where we may, its owner. Raise OSError."""
    if before is not None and not os.access(path, os.W_OK, effective_ids=True):
        raise PermissionError(1, "it is not writable")  # a rename would not ask
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if before is not None:
                with contextlib.suppress(PermissionError):  # only root may give a file away
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, NEW_MODE if before is None else before.st_mode & 0o7777)
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the new name too survives a power cut
    finally:
        os.close(folder)
