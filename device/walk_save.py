"""Mask and sensitivity go into doorstep.toml; everything else in it stays as its owner wrote it.

Rule 1: the file is whole at any time: written beside it, checked, synced, and then put in its place.
Rule 2: nothing replaces it that device.config does not read as meant.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, Table

from device import config
from device.checks import MASK_COLUMNS, MASK_ROWS
from device.config import Config
from device.errors import ConfigError
from device.versions import VERSION
from device.walk_model import Settings

_NEW = f"# Made by doorstep walk. All settings and their defaults: doorstep config example\nversion = {VERSION}\n\n"
_NEW_MODE = 0o644  # there is no secret in it


def edited(text: str, wanted: Settings, name: str, folder: Path) -> str:
    """Return the file's text with the settings wanted, and only what differs changed. Raise ConfigError."""
    before = config.parse(text, name, folder)
    meant = _with(replace(before, detector=replace(before.detector, sensitivity=wanted.sensitivity)), wanted.written)
    unix = text.replace("\r\n", "\n")
    try:
        document = tomlkit.parse(unix if not unix or unix.endswith("\n") else unix + "\n")
        if Settings.of(before).mask != wanted.mask:
            _set_mask(_table(document, "camera"), wanted.written)
        if before.detector.sensitivity != wanted.sensitivity:
            _set(_table(document, "detector"), "sensitivity", wanted.sensitivity)
        after = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(f"{name}: {error}", "write mask and sensitivity into it by hand") from None
    found = config.parse(after, name, folder)
    if _with(found, Settings.of(found).written) != meant:
        raise ConfigError(f"{name}: cannot be edited without changing more", "write mask and sensitivity by hand")
    return after.replace("\n", "\r\n") if "\r\n" in text else after


def save(path: Path, wanted: Settings) -> str:
    """Save and return what was saved, in words. Raise ConfigError, with the file as it was."""
    real = Path(os.path.realpath(path))  # a link stays a link
    try:
        before = real.stat() if real.exists() else None
        text = _NEW if before is None else _read(real)
        _replace(real, edited(text, wanted, str(path), real.parent), before)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: {why}", "it is as it was; is its folder there, and may you write it?") from None
    return _words(path, wanted)


def _with(door: Config, mask: tuple[str, ...]) -> Config:
    """One way to write "nothing is masked": the file may have dots only, too."""
    return replace(door, camera=replace(door.camera, mask=mask))


def _words(path: Path, wanted: Settings) -> str:
    return (f"Saved to {path.absolute()}: {wanted.masked} of {MASK_ROWS * MASK_COLUMNS} cells masked, sensitivity "
            f"{wanted.sensitivity}. A running doorstep takes it when it restarts.")


def _table(document: tomlkit.TOMLDocument, name: str) -> MutableMapping[str, Any]:
    if name not in document:
        document[name] = tomlkit.table()
    found: MutableMapping[str, Any] = document[name]  # config.parse took it for a table
    return found


def _set_mask(table: MutableMapping[str, Any], rows: tuple[str, ...]) -> None:
    there = table.get("mask")
    if isinstance(there, Array) and len(there) == len(rows):
        for number, row in enumerate(rows):  # one by one: comments among them stay
            there[number] = row
        return
    array = tomlkit.array()
    array.extend(rows)
    _set(table, "mask", array.multiline(bool(rows)))


def _set(table: MutableMapping[str, Any], key: str, value: object) -> None:
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


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _replace(path: Path, text: str, before: os.stat_result | None) -> None:
    """Put `text` into the file's place, with its mode and, where we may, its owner."""
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
            os.fchmod(descriptor, _NEW_MODE if before is None else before.st_mode & 0o7777)
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
