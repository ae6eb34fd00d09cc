"""The names in a recordings folder: `device.key`, and `clips/`, which is all that an owner copies.

Rule 1: a name is read by the same pattern that it is written by; whatever else lies there is nobody's clip.
"""

from __future__ import annotations

import re

KEY = "device.key"  # PEM, 0600: what the device signs with; made at its first start, and never copied
CLIPS = "clips"
PUBLIC = "device.pub"  # PEM, in clips/: what its signatures are checked with
MOST = 999_999  # six digits: sorted by name is sorted by number

_NAME = re.compile(r"clip-([0-9]{6})\.(ts\.age|statement)", re.ASCII)


def clip(number: int) -> str:
    """Return the name of the clip of that number. Raise ValueError outside 1 to MOST."""
    return f"clip-{_checked(number):06d}.ts.age"


def statement(number: int) -> str:
    """Return the name of its statement. Raise ValueError outside 1 to MOST."""
    return f"clip-{_checked(number):06d}.statement"


def clip_number(name: str) -> int | None:
    """Return the number of a clip's file, or None where it is none."""
    return _number(name, "ts.age")


def statement_number(name: str) -> int | None:
    """Return the number of a statement's file, or None where it is none."""
    return _number(name, "statement")


def _checked(number: int) -> int:
    if not 1 <= number <= MOST:
        raise ValueError(f"no clip has the number {number}")
    return number


def _number(name: str, ending: str) -> int | None:
    found = _NAME.fullmatch(name)
    return int(found[1]) or None if found and found[2] == ending else None
