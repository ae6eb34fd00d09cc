"""What a key of the walk test does, in every mode: a table of pure functions.

Rule 1: pure: a state in, a state out; nothing is changed in place.
Rule 2: the table is complete: a mode and a key that it does not name cannot occur.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.see.mask import MASKED
from device.walk_keys import Key
from device.walk_model import NEVER_S, WATCHED, Mode, Settings, State, Wish

UNDO_MOST = 200  # each of the 192 cells once
_SENSITIVITY = range(1, 6)


def take_key(state: State, key: Key) -> State:
    """Return the state after a key."""
    return NEXT[state.mode][key](dataclasses.replace(state, note=""))


_Act = Callable[[State], State]


def _move(rows: int, columns: int) -> _Act:
    def act(state: State) -> State:
        row = min(max(state.row + rows, 0), MASK_ROWS - 1)
        return dataclasses.replace(state, row=row, column=min(max(state.column + columns, 0), MASK_COLUMNS - 1))

    return act


def _mask(whole_row: bool, whole_column: bool) -> _Act:
    """Mask the cells meant; if all of them are masked already, watch them again."""

    def act(state: State) -> State:
        rows = range(MASK_ROWS) if whole_column else (state.row,)
        columns = range(MASK_COLUMNS) if whole_row else (state.column,)
        mask = [list(row) for row in state.settings.mask]
        letter = MASKED if any(mask[row][column] != MASKED for row in rows for column in columns) else WATCHED
        seen_s = list(state.seen_s)
        for row in rows:
            for column in columns:
                mask[row][column] = letter
                seen_s[row * MASK_COLUMNS + column] = NEVER_S  # nothing of before comes back with the cell
        wanted = dataclasses.replace(state.settings, mask=tuple("".join(row) for row in mask))
        if not any(WATCHED in row for row in wanted.mask):
            return dataclasses.replace(state, note="Not masked: one cell at least must be watched.")
        return dataclasses.replace(_change(state, wanted), seen_s=tuple(seen_s))

    return act


def _sense(by: int) -> _Act:
    def act(state: State) -> State:
        wanted = state.settings.sensitivity + by
        if wanted not in _SENSITIVITY:
            return dataclasses.replace(state, note=f"Sensitivity is from {_SENSITIVITY[0]} to {_SENSITIVITY[-1]}.")
        return _change(state, dataclasses.replace(state.settings, sensitivity=wanted))

    return act


def _change(state: State, wanted: Settings) -> State:
    return dataclasses.replace(state, settings=wanted, undo=(*state.undo, state.settings)[-UNDO_MOST:])


def _undo(state: State) -> State:
    if not state.undo:
        return dataclasses.replace(state, note="There is nothing to undo.")
    return dataclasses.replace(state, settings=state.undo[-1], undo=state.undo[:-1])


def _save(state: State) -> State:
    if not state.unsaved:
        return dataclasses.replace(state, note="There is nothing to save.")
    return dataclasses.replace(state, wish=Wish.SAVE)


def _quit(state: State) -> State:
    return dataclasses.replace(state, mode=Mode.ASKING) if state.unsaved else _wish(Wish.QUIT)(state)


def _wish(wish: Wish) -> _Act:
    return lambda state: dataclasses.replace(state, mode=Mode.WATCHING, wish=wish)


def _go(mode: Mode) -> _Act:
    return lambda state: dataclasses.replace(state, mode=mode)


def _nothing(state: State) -> State:
    return state


NEXT: dict[Mode, dict[Key, _Act]] = {
    Mode.WATCHING: {
        Key.LEFT: _move(0, -1),
        Key.DOWN: _move(1, 0),
        Key.UP: _move(-1, 0),
        Key.RIGHT: _move(0, 1),
        Key.CELL: _mask(whole_row=False, whole_column=False),
        Key.ROW: _mask(whole_row=True, whole_column=False),
        Key.COLUMN: _mask(whole_row=False, whole_column=True),
        Key.MORE: _sense(1),
        Key.LESS: _sense(-1),
        Key.UNDO: _undo,
        Key.SAVE: _save,
        Key.QUIT: _quit,
        Key.HELP: _go(Mode.HELP),
        Key.YES: _nothing,
        Key.OTHER: _nothing,
    },
    Mode.HELP: dict.fromkeys(Key, _go(Mode.WATCHING)),
    Mode.ASKING: dict.fromkeys(Key, _go(Mode.WATCHING))
    | {Key.YES: _wish(Wish.QUIT), Key.SAVE: _wish(Wish.SAVE_AND_QUIT)},
}
