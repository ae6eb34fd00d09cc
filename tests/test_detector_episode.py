"""When an episode is over, and when it is somebody else's: who goes out, who comes, and the table that says what is told."""

from __future__ import annotations

import pytest

from device.see.detector_episode import NEXT, Notice, Stage
from tests.watched import OFF, ON, Picture, watched_by


def body(picture: Picture, left: int, wide: int, top: int = 30, bottom: int = 90) -> Picture:
    """Somebody dark in the picture, as far as they are in it."""
    shown = picture.copy()
    shown[top:bottom, max(0, left) : max(0, left + wide)] = 20
    return shown


def test_who_comes_while_a_cat_goes_out_at_the_other_side_is_told() -> None:
    """An alert for a cat may not hide the visitor who comes then."""
    camera, picture = watched_by()
    for number in range(110):
        cat = body(picture, 160 - 2 * number, 24, 75, 95)
        camera.show(body(cat, 160 - 2 * (number - 86), 20) if number >= 86 else cat)
    assert camera.messages == [ON, OFF, ON]


def test_who_comes_where_somebody_has_just_gone_out_is_told() -> None:
    """A second after the other: as the cat leaves, the visitor comes."""
    camera, picture = watched_by()
    for number in range(30):
        camera.show(body(picture, 60 + 5 * number, 20))
    camera.watch(picture, 0.3)
    for number in range(10):
        camera.show(body(picture, 160 - 5 * number, 20))
    assert camera.messages == [ON, OFF, ON]


@pytest.mark.parametrize(("left_px", "held_s"), [(70, (1.2, 3.0)), (160, (0.4, 1.0))])
def test_who_is_gone_is_waited_for_except_at_the_side(left_px: int, held_s: tuple[float, float]) -> None:
    """Who is hidden by a post comes back; who has gone out has gone."""
    camera, picture = watched_by()
    for number in range(12):
        camera.show(body(picture, left_px - 55 + 5 * number, 20))
    gone_s = camera.t_s
    camera.watch(picture, 5)
    assert camera.messages == [ON, OFF]
    assert held_s[0] <= camera.told[-1][1] - gone_s <= held_s[1]


@pytest.mark.parametrize("wide", [20, 60, 110, 140, 160])
def test_who_fills_the_view_on_the_way_from_side_to_side_stays_one_event(wide: int) -> None:
    """Two ends of one coat are not two visitors."""
    camera, picture = watched_by()
    for left in range(-wide, 161, 6):
        camera.show(body(picture, left, wide, 10, 115))
    assert camera.watch(picture, 4).messages == [ON, OFF]


def test_the_table_of_episodes_is_complete_and_every_start_ends() -> None:
    """Each stage knows what to do with each notice; only MOVING can end, and only CALM can start, or one end and another start."""
    assert set(NEXT) == set(Stage)
    for stage, row in NEXT.items():
        assert set(row) == set(Notice)
        for notice, (after, told) in row.items():
            moved = (stage is Stage.MOVING, after is Stage.MOVING)
            another = (OFF, ON) if moved == (True, True) and notice is Notice.ANOTHER else ()
            assert told == {(False, True): (ON,), (True, False): (OFF,)}.get(moved, another)
