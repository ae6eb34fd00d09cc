"""The keys of the walk test, and what a terminal sends for them.

Rule 1: pure: bytes in, keys out. What is no key of ours is OTHER, and a sequence is never read as its letters.
"""

from __future__ import annotations

import enum
import re


class Key(enum.Enum):
    """A key; the value says what it is for."""

    LEFT = "move the cursor left"
    DOWN = "move the cursor down"
    UP = "move the cursor up"
    RIGHT = "move the cursor right"
    CELL = "mask the cell, or watch it again"
    ROW = "mask the whole row, or watch it again"
    COLUMN = "mask the whole column, or watch it again"
    MORE = "more sensitive"
    LESS = "less sensitive"
    UNDO = "undo the last change"
    SAVE = "save the mask and the sensitivity"
    QUIT = "quit"
    HELP = "show all keys and what the signs mean"
    YES = "quit without saving, when asked"
    OTHER = "any other key"


# Arrows come as CSI or, in application mode, as SS3. Ctrl-S and Ctrl-Z do what hands expect of them.
SENT: dict[str, Key] = {
    "\x1b[D": Key.LEFT, "\x1bOD": Key.LEFT, "h": Key.LEFT,
    "\x1b[B": Key.DOWN, "\x1bOB": Key.DOWN, "j": Key.DOWN,
    "\x1b[A": Key.UP, "\x1bOA": Key.UP, "k": Key.UP,
    "\x1b[C": Key.RIGHT, "\x1bOC": Key.RIGHT, "l": Key.RIGHT,
    " ": Key.CELL, "r": Key.ROW, "c": Key.COLUMN,
    "+": Key.MORE, "=": Key.MORE, "-": Key.LESS,  # = is + without shift
    "u": Key.UNDO, "\x1a": Key.UNDO, "s": Key.SAVE, "\x13": Key.SAVE,
    "q": Key.QUIT, "?": Key.HELP, "y": Key.YES,
}

# A CSI sequence to its final byte, an SS3 or Alt key with its letter, or one byte.
_ONE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[@-~]|\x1b[^\[O\x1b]|[^\x1b]", re.DOTALL)
_REST_MOST_BYTES = 32  # no key is longer; what never ends is no key


def read_keys(data: bytes) -> tuple[list[Key], bytes]:
    """Return the keys in `data` and what is left: the beginning of a sequence whose end has not come yet."""
    text, at = data.decode("latin-1"), 0
    keys: list[Key] = []
    while True:
        if found := _ONE.match(text, at):
            keys.append(SENT.get(found.group(), Key.OTHER))
            at = found.end()
        elif text.startswith("\x1b\x1b", at) or len(text) - at > _REST_MOST_BYTES:  # the Escape key, and more behind it
            keys.append(Key.OTHER)
            at += 1
        else:
            return keys, data[at:]
