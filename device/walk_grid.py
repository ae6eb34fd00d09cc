"""The grid of the walk test: where change is seen, masked cells and the cursor.

Rule 1: pure. A cell says when it changed and whether it is masked, and has no other way to look.
Rule 2: every sign differs without colour too, and in ASCII.
"""

from __future__ import annotations

import enum
from itertools import groupby
from typing import NamedTuple

from rich.text import Text

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.see.mask import MASKED
from device.walk_model import State


def printable(words: str, style: str = "") -> Text:
    """The only way into a line: what could steer the terminal is not printed.

    The style is a span's and not the Text's own, which would go on over whatever is added to it.
    """
    return Text.assemble(("".join(letter if letter.isprintable() else "?" for letter in words), style), no_wrap=True)


class _Look(NamedTuple):
    sign: str
    ascii: str
    style: str
    words: str
    until_s: float = 0.0  # how long after the change


class Sign(enum.Enum):
    """What a cell can look like; a later one is drawn only where none before it is meant."""

    MASKED = _Look("#", "#", "blue", "masked: never looked at")
    NOW = _Look("█", "@", "bold bright_yellow", "changing now", 0.0)
    JUST = _Look("▓", "O", "yellow", "changed in the last 2 s", 2.0)
    LATELY = _Look("▒", "o", "yellow", "changed in the last 5 s", 5.0)
    FADING = _Look("░", ":", "yellow", "changed in the last 10 s", 10.0)
    QUIET = _Look("·", ".", "dim", "nothing changes", float("inf"))


def sign(state: State, row: int, column: int) -> Sign:
    """Return how a cell is drawn; a masked one as that, whatever has changed there."""
    if state.settings.mask[row][column] == MASKED:
        return Sign.MASKED
    ago_s = state.ago_s(row * MASK_COLUMNS + column)
    return next(sign for sign in Sign if sign is not Sign.MASKED and ago_s <= sign.value.until_s)


def _cell_width(high: int) -> int:
    return 2 if high == 1 else 2 * high + 1  # about square: a character is twice as high as wide


def grid_width(high: int) -> int:
    """Columns that the grid takes with cells `high` lines high."""
    return MASK_COLUMNS * (_cell_width(high) + 1) + 1 + 2


def grid(state: State, high: int, plain: bool) -> list[Text]:
    """Draw it in its frame, with cells `high` lines high."""
    wide = _cell_width(high)
    corner, line, wall = ("+" * 4, "-", "|") if plain else ("┌┐└┘", "─", "│")
    title = f"{line} where it changes "
    inner = grid_width(high) - 2
    drawn = [printable(corner[0] + title + line * (inner - len(title)) + corner[1], "dim")]
    for row in range(MASK_ROWS):
        signs = [sign(state, row, column) for column in range(MASK_COLUMNS)]
        for part in range(high):
            tokens = [(wall, "dim")]
            for column, look in enumerate(signs):
                tokens.append(_gap(state, row, column, look.value.style))
                tokens.append((_fill(look, wide, plain, middle=part == high // 2), look.value.style))
            tokens += [_gap(state, row, MASK_COLUMNS, ""), (wall, "dim")]
            drawn.append(_joined(tokens))
    return [*drawn, printable(corner[2] + line * inner + corner[3], "dim")]


def _joined(tokens: list[tuple[str, str]]) -> Text:
    """One Text of as few pieces as there are changes of style: a small device draws this ten times a second."""
    runs = groupby(tokens, key=lambda token: token[1])
    return Text.assemble(*(("".join(words for words, _ in run), style) for style, run in runs))


def _gap(state: State, row: int, column: int, style: str) -> tuple[str, str]:
    """What stands left of a cell of that style: a bracket of the cursor, or nothing."""
    if row != state.row or column not in (state.column, state.column + 1):
        return " ", style
    return "[" if column == state.column else "]", "bold bright_cyan"


def _fill(sign: Sign, wide: int, plain: bool, *, middle: bool) -> str:
    letter = sign.value.ascii if plain else sign.value.sign
    return (letter if middle else " ").center(wide) if sign is Sign.QUIET else letter * wide


def sample(sign: Sign, plain: bool) -> Text:
    """Draw a sign as in the smallest grid."""
    return printable(_fill(sign, 2, plain, middle=True), sign.value.style)


def legend(plain: bool) -> Text:
    """Say what the signs mean, in one line."""
    now, just, lately, fading, masked = (
        sample(sign, plain) for sign in (Sign.NOW, Sign.JUST, Sign.LATELY, Sign.FADING, Sign.MASKED))
    text = now + printable(" now   ") + just + " " + lately + " " + fading + printable(" in the last 10 s   ")
    return text + masked + printable(" masked   ") + printable("[ ]", "bold bright_cyan") + printable(" cursor")
