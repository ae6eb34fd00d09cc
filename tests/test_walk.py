"""The walk test: what its owner sees and presses, what it saves, and that the terminal is theirs again."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import os
import re
import signal
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from device import config
from device.checks import MASK_COLUMNS, MASK_ROWS
from device.config import Config
from device.errors import CameraError, ConfigError
from device.messages import SeeToTell
from device.see.camera import Paced
from device.see.detector import Detector, Reason
from device.see.frame import Frame
from device.walk import _screen
from device.walk_acts import NEXT, take_key
from device.walk_eye import Eye
from device.walk_grid import Sign, sign
from device.walk_keys import SENT, Key, read_keys
from device.walk_model import Mode, Settings, State, Verdict, Wish, mask_cells, take_frame, take_save
from device.walk_save import edited, save
from device.walk_screen import lines
from tests import window
from tests.rig import PATIENCE_S, doorstep, environment, until
from tests.test_sources import write_video

NOTHING = Settings.of(Config())
FRESH = State(NOTHING, NOTHING, "front door", "porch")
HERE = FRESH.row * MASK_COLUMNS + FRESH.column


def press(state: State, *keys: Key) -> State:
    for key in keys:
        state = take_key(state, key)
    return state


def seen(t_s: float, *cells: int, told: tuple[SeeToTell, ...] = (), reason: Reason = Reason.QUIET, evidence: float = 0.0) -> Verdict:
    return Verdict(t_s, t_s, frozenset(cells), evidence, 1.25, reason, told)


def text(state: State, columns: int = 80, rows: int = 24, *, plain: bool = False) -> str:
    return "\n".join(line.plain for line in lines(state, columns, rows, plain=plain))


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


# The screen


def busy() -> State:
    """As much as can be on it: the longest words, a long place, everything told."""
    state = dataclasses.replace(FRESH, place="門" * 20, source="file: " + "x" * 300)
    told = (SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED, SeeToTell.VIEW_BLOCKED, SeeToTell.VIEW_CLEAR) * 3
    reason = max(Reason, key=lambda reason: len(reason.value))
    for t_s in range(30):
        state = take_frame(state, seen(float(t_s), *range(t_s, 192, 7), told=told if t_s == 9 else (), reason=reason, evidence=1.0))
    return press(dataclasses.replace(state, row=0, column=0), Key.ROW, Key.DOWN, Key.MORE)


SCREENS = {
    "before the first frame": FRESH,
    "busy": busy(),
    "asking": press(busy(), Key.QUIT),
    "help": press(busy(), Key.HELP),
    "a failed save": take_save(busy(), "/etc/" + "very-long/" * 40 + "doorstep.toml: Permission denied; hint", ""),
    "a lost camera": dataclasses.replace(busy(), over="No more frames: the camera failed. " + "is the ribbon seated? " * 9),
}


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (81, 60), (300, 24), (120, 40), (79, 23), (20, 5), (1, 1)])
@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize("plain", [False, True])
def test_everything_fits_into_the_window(name: str, size: tuple[int, int], plain: bool) -> None:
    """What scrolls flickers, and what wraps pushes the rest out."""
    columns, rows = size
    console = Console(width=columns, height=rows, record=True, file=io.StringIO(), highlight=False)
    for line in lines(SCREENS[name], columns, rows, plain=plain):
        console.print(line)
    drawn = console.export_text().splitlines()
    assert 0 < len(drawn) <= rows
    assert max(cell_len(line) for line in drawn) <= columns
    if plain:
        assert "".join(drawn).replace("門", "").isascii()


def test_a_window_of_80_by_24_shows_everything_that_helps() -> None:
    """The default of every terminal, and of a console on the device."""
    state = take_frame(FRESH, seen(50.0, told=(SeeToTell.MOTION_STARTED,), reason=Reason.BODY, evidence=0.58))
    shown = text(take_frame(take_frame(state, seen(54.0, 0, 1, reason=Reason.BODY, evidence=0.58)), seen(54.1, 0, evidence=0.58)))
    for words in ("58 %", "1.2 levels", "3 of 5", "0 of 192", "row 7, col 9", "porch", "nothing differs from the",
                  "4 s ago  motion at front door", "now", "masked", "space cell", "u undo", "q quit", "? help", "[·"):
        assert words in shown, words
    assert "frames/s" in shown
    assert not re.search(r"\d\d:\d\d", shown)  # how long ago, never the time of day


def test_the_help_names_every_key_and_every_sign() -> None:
    """The first thing a stuck owner presses."""
    shown = text(press(FRESH, Key.HELP))
    for letter in (sent for sent in SENT if len(sent) == 1 and sent.isprintable() and sent not in " ="):
        assert re.search(rf"(^|[\s,]){re.escape(letter)}([\s,]|$)", shown, re.MULTILINE) or letter == "y", letter
    assert "y quits" in text(press(FRESH, Key.CELL, Key.QUIT))
    for look in Sign:
        assert look.value.words in shown


def test_signs_differ_without_colour_and_without_unicode() -> None:
    """NO_COLOR, a colour-blind owner, a serial console."""
    assert len({look.value.sign for look in Sign}) == len({look.value.ascii for look in Sign}) == len(Sign)
    assert all(look.value.ascii.isascii() for look in Sign)


def test_what_is_shown_cannot_steer_the_terminal() -> None:
    """A file's name is no command."""
    state = dataclasses.replace(FRESH, source="file: \x1b[2J\x07.mp4", over="\x1b]0;x\x07", note="\x9b2J")
    for mode in Mode:
        shown = text(dataclasses.replace(state, mode=mode)).replace("\n", "")
        assert shown.isprintable()


class Differs:
    """A detector that looks at nothing but how far a frame differs from the first: the same for a picture and its negative."""

    def __init__(self, sensitivity: int = 3, watched: object = None) -> None:
        self.changed: np.ndarray | None = None
        self.noise_levels = self.evidence = 0.0
        self.reason = Reason.WARMING_UP
        self._first: np.ndarray | None = None

    def step(self, frame: Frame) -> tuple[SeeToTell, ...]:
        cells = frame.luma.reshape(60, 2, 80, 2).mean((1, 3))
        self._first = cells if self._first is None else self._first
        far = np.abs(cells - self._first)
        self.changed, self.noise_levels = far > 20, float(far.std())
        self.evidence = min(1.0, float(far.mean()) / 5)
        self.reason = Reason.BODY if self.evidence >= 1 else Reason.QUIET
        return (SeeToTell.MOTION_STARTED,) if self.evidence >= 1 else ()


def crossing(place: np.ndarray, contrast: int) -> Iterator[Frame]:
    """Somebody crosses; what lies behind them is `place`, and they differ from it by `contrast`."""
    for n in range(40):
        picture = place.copy()
        if 5 <= n < 30:
            picture[40:110, 3 * n:3 * n + 24] += contrast
        yield Frame(picture.astype(np.uint8), n / 10)


def screens(frames: Iterator[Frame]) -> list[str]:
    """Screens of a walk, one in five, in colour, by the real reader of frames, at two sizes."""
    state, drawn = FRESH, []
    console = Console(force_terminal=True, width=200, color_system="truecolor", file=io.StringIO())
    with Eye(Paced(frames, sleep=lambda _: None), NOTHING) as eye:
        until(lambda: eye.over, "the end")
        for number, verdict in enumerate(eye.verdicts()):
            state = take_frame(state, dataclasses.replace(verdict, at_s=verdict.t_s))
            for size in ((80, 24), (200, 50)) if number % 5 == 0 else ():
                with console.capture() as captured:
                    for line in lines(state, *size):
                        console.print(line)
                drawn.append(captured.get())
    return drawn


def test_two_pictures_with_the_same_changes_make_the_same_screens(monkeypatch: pytest.MonkeyPatch) -> None:
    """No brightness reaches the screen, as a sign or as a colour: not the place's, not the visitor's, not which is darker."""
    monkeypatch.setattr("device.walk_eye.Detector", Differs)
    place = np.random.default_rng(7).integers(100, 156, (12, 16)).repeat(10, 0).repeat(10, 1)
    shown = screens(crossing(place, 60))
    assert len(shown) == 16
    assert any("a body moves" in screen for screen in shown)
    assert any("█" in screen for screen in shown)
    assert screens(crossing(255 - place, -60)) == shown  # the negative
    assert screens(crossing(place, -60)) == shown  # a dark visitor in the place of a bright one
    assert screens(crossing(np.full((120, 160), 90), 60)) == shown  # another place altogether
    assert screens(crossing(place, 5)) != shown  # and the comparison can fail


def test_a_real_walk_lights_the_cells_walked_through_and_says_what_would_be_told() -> None:
    """With the detector of the device."""
    place = np.random.default_rng(7).integers(100, 156, (12, 16)).repeat(10, 0).repeat(10, 1)

    def frames() -> Iterator[Frame]:
        noise = np.random.default_rng(3)
        yield from (Frame((place + noise.normal(0, 1, place.shape)).astype(np.uint8), n / 10) for n in range(30))
        for frame in crossing(place, 60):
            yield Frame((frame.luma + noise.normal(0, 1, place.shape)).astype(np.uint8), 3 + frame.t_s)

    state = FRESH
    with Eye(Paced(frames(), sleep=lambda _: None), NOTHING) as eye:
        until(lambda: eye.over, "the end")
        for verdict in eye.verdicts():
            state = take_frame(state, verdict)
    lit = {(row, column) for row in range(MASK_ROWS) for column in range(MASK_COLUMNS) if sign(state, row, column) is not Sign.QUIET}
    assert {(7, 4), (7, 6), (9, 8)} <= lit
    assert not {(row, column) for row, column in lit if row < 3 or column > 12}
    assert "motion at front door" in text(state)


# The file


WRITTEN = """\
# my door
place = "front door"   # as the family says

[camera] # the Pi's
source = "porch"
# half of what it could:
frames_per_s = 5

# more of it in autumn
[detector]
sensitivity   =   3   # leaves

[alerts]
cooldown_s = 10.0
"""
LEFT = Settings(("#" * 8 + "." * 8,) * MASK_ROWS, 4)


def test_saving_keeps_comments_order_and_form_and_loads_as_meant(tmp_path: Path) -> None:
    """It is the owner's file."""
    path = tmp_path / "doorstep.toml"
    path.write_text(WRITTEN)
    path.chmod(0o640)
    words = save(path, LEFT)
    after = path.read_text()
    rows = "".join(f'    "{row}",\n' for row in LEFT.mask)
    assert after == WRITTEN.replace("frames_per_s = 5\n", f"frames_per_s = 5\nmask = [\n{rows}]\n").replace("   3   ", "   4   ")
    door = config.load(path)
    assert door.camera.mask == LEFT.mask
    assert dataclasses.replace(door, camera=config.Camera(), detector=config.Detector()) == \
        dataclasses.replace(config.parse(WRITTEN), camera=config.Camera(), detector=config.Detector())
    assert door.detector.sensitivity == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert str(path) in words
    assert "96 of 192" in words
    assert list(tmp_path.iterdir()) == [path]
    save(path, dataclasses.replace(NOTHING, sensitivity=3))
    assert path.read_text() == re.sub(r"mask = \[.*?\]", "mask = []", WRITTEN.replace("frames_per_s = 5\n", "frames_per_s = 5\nmask = []\n"), flags=re.DOTALL)


@pytest.mark.parametrize("before", [
    "", "place = 'x'", "# only a comment\n", "camera.source = 'porch'\n", "camera = {source = 'porch'} # inline\n", "[detector]\n",
    "[camera]\nmask = [ # mine\n" + "  '................', # sky\n" * 12 + "] # end\n", "[camera]\nmask = []\n",
    "[camera]\nsource = 'porch'\n\n# the broker\n[broker]\nhost = 'broker.lan'\n", config.example(), WRITTEN.replace("\n", "\r\n"),
    "[camera]\nsource = 'file'\npath = 'walk.mkv'\n",
])
def test_any_way_of_writing_the_file_is_kept(before: str, tmp_path: Path) -> None:
    """Dotted keys, inline tables, comments within the mask, lines from Windows."""
    after = edited(before, LEFT, "doorstep.toml", tmp_path)
    door, meant = config.parse(after, folder=tmp_path), config.parse(before, folder=tmp_path)
    assert door == dataclasses.replace(meant, camera=dataclasses.replace(meant.camera, mask=LEFT.mask), detector=config.Detector(4))
    assert re.findall(r"#(?![.#\"]).*", after) == re.findall(r"#(?![.#\"]).*", before)
    assert ("\r\n" in after) == ("\r\n" in before)
    assert edited(after, LEFT, "doorstep.toml", tmp_path) == after
    assert edited(before, Settings.of(meant), "doorstep.toml", tmp_path).rstrip() == before.rstrip()


def test_a_new_file_is_made_where_there_is_none_and_a_link_stays_a_link(tmp_path: Path) -> None:
    """Many a doorstep.toml lives in somebody's dotfiles."""
    path = tmp_path / "doorstep.toml"
    save(path, LEFT)
    assert config.load(path) == Config(camera=config.Camera(mask=LEFT.mask), detector=config.Detector(4))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    save(link, NOTHING)
    assert link.is_symlink()
    assert config.load(path) == Config()


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere; an owner may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o666), (0o777, 0o444)])
def test_what_cannot_be_written_is_one_clear_line_and_the_file_is_as_it_was(
    runtime_folder: Path, folder_mode: int, file_mode: int
) -> None:
    """/etc belongs to root."""
    folder = runtime_folder / "etc"
    folder.mkdir()
    path = folder / "doorstep.toml"
    path.write_text(WRITTEN)
    path.chmod(file_mode)
    runtime_folder.chmod(0o755)
    folder.chmod(folder_mode)
    with as_nobody(), pytest.raises(ConfigError) as refused:
        save(path, LEFT)
    folder.chmod(0o755)
    assert refused.value.message.startswith(f"{path}: ")
    assert "\n" not in refused.value.message + refused.value.hint
    assert path.read_text() == WRITTEN
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"place = ", b"plaice = 'x'", b"\xff\xfe", b"[camera]\nframes_per_s = 0"])
def test_a_file_that_has_become_illegal_is_not_touched(tmp_path: Path, content: bytes) -> None:
    """Somebody edits it in another window: theirs is not overwritten."""
    path = tmp_path / "doorstep.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        save(path, LEFT)
    assert refused.value.hint
    assert "\n" not in refused.value.message
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    """A stick that was pulled."""
    with pytest.raises(ConfigError, match="No such file"):
        save(tmp_path / "gone" / "doorstep.toml", LEFT)


# The reader of frames


def test_the_eye_looks_with_new_settings_from_the_next_frame_and_hands_over_the_end() -> None:
    """A key takes effect at once; the end of a recording is said, once."""

    def frames() -> Iterator[Frame]:
        for n in range(40):
            if n == 20:
                eye.settings = dataclasses.replace(NOTHING, sensitivity=5)
            yield Frame(np.full((120, 160), 100, np.uint8), n / 10)

    closed: list[bool] = []
    eye = Eye(Paced(frames(), lambda: closed.append(True), sleep=lambda _: None), NOTHING)
    with eye:
        until(lambda: eye.over, "the end")
        reasons = [verdict.reason for verdict in eye.verdicts()]
    assert isinstance(eye.over, EOFError)
    assert len(reasons) == 40
    assert reasons[19] is Reason.QUIET
    assert reasons[20] is Reason.WARMING_UP
    assert closed


def test_an_eye_whose_camera_hangs_is_left_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """q must quit, whatever a driver does."""
    import threading

    hang = threading.Event()

    def frames() -> Iterator[Frame]:
        hang.wait(PATIENCE_S)
        yield Frame(np.zeros((120, 160), np.uint8), 0.0)

    monkeypatch.setattr("device.walk_eye.STOP_MOST_S", 0.1)
    began_s = time.monotonic()
    with Eye(Paced(frames()), NOTHING):
        pass
    assert time.monotonic() - began_s < 2
    hang.set()


def test_a_camera_that_fails_is_handed_over_with_its_words() -> None:
    """It is shown, with what to do."""

    def frames() -> Iterator[Frame]:
        raise CameraError("the camera failed", "is the ribbon seated?")
        yield

    with Eye(Paced(frames()), NOTHING) as eye:
        until(lambda: eye.over, "the failure")
    assert isinstance(eye.over, CameraError)


# The terminal


class Window(window.Window):
    """A terminal with somebody at it who walks."""

    def __init__(self, *arguments: str | Path, columns: int = 80, rows: int = 24, **more: str) -> None:
        super().__init__("walk", *arguments, columns=columns, rows=rows, **more)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the owner's; the product is found all the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    return tmp_path


def test_a_session_masks_saves_and_quits_and_gives_the_terminal_back(here: Path) -> None:
    """The whole of it, as an owner does it."""
    (here / "doorstep.toml").write_text("# mine\n[camera]\nsource = 'porch' # drawn\n")
    with Window("--source", "porch") as window:
        window.wait("frames/s")
        assert termios.tcgetattr(window.side) != window.before
        window.press(b"\x1b[A", "row 6, col 9")
        window.press(b" ", "1 of 192")
        window.press(b"+", "4 of 5")
        window.press(b"q", "Quit without saving?")
        window.press(b"x?", "Any key goes back.")
        window.press(b"?", "space")
        window.press(b"s", "Saved to")
        window.press(b"q", "Saved to")
        assert window.end() == 0
        assert termios.tcgetattr(window.side) == window.before
        window.read()
        assert b"\x1b[?1049l" in window.shown
        assert b"\x1b[?25h" in window.shown
    door = config.load(here / "doorstep.toml")
    assert door.camera.mask[5] == "........#......."
    assert door.detector.sensitivity == 4
    assert (here / "doorstep.toml").read_text().startswith("# mine\n[camera]\nsource = 'porch' # drawn\nmask = [\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_terminal_back_too(here: Path, number: signal.Signals) -> None:
    """A shell that shows no typing is worse than none."""
    with Window("--source", "porch", NO_COLOR="1") as window:
        window.wait("frames/s")
        window.press(b" ", "NOT SAVED")
        window.process.send_signal(number)
        assert window.end() == 130
        assert termios.tcgetattr(window.side) == window.before
        assert "was not saved" in window.read()
        assert b"\x1b[?1049l" in window.shown
        assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", window.shown)
    assert list(here.iterdir()) == []


def test_an_exception_gives_the_terminal_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is no reason to leave somebody without echo."""
    main, side = os.openpty()
    with open(side, "w", closefd=False) as out, open(side, closefd=False) as keys:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stdin", keys)
        before = termios.tcgetattr(side)
        with pytest.raises(ZeroDivisionError), _screen():
            assert termios.tcgetattr(side) != before
            raise ZeroDivisionError
        assert termios.tcgetattr(side) == before
    assert os.read(main, 4096).endswith(b"\x1b[?1049l")
    os.close(main)
    os.close(side)


def test_a_recording_plays_once_and_its_last_state_stays(here: Path) -> None:
    """Long enough to look at it and to mask what moved."""
    write_video(here / "visit.mkv", 10)
    with Window("visit.mkv", columns=120, rows=40) as window:
        window.wait("this is its last state")
        assert "file: visit.mkv" in window.read()
        window.press(b" ", "1 of 192")
        window.press(b"q", "Quit without saving?")
        window.press(b"y", "was not saved")
        assert window.end() == 0


@pytest.mark.parametrize(("arguments", "says"), [
    (["--source", "porch"], "needs a terminal"),
    (["--source", "porch", "x.mkv"], "at once"),
    (["--source", "file"], "names no recording"),
    (["--config", "none.toml"], "none.toml"),
])
def test_where_it_cannot_work_it_says_so_in_one_line_with_a_hint(here: Path, arguments: list[str], says: str) -> None:
    """In a pipe, from cron, over ssh without -t."""
    done = doorstep("walk", *arguments)
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert error.startswith("doorstep: error: ")
    assert hint.startswith("doorstep: hint: ")
    assert says in error
    assert done.stdout == ""
    assert list(here.iterdir()) == []


def test_it_explains_itself() -> None:
    """--help answers what, and for example how."""
    done = doorstep("walk", "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert "never a picture" in done.stdout


def test_inv_see_has_no_network_and_neither_has_the_walk_test() -> None:
    """It has the camera: it may not have the network too."""
    script = ("import sys, device.walk, device.see.porch; "
              "print([name for name in sys.modules if name.split('.')[0] in ('paho', 'ssl', 'amqtt') or name.startswith('device.tell')])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout == "[]\n", done.stderr


def test_pace_is_the_machines_and_not_the_recordings() -> None:
    """A Pi that looks at 4 frames a second must not claim 10."""
    state = FRESH
    assert state.frames_per_s is None
    for n in range(30):
        state = take_frame(state, dataclasses.replace(seen(n / 10), at_s=n / 4))
    assert state.frames_per_s is not None
    assert math.isclose(state.frames_per_s, 4.0)
