"""The walk test's screen: everything fits, nothing steers the terminal, and no picture is in it."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.messages import SeeToTell
from device.see.camera import Paced
from device.see.detector import Reason
from device.see.frame import Frame
from device.walk_eye import Eye
from device.walk_grid import Sign, sign
from device.walk_keys import SENT, Key
from device.walk_model import Mode, State, take_frame, take_save
from device.walk_screen import lines
from tests.rig import until
from tests.walked import FRESH, NOTHING, press, seen, text


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
