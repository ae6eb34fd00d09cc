"""The motion detector: what an owner is told, and what leaves them in peace.

Rule 1: every frame here is made of numbers from a seed; no picture of a real place or person.
Rule 2: time is the frames' own; nothing sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from device.messages import SeeToTell
from device.see.detector import Reason
from device.see.detector_body import Trace
from device.see.detector_cells import Grid
from device.see.detector_light import likeness
from device.see.frame import Grey, Watched
from tests.watched import OFF, ON, Camera, Picture, place, watched_by

SIZES = [(120, 160), (90, 160), (180, 160), (121, 163), (240, 320), (720, 1280)]


# what is told


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_somebody_who_walks_by_is_told_once_at_every_size(height: int, width: int) -> None:
    """Whatever the camera's shape, a visitor is one alert: one start, one end."""
    camera, picture = watched_by(picture=place(height, width))
    camera.walk(picture).watch(picture, 4)
    assert camera.messages == [ON, OFF]
    assert camera.told[0][1] < 5 + 1.5


@pytest.mark.parametrize("rate", [5.0, 7.5, 10.0, 15.0])
def test_the_rate_of_frames_does_not_matter(rate: float) -> None:
    """A busy Pi gives 5 frames a second, a calm one 15: the owner sees no difference."""
    camera, picture = watched_by(rate=rate)
    assert camera.walk(picture).watch(picture, 4).messages == [ON, OFF]


@pytest.mark.parametrize("levels", [16, 32, 48, 64, 128, -16, -32, -48, -64])
def test_a_change_of_any_size_is_seen(levels: int) -> None:
    """uint8 arithmetic that wraps scores a change of 16, 32, 48 or 64 levels as none at all (picamera2's example)."""
    camera, picture = watched_by(picture=np.full((120, 160), 110, np.float32), noise_levels=0.0)
    camera.walk(picture, level=110 + levels)
    assert ON in camera.messages


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize(("height", "width"), [(120, 160), (121, 163)])
def test_motion_in_each_corner_is_seen(row: int, column: int, height: int, width: int) -> None:
    """The last row and column count: a door is often at the edge of the view (DVR-Scan never looked there)."""
    camera, picture = watched_by(picture=place(height, width))
    for number in range(20):
        shown = picture.copy()
        rows = slice(0, 16) if row == 0 else slice(height - 16, None)
        step = number % 10
        columns = slice(step, step + 10) if column == 0 else slice(width - 10 - step, width - step)
        shown[rows, columns] = 10
        camera.show(shown)
    assert ON in camera.messages


@pytest.mark.parametrize("edge", ["last row", "last column"])
def test_the_last_row_and_column_reach_the_cells(edge: str) -> None:
    """One bright row at the very border changes the cells there, whatever the size's remainder."""
    for height, width in SIZES:
        dark: Grey = np.zeros((height, width), np.uint8)
        dark[(-1, slice(None)) if edge == "last row" else (slice(None), -1)] = 200
        cells = Grid(height, width).cells(dark)
        border = cells[-1] if edge == "last row" else cells[:, -1]
        assert border.min() > 0


@pytest.mark.parametrize("what", ["slow", "dark on dark", "fills the view", "far"])
def test_hard_visitors_are_told(what: str) -> None:
    """Those who come slowly, in dark coats, right before the lens or far off are visitors too."""
    picture = place() * 0.3 if what == "dark on dark" else place()
    camera, _ = watched_by(picture=picture)
    walks: dict[str, Callable[[], Camera]] = {
        "slow": lambda: camera.walk(picture, 12, speed=0.03),
        "dark on dark": lambda: camera.walk(picture, level=4),
        "fills the view": lambda: camera.walk(picture + 0, 2.5, level=60, tall=1.0, speed=0.4),
        "far": lambda: camera.walk(picture, 8, tall=0.13, speed=0.08),
    }
    assert ON in walks[what]().messages


def test_somebody_who_stands_and_sways_stays_one_event() -> None:
    """Nobody who waits at a door stands like a statue; swaying must not ring the phone ten times."""
    camera, picture = watched_by()
    coat = place(60, 24, seed=9)
    for number in range(400):
        shown, t_s = picture.copy(), number / 10
        x = 70 + round(4.0 * np.sin(0.9 * t_s) + 2.5 * np.sin(2.3 * t_s))
        shown[30:90, x : x + 24] = coat
        camera.show(shown)
    camera.watch(picture, 8)
    assert camera.messages == [ON, OFF]


def test_every_start_is_followed_by_its_end_before_the_next() -> None:
    """A phone that shows motion forever, or twice at once, is not believed again."""
    r = np.random.default_rng(7)
    camera, picture = watched_by()
    for _ in range(12):
        camera.walk(picture, float(r.uniform(0.3, 3)), float(r.uniform(0, 200))).watch(picture, float(r.uniform(0.2, 4)))
    camera.t_s += 30  # a gap
    camera.watch(picture, 5)
    assert camera.messages.count(ON) >= 4
    assert camera.messages == [ON, OFF] * (len(camera.messages) // 2)


# what is not told


@pytest.mark.parametrize("noise_levels", [0.0, 1.2, 5.0, 9.0])
def test_an_empty_hour_stays_silent(noise_levels: float) -> None:
    """Noise is not motion: by day (1 level), at gain 16 (5 levels) and worse. Time runs twenty times as fast."""
    camera, _ = watched_by(noise_levels=noise_levels, seconds=180)
    assert camera.messages == []


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.25, 1.5])
def test_a_jump_of_light_is_not_motion_and_blinds_for_less_than_a_second(factor: float) -> None:
    """Exposure steps and lamps come often, and somebody comes right after the lamp goes on."""
    camera, picture = watched_by()
    camera.watch(picture * factor, 1.0)
    assert camera.messages == []
    camera.walk(picture * factor)
    assert camera.messages[:1] == [ON]


def test_slow_light_is_not_motion() -> None:
    """The sun goes in and comes out all day long."""
    camera, picture = watched_by()
    for number in range(300):
        camera.show(picture * np.float32(1 + 0.4 * np.sin(number / 25)))
    assert camera.messages == []


def test_streaks_of_rain_and_insects_are_not_motion() -> None:
    """They are somewhere else in the next frame; a body is not."""
    r = np.random.default_rng(3)
    camera, picture = watched_by()
    for _ in range(400):
        shown = picture.copy()
        for _ in range(3):
            y, x = int(r.integers(0, 100)), int(r.integers(0, 156))
            shown[y : y + 18, x : x + 2] += 70
        camera.show(shown)
    assert camera.messages == []


@pytest.mark.parametrize(("lit", "told"), [(250.0, []), (170.0, [ON])])
def test_an_insect_in_the_infrared_lamp_is_not_motion_and_a_coat_is(lit: float, told: list[SeeToTell]) -> None:
    """A few pixels that glare are not a body, however far their light spreads; a body of the same brightness is."""
    camera, picture = watched_by(picture=place() * 0.3, noise_levels=3.0)
    high, wide = (4, 4) if lit > 200 else (24, 12)
    for number in range(40):
        shown, y, x = picture.copy(), 40 + number // 2, 40 + number
        shown[y : y + high, x : x + wide] = lit
        camera.show(shown)
    assert camera.messages == told


def flag(picture: Picture, t_s: float) -> Picture:
    """A striped flag on the wall; a gust of 4 s each 10 s lifts it, and it reaches farther than it hangs."""
    shown, gust = picture.copy(), max(0.0, np.sin(2 * np.pi * t_s / 10) - 0.3)
    rows, columns = np.mgrid[0:44, 0:40]
    waves = rows - 6 * gust * np.sin(columns / 5 - 9 * t_s)
    there = (waves > 8) & (waves < 34) & (columns < 14 + 26 * min(1.0, gust))
    shown[16:60, 100:140][there] = np.where(waves % 12 < 6, 160, 90)[there]
    return shown


def test_a_flag_that_has_waved_for_a_minute_is_not_motion_and_somebody_is() -> None:
    """Gusts come all day: what they lift is known after some, and hides nobody who comes elsewhere."""
    camera, picture = watched_by()
    for number in range(1000):
        camera.show(flag(picture, number / 10))
    assert [t_s for message, t_s in camera.told if message is ON and t_s > 65] == []
    camera.walk(picture)
    assert camera.messages[-1] is ON


def test_light_that_ends_at_a_corner_is_not_motion_and_somebody_in_it_is() -> None:
    """The sun comes out on the path and not on the wall: the fence between them is the same fence, only brighter."""
    picture = place()
    picture[:, 60:] *= 0.5
    picture[70:76, 60:] = 100
    picture[76:82, 60:] = 12
    camera, _ = watched_by(picture=picture)
    lit = picture.copy()
    for _ in range(40):
        lit[:, 60:] *= np.float32(1.02)
        camera.show(lit)
    assert camera.messages == []
    camera.walk(lit, level=160)
    assert camera.messages[:1] == [ON]


def test_mains_flicker_is_not_motion_and_hides_nobody() -> None:
    """Lamps on the mains beat with the camera; a porch at night is lit by one."""
    camera, picture = watched_by()
    for number in range(200):
        camera.show(picture * np.float32(1 + 0.05 * np.sin(number * 1.9)))
    assert camera.messages == []


def test_masked_cells_are_never_looked_at() -> None:
    """The street and the neighbour's door are nobody's business: what moves there changes nothing at all."""
    mask: Watched = np.ones((120, 160), np.bool_)
    mask[:, :90] = False
    picture = place()
    camera, _ = watched_by(mask=mask)
    other, _ = watched_by(mask=mask)
    for number in range(25):
        shown = picture.copy()
        shown[20:100, number * 2 : number * 2 + 30] = 250
        camera.show(shown)
        other.show(picture)
        assert camera.detector.noise_levels == other.detector.noise_levels
    assert camera.messages == []


# what becomes the place


def test_a_parked_car_becomes_the_place_and_a_second_visitor_is_told() -> None:
    """Within 20 s of stopping it is as if it had always been there."""
    camera, picture = watched_by()
    camera.walk(picture, 1.6, tall=0.3)
    parked = picture.copy()
    parked[42:78, 77:120] = 20
    camera.watch(parked, 20)
    assert camera.messages == [ON, OFF]
    camera.walk(parked, level=220)
    assert camera.messages == [ON, OFF, ON]


def test_a_car_that_drives_off_leaves_no_ghost() -> None:
    """Where it stood, the bare ground is as still as the car was: it is no visitor for long."""
    picture = place()
    parked = picture.copy()
    parked[42:78, 60:100] = 20
    camera, _ = watched_by(picture=parked, seconds=20)
    for number in range(12):
        shown = picture.copy()
        shown[42:78, 60 + 9 * number : 100 + 9 * number] = 20
        camera.show(shown)
    left_s = camera.t_s
    camera.watch(picture, 20)
    assert camera.messages == [ON, OFF]
    assert camera.told[-1][1] - left_s < 5


# the parts


def means(luma: Grey, cell: int) -> Iterable[float]:
    for row in range(0, luma.shape[0], cell):
        for column in range(0, luma.shape[1], cell):
            yield float(luma[row : row + cell, column : column + cell].mean())


@pytest.mark.parametrize(("height", "width", "cell"), [(120, 160, 2), (240, 320, 4), (96, 640, 8), (64, 1280, 16)])
def test_cells_are_the_means_of_their_pixels(height: int, width: int, cell: int) -> None:
    """The fast sums, two pixels at a time, agree with the plain ones; white frames do not overflow, none is written to."""
    grid = Grid(height, width)
    assert grid.cell_px == cell
    noise = np.random.default_rng(5).integers(0, 256, (height, width), np.uint8)
    wider = np.random.default_rng(6).integers(0, 256, (height, width + 5), np.uint8)[:, 3:-2]  # as rows of a camera's buffer
    for luma in (noise, wider, wider[:, ::-1], np.full((height, width), 255, np.uint8)):
        luma.flags.writeable = False
        assert np.allclose(grid.cells(luma).ravel(), list(means(luma, cell)), atol=0.01)


def test_edges_are_alike_in_any_light_and_a_coat_is_not() -> None:
    """The measure that tells light from a body, by itself; noise alone is like nothing."""
    scene, everywhere = place(22, 14), np.ones((22, 14), np.bool_)
    coat = scene.copy()
    coat[4:18, 3:11] = place(14, 8, seed=5)
    assert likeness(scene, scene * np.float32(1.4) + 7, everywhere) > 0.999
    assert likeness(scene, coat, everywhere) < 0.8
    assert likeness(scene, np.zeros_like(scene), everywhere) == 0.0


def test_what_jumps_about_is_not_traced_and_what_overlaps_itself_is() -> None:
    """The rule that tells a person from a streak, by itself."""
    for step, told in ((1, True), (12, False)):
        trace, size = Trace((60, 80)), 0
        for number in range(6):
            cells = np.zeros((60, 80), np.bool_)
            cells[20:30, 2 + step * number : 6 + step * number] = True
            trace.follow(cells, int(np.count_nonzero(cells)), 0.1)
            size = trace.body(cells, 28, 0)
        assert (size > 0) is told


def test_the_last_verdict_can_be_read() -> None:
    """A walk test shows the owner why nothing was told."""
    camera, picture = watched_by()
    assert camera.detector.reason is Reason.QUIET
    assert 0 < camera.detector.noise_levels < 1
    camera.walk(picture, 1.5)
    assert camera.detector.reason is Reason.BODY
    assert camera.detector.evidence == 1
    assert camera.detector.body_cells > 8
    assert 0 < camera.detector.changed_share < 0.5
