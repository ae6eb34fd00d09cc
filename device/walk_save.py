"""Mask and sensitivity go into doorstep.toml; everything else in it stays as its owner wrote it.

Rule 1: only what differs is changed.
Rule 2: nothing replaces it that device.config does not read as meant.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Array

from device import config, settings_file
from device.checks import MASK_COLUMNS, MASK_ROWS
from device.config import Config
from device.errors import ConfigError
from device.settings_file import set_key, table_of
from device.versions import VERSION
from device.walk_model import Settings

_NEW = f"# Made by doorstep walk. All settings and their defaults: doorstep config example\nversion = {VERSION}\n\n"


def edited(text: str, wanted: Settings, name: str, folder: Path) -> str:
    """Return the file's text with the settings wanted, and only what differs changed. Raise ConfigError."""
    before = config.parse(text, name, folder)
    meant = _with(replace(before, detector=replace(before.detector, sensitivity=wanted.sensitivity)), wanted.written)

    def change(document: tomlkit.TOMLDocument) -> None:
        if Settings.of(before).mask != wanted.mask:
            _set_mask(table_of(document, "camera"), wanted.written)
        if before.detector.sensitivity != wanted.sensitivity:
            set_key(table_of(document, "detector"), "sensitivity", wanted.sensitivity)

    after = settings_file.changed(text, name, change)
    found = config.parse(after, name, folder)
    if _with(found, Settings.of(found).written) != meant:
        raise ConfigError(f"{name}: cannot be edited without changing more", "write mask and sensitivity by hand")
    return after


def save(path: Path, wanted: Settings) -> str:
    """Save and return what was saved, in words. Raise ConfigError, with the file as it was."""
    real = Path(os.path.realpath(path))  # a link stays a link
    try:
        before = real.stat() if real.exists() else None
        text = _NEW if before is None else settings_file.read(real)
        settings_file.replace(real, edited(text, wanted, str(path), real.parent), before)
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


def _set_mask(table: MutableMapping[str, Any], rows: tuple[str, ...]) -> None:
    there = table.get("mask")
    if isinstance(there, Array) and len(there) == len(rows):
        for number, row in enumerate(rows):  # one by one: comments among them stay
            there[number] = row
        return
    array = tomlkit.array()
    array.extend(rows)
    set_key(table, "mask", array.multiline(bool(rows)))
