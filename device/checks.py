"""What a setting may be: checks that say what is allowed, and a dataclass that no illegal value gets into.

Rule 1: an illegal value cannot be built, from a file or in code; ranges are written so that NaN is refused.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

from device.errors import ConfigError

_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
Check = Callable[[object], str | None]  # None where legal, else what would be


def text(most_bytes: int, least: int = 0) -> Check:
    """One line of printable text; bytes are what MQTT's limits count."""

    def check(value: object) -> str | None:
        legal = isinstance(value, str) and value.isprintable() and value == value.strip() and len(value) >= least
        if legal and isinstance(value, str) and len(value.encode(errors="replace")) <= most_bytes:
            return None
        return f"one line of printable text, {least} to {most_bytes} bytes, no space at either end"

    return check


def matches(pattern: str, words: str) -> Check:
    """Text that matches the whole of `pattern`; `words` say it for a person."""
    def check(value: object) -> str | None:
        return None if isinstance(value, str) and re.fullmatch(pattern, value) else words

    return check


def one_of(*options: str) -> Check:
    """One of `options`."""
    def check(value: object) -> str | None:
        return None if value in options else "one of " + ", ".join(json.dumps(option) for option in options)

    return check


def number(least: float, most: float, unit: str, kind: type = float) -> Check:
    """A number within both ends; NaN and booleans are none."""
    def check(value: object) -> str | None:
        right_type = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if right_type and least <= value <= most:  # type: ignore[operator]  # a number, as just seen
            return None
        noun = "a whole number" if kind is int else "a number"
        return f"{noun} from {least:g} to {most:g}{' ' + unit if unit else ''}"

    return check


def hours(value: object) -> str | None:
    """Nothing, or two different times of day."""
    found = re.fullmatch(rf"({_TIME})-({_TIME})", value) if isinstance(value, str) else None
    if value == "" or (found and found[1] != found[2]):
        return None
    return 'two different times of the local day, such as "22:00-07:00", or nothing'


def flag(value: object) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "true or false"


MASK_COLUMNS, MASK_ROWS = 16, 12  # cells of 10 x 10 pixels of the watching stream


def mask(value: object) -> str | None:
    """Nothing, or MASK_ROWS rows of MASK_COLUMNS."""
    if isinstance(value, (list, tuple)):
        right = all(isinstance(row, str) and re.fullmatch(rf"[.#]{{{MASK_COLUMNS}}}", row) for row in value)
        if right and len(value) in (0, MASK_ROWS) and (not value or any("." in row for row in value)):
            return None
    return f'nothing, or {MASK_ROWS} rows of {MASK_COLUMNS} of "." (watched) and "#" (masked), one "." at least'


def lines(each_most_bytes: int, most: int) -> Check:
    """At most `most` lines, none of them empty."""
    one = text(each_most_bytes, 1)

    def check(value: object) -> str | None:
        if isinstance(value, (list, tuple)) and len(value) <= most and not any(one(item) for item in value):
            return None
        return f"at most {most} lines of at most {each_most_bytes} bytes"

    return check


def setting(default: Any, check: Check, words: str) -> Any:
    """Declare a field of a Checked, with its default, its check and its words."""
    return dataclasses.field(default=default, metadata={"check": check, "words": words})


class Checked:
    """A dataclass whose every field passes its check, however it is made."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if "check" not in item.metadata:
                continue
            value = getattr(self, item.name)
            allowed = item.metadata["check"](value)
            if allowed is not None:
                raise ConfigError(f"{item.name} = {shown(value)} is not allowed", f"allowed: {allowed}")


def shown(value: object) -> str:
    """Write a value so that it fits into an error, whatever it is."""
    words = json.dumps(value, default=str, ensure_ascii=True)
    return words if len(words) <= 60 else words[:57] + "..."
