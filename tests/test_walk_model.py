"""The walk test's keys and what they change: pure, from state to state."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import config
from device.checks import MASK_COLUMNS, MASK_ROWS
from device.see.detector import Detector, Reason
from device.see.frame import Frame
from device.walk_acts import NEXT
from device.walk_grid import Sign, sign
from device.walk_keys import SENT, Key, read_keys
from device.walk_model import Mode, Settings, Verdict, Wish, mask_cells, take_frame, take_save
from tests.walked import FRESH, HERE, NOTHING, press, seen, text

# Keys


def test_the_table_names_every_key_in_every_mode() -> None:
    """No key, whenever pressed, meets nothing that was thought of."""
    assert set(NEXT) == set(Mode)
    for mode in Mode:
        assert set(NEXT[mode]) == set(Key)
    assert set(SENT.values()) == set(Key) - {Key.OTHER}


def test_a_save_is_wished_by_the_save_key_alone_and_quitting_by_quit_yes_and_save() -> None:
    """Nothing is written because a finger slipped."""
    dirty = press(FRESH, Key.CELL)
    wishes = {(mode, key): NEXT[mode][key](dataclasses.replace(dirty, mode=mode)).wish for mode in Mode for key in Key}
    assert {at: wish for at, wish in wishes.items() if wish is not Wish.NOTHING} == {
        (Mode.WATCHING, Key.SAVE): Wish.SAVE,
        (Mode.ASKING, Key.YES): Wish.QUIT,
        (Mode.ASKING, Key.SAVE): Wish.SAVE_AND_QUIT,
    }


@pytest.mark.parametrize(("sent", "keys"), [
    (b"\x1b[A\x1b[B\x1b[C\x1b[D", [Key.UP, Key.DOWN, Key.RIGHT, Key.LEFT]),
    (b"\x1bOA\x1bOB\x1bOC\x1bOD", [Key.UP, Key.DOWN, Key.RIGHT, Key.LEFT]),
    (b"kjlh rc+-=us?qy", [Key.UP, Key.DOWN, Key.RIGHT, Key.LEFT, Key.CELL, Key.ROW, Key.COLUMN, Key.MORE, Key.LESS,
                          Key.MORE, Key.UNDO, Key.SAVE, Key.HELP, Key.QUIT, Key.YES]),
    (b"\x13\x1a", [Key.SAVE, Key.UNDO]),
    (b"\x1b[3~\x1b[15~\x1b[1;5C\x1bs\x1bOs", [Key.OTHER] * 5),  # Delete, F5, Ctrl-right, Alt-s, a keypad key
    ("ü".encode(), [Key.OTHER] * 2),
    (b"\x1b\x1b[A", [Key.OTHER, Key.UP]),
])
def test_what_terminals_send_becomes_keys(sent: bytes, keys: list[Key]) -> None:
    """Delete must not be read as a 3 and a ~, nor Alt-s as save."""
    assert read_keys(sent) == (keys, b"")
    found, rest = [], b""
    for byte in sent:  # a slow line may cut a sequence anywhere
        more, rest = read_keys(rest + bytes((byte,)))
        found += more
    assert (found, rest) == (keys, b"")


@given(st.binary(max_size=2000) | st.integers(1, 2000).map(lambda count: b"\x1b" * count))
def test_no_input_is_kept_for_long_or_stops_the_reader(data: bytes) -> None:
    """No input, pasted or typed by a cat, makes it fail or remember without bound."""
    _, rest = read_keys(data)
    assert len(rest) <= 32


# The model


def test_the_cursor_goes_to_every_cell_and_never_out() -> None:
    """All four corners, the last row and column included."""
    top_left = press(FRESH, *[Key.UP, Key.LEFT] * 30)
    assert (top_left.row, top_left.column) == (0, 0)
    bottom_right = press(FRESH, *[Key.DOWN, Key.RIGHT] * 30)
    assert (bottom_right.row, bottom_right.column) == (MASK_ROWS - 1, MASK_COLUMNS - 1)


def test_space_masks_the_cell_and_space_again_watches_it() -> None:
    """One key, there and back."""
    once = press(FRESH, Key.CELL)
    assert once.settings.mask[FRESH.row][FRESH.column] == "#"
    assert once.settings.masked == 1
    assert once.unsaved
    again = press(once, Key.CELL)
    assert again.settings == NOTHING
    assert not again.unsaved


def test_a_row_and_a_column_are_masked_whole_and_then_watched_whole() -> None:
    """A street is a row, a neighbour's door a column or two."""
    row = press(FRESH, Key.CELL, Key.ROW)
    assert row.settings.mask[FRESH.row] == "#" * MASK_COLUMNS
    assert row.settings.masked == MASK_COLUMNS
    assert press(row, Key.ROW).settings == NOTHING
    column = press(FRESH, Key.COLUMN)
    assert {line[FRESH.column] for line in column.settings.mask} == {"#"}
    assert column.settings.masked == MASK_ROWS


def test_the_last_watched_cell_cannot_be_masked() -> None:
    """A blind camera must be no key away, and the file would be refused."""
    almost = ("#" * 15 + ".", *["#" * 16] * 11)
    state = dataclasses.replace(FRESH, settings=Settings(almost, 3), row=0, column=15)
    for key in (Key.CELL, Key.ROW, Key.COLUMN):
        after = press(state, key)
        assert after.settings.mask == almost
        assert "must be watched" in after.note


def test_sensitivity_stays_within_what_the_configuration_allows() -> None:
    """Five steps, and a word at either end."""
    assert press(FRESH, Key.MORE, Key.MORE).settings.sensitivity == 5
    most = press(FRESH, *[Key.MORE] * 5)
    least = press(FRESH, *[Key.LESS] * 5)
    assert (least.settings.sensitivity, most.settings.sensitivity) == (1, 5)
    assert "from 1 to 5" in most.note
    assert "from 1 to 5" in least.note


def test_undo_takes_back_one_change_at_a_time_to_the_beginning() -> None:
    """Whoever masks the wrong row must not count cells."""
    states = [FRESH]
    for key in (Key.CELL, Key.MORE, Key.ROW, Key.COLUMN, Key.LESS):
        states.append(press(states[-1], key))
    state = states[-1]
    for before in reversed(states[:-1]):
        state = press(state, Key.UNDO)
        assert state.settings == before.settings
    assert "nothing to undo" in press(state, Key.UNDO).note


@given(st.lists(st.sampled_from(sorted(set(Key) - {Key.SAVE}, key=lambda key: key.name)), max_size=60))
def test_no_input_of_keys_makes_settings_that_the_configuration_refuses(keys: list[Key]) -> None:
    """No input, however long, ends in a file that cannot be read; and undo finds the way back."""
    state = press(FRESH, *keys)
    config.Camera(mask=state.settings.written)
    config.Detector(sensitivity=state.settings.sensitivity)
    state = dataclasses.replace(state, mode=Mode.WATCHING)
    assert press(state, *[Key.UNDO] * len(keys)).settings == NOTHING


def test_quitting_asks_only_where_something_would_be_lost() -> None:
    """And any key but the two goes on."""
    assert press(FRESH, Key.QUIT).wish is Wish.QUIT
    asked = press(FRESH, Key.CELL, Key.QUIT)
    assert (asked.mode, asked.wish) == (Mode.ASKING, Wish.NOTHING)
    assert "Quit without saving?" in text(asked)
    assert "y quits, s saves" in text(asked, 60, 20)
    assert press(asked, Key.YES).wish is Wish.QUIT
    assert press(asked, Key.SAVE).wish is Wish.SAVE_AND_QUIT
    assert press(asked, Key.QUIT).mode is Mode.WATCHING


def test_a_save_that_failed_keeps_the_changes_and_does_not_quit() -> None:
    """Ten minutes of masking are worth a second try."""
    wished = press(FRESH, Key.CELL, Key.QUIT, Key.SAVE)
    failed = take_save(wished, "disk full", "")
    assert (failed.wish, failed.unsaved, failed.note) == (Wish.NOTHING, True, "NOT SAVED: disk full")
    worked = take_save(wished, "", "Saved.")
    assert (worked.wish, worked.unsaved, worked.farewell) == (Wish.QUIT, False, "Saved.")


def test_change_fades_over_ten_seconds_and_a_masked_cell_shows_none() -> None:
    """Now, just now, lately, gone."""
    state = take_frame(FRESH, seen(100.0, HERE))
    looks = []
    for t_s in (100.0, 101.5, 104.0, 109.0, 111.0):
        state = take_frame(state, seen(t_s, *([HERE] if t_s == 100.0 else [])))
        looks.append(sign(state, FRESH.row, FRESH.column))
    assert looks == [Sign.NOW, Sign.JUST, Sign.LATELY, Sign.FADING, Sign.QUIET]
    masked = take_frame(press(FRESH, Key.CELL), seen(100.0, HERE))
    assert sign(masked, FRESH.row, FRESH.column) is Sign.MASKED


def test_watching_a_cell_again_does_not_bring_back_what_moved_there_before() -> None:
    """Masked means forgotten."""
    state = press(take_frame(FRESH, seen(100.0, HERE)), Key.CELL, Key.CELL)
    assert sign(state, FRESH.row, FRESH.column) is Sign.QUIET


@pytest.mark.parametrize("shape", [(60, 80), (45, 80), (53, 80), (60, 27), (120, 16)])
def test_every_cell_of_the_detector_lies_in_the_mask_cell_that_hides_it(shape: tuple[int, int]) -> None:
    """Motion in each corner is seen, in its corner."""
    rows, columns = shape
    found = set()
    for row in range(rows):
        for column in range(columns):
            changed = np.zeros(shape, np.bool_)
            changed[row, column] = True
            (cell,) = mask_cells(changed)
            assert cell == row * MASK_ROWS // rows * MASK_COLUMNS + column * MASK_COLUMNS // columns
            found.add(cell)
    assert found == set(range(MASK_ROWS * MASK_COLUMNS))
    assert mask_cells(np.zeros(shape, np.bool_)) == frozenset()


def test_a_verdict_is_read_of_a_detector_and_before_its_first_look_nothing_has_changed() -> None:
    """The stand-in has the names of the real one, and the real one has them."""
    changed = np.zeros((60, 80), np.bool_)
    changed[-1, -1] = True
    standin = SimpleNamespace(changed=changed, noise_levels=1.5, evidence=0.4, reason=Reason.GATHERING)
    assert Verdict.of(standin, (), 2.0, 3.0) == Verdict(2.0, 3.0, frozenset({191}), 0.4, 1.5, Reason.GATHERING, ())
    real = Detector()
    assert Verdict.of(real, (), 0.0, 0.0).changed == frozenset()
    for n in range(40):
        picture = np.full((120, 160), 100, np.uint8)
        picture[5 if n < 30 else 0:5, :30] = 200
        real.step(Frame(picture + np.uint8(0), n / 10))
    assert real.changed is not None
    assert real.changed.shape == (60, 80)
