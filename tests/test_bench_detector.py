"""The benchmark of the detector: its rules on cases made by hand, its interval, its peers, and README.md's table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.bench import ROOT, bench, distances, peers, peers_files, speed_table
from tests.bench.detector import keep
from tests.bench.detector_poisson import chance_of_at_most, limits
from tests.bench.detector_scenes import KIND, SCENES, empty, write
from tests.bench.detector_score import Score, Span, Truth, score
from tests.bench.detector_table import MARKED, RESULT, markdown
from tests.bench.peers import MOTION

FPS = 10
VISIT = Truth(FPS, 600, events=((200, 300),))  # somebody is there from 20 s to 30 s


def told(truth: Truth, *alerts: Span) -> tuple[int, int, int, int]:
    """Events, told, alerts, false."""
    found = score(truth, alerts)
    return found.events, found.told, found.alerts, found.false


@pytest.mark.parametrize(("alert", "is_told", "is_false"), [
    ((250, 260), 1, 0),
    ((190, 260), 1, 0),  # a second early is within what a mark is worth
    ((189, 260), 0, 1),
    ((310, 320), 1, 0),  # and a second late
    ((311, 320), 0, 1),
    ((50, 590), 0, 1),  # an alert that was on anyway tells nobody that somebody came
])
def test_an_alert_tells_an_event_if_it_starts_in_it_and_is_false_if_in_none(alert: Span, is_told: int, is_false: int) -> None:
    """The rule everything else is counted by, and cases in which it must say no."""
    assert told(VISIT, alert) == (1, is_told, 1, is_false)


def test_silence_is_right_only_where_nobody_comes() -> None:
    """A detector that never says anything must not look good."""
    nobody = Truth(FPS, 600)
    assert told(VISIT) == (1, 0, 0, 0)
    assert (score(VISIT, []).f1, score(nobody, []).f1, score(nobody, [(100, 110)]).f1) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(("second", "is_told"), [(350, 2), (351, 1)])
def test_visitors_within_five_seconds_may_share_an_alert_that_is_still_on(second: int, is_told: int) -> None:
    """To the owner they are one; those further apart are not."""
    truth = Truth(FPS, 600, events=((200, 300), (second, 400)))
    assert told(truth, (210, 355)) == (2, is_told, 1, 0)


def test_an_alert_that_ended_or_began_falsely_carries_nobody() -> None:
    """Else one false alarm that stays on would tell everything."""
    truth = Truth(FPS, 600, events=((200, 300), (320, 400)))
    assert told(truth, (210, 320)) == (2, 1, 1, 0)
    assert told(truth, (100, 500)) == (2, 0, 1, 1)


def test_the_first_two_seconds_and_ignored_spans_count_neither_way() -> None:
    """Nobody can know the place sooner, and what nobody could mark says nothing."""
    truth = Truth(FPS, 600, events=((19, 100), (400, 450)), ignored=((200, 250),))
    assert told(truth, (19, 30)) == (1, 0, 0, 0)
    assert told(truth, (200, 210), (250, 260)) == (1, 0, 0, 0)
    assert told(truth, (251, 260)) == (1, 0, 1, 1)
    assert told(Truth(FPS, 600, events=((20, 100),)), (20, 30)) == (1, 1, 1, 0)


def test_the_delay_is_from_the_start_of_the_event_to_its_first_alert() -> None:
    """An alert a little early is no gift of time; two do not make one of the mean."""
    assert score(VISIT, [(225, 230), (260, 270)]).delay_s == 2.5
    assert score(VISIT, [(195, 230)]).delay_s == 0.0
    assert score(VISIT, []).delay_s is None
    assert Score(delays_s=[1.0, 9.0, 2.0]).delay_s == 2.0


def test_time_on_outside_forgives_what_is_forgiven_and_nothing_more() -> None:
    """An alert that never ends is worth nothing, though it never begins falsely."""
    truth = Truth(FPS, 600, events=((200, 300),), ignored=((500, 550),))
    found = score(truth, [(0, 600)])
    assert found.empty_s == pytest.approx(60 - 2 - (1 + 10 + 3) - 5)
    assert found.on_outside == 1.0
    assert score(truth, [(190, 330)]).on_outside == 0.0
    assert score(truth, [(190, 340)]).on_outside == pytest.approx(1 / found.empty_s)
    assert score(Truth(FPS, 60), [(0, 60)]).on_outside is None  # 4 s are no sample


def test_scores_add_up() -> None:
    """A total is of all events, not a mean of sequences."""
    total = Score.sum([score(VISIT, [(250, 260)]), score(VISIT, []), score(Truth(FPS, 600), [(100, 110)])])
    assert (total.events, total.told, total.alerts, total.false) == (2, 1, 2, 1)
    assert total.f1 == 0.5 and total.delays_s == [5.0]
    assert total.empty_s == pytest.approx(2 * 44 + 58)


def test_a_truth_that_cannot_be_is_refused() -> None:
    """A sequence scored against nonsense would pass."""
    for bad in ({"frames_per_s": float("nan")}, {"frames_per_s": 0}, {"frames": 0}, {"events": ((5, 5),)}, {"ignored": ((-1, 5),)}):
        with pytest.raises(ValueError, match="must"):
            Truth(**{"frames_per_s": 10.0, "frames": 100, **bad})  # type: ignore[arg-type]
    assert Truth.parse({"fps": 10, "frames": 9, "events": [{"start": 2, "end": 4}]}).events == ((2, 5),)


@pytest.mark.parametrize(("count", "low", "high"), [  # Garwood 1936, as in any table of Poisson limits
    (0, 0.0, 3.689), (1, 0.025, 5.572), (2, 0.242, 7.225), (5, 1.623, 11.668), (10, 4.795, 18.390), (100, 81.364, 121.627),
])
def test_the_interval_is_that_of_the_tables(count: int, low: float, high: float) -> None:
    """No false alarm in two hours does not mean none in a day."""
    assert limits(count) == pytest.approx((low, high), abs=6e-4)


def test_the_interval_means_what_it_says() -> None:
    """At either limit the count is on the edge of what 95 % allow."""
    low, high = limits(7)
    assert chance_of_at_most(7, high) == pytest.approx(0.025)
    assert 1 - chance_of_at_most(6, low) == pytest.approx(0.025)
    with pytest.raises(ValueError, match="count is -1"):
        limits(-1)


def test_alerts_are_the_spans_in_which_a_step_says_yes() -> None:
    """They carry stored numbers, and one that is on at last lasts to the end."""
    black = np.zeros((16, 16), np.uint8)
    says = iter([False, True, True, False, True])
    frames = [(number, number / 10, black) for number in (0, 3, 6, 9, 12)]
    assert peers.alerts(lambda _, __: next(says), frames, 15) == [(3, 9), (12, 15)]


def test_every_peer_sees_a_block_and_none_an_empty_wall() -> None:
    """A peer that is broken would make ours look good."""
    pytest.importorskip("cv2", reason="OpenCV is the bench extra's")
    r = np.random.default_rng(3)
    wall = np.linspace(60, 140, 160)  # lit from a side, since Frigate's detector stretches whatever contrast there is
    frames = [(n, n / 10, (wall + r.normal(0, 1, (120, 160))).clip(0, 255).astype(np.uint8)) for n in range(150)]
    for number, _, luma in frames[60:90]:
        luma[40:90, 2 * (number - 60) : 2 * (number - 60) + 25] = 200
    for name, step in peers.peers(frames[0][2], 10.0, None).items():
        assert told(Truth(10, 150, events=((60, 90),)), *peers.alerts(step, frames, 150)) == (1, 1, 1, 0), name
    left = np.zeros((120, 160), np.bool_)
    left[:, 120:] = True  # where the block never is
    for name, step in peers.peers(frames[0][2], 10.0, left).items():
        assert not [start for start, _ in peers.alerts(step, frames, 150) if start >= 20], name


def test_motions_words_become_frames_by_the_time_its_file_took() -> None:
    """A busy machine plays slower; what was heard after the end is of the second round."""
    video = peers_files.Video(Path("x/video.mkv"), 320, 240, 10.0, range(0, 200, 2), 200)
    lines = [(5.0, "Camera (c1) connected"), (10.0, "Motion detected"), (15.0, "End of event"), (20.0, "Motion detected"),
             (25.0, "End of file"), (26.0, "End of event")]
    found = peers_files.played(video, lines)
    assert found.spans == [(50, 100), (150, 200)] and found.pace_share == 0.5
    with pytest.raises(RuntimeError, match="did not play x"):
        peers_files.played(video, lines[:3])


def test_weather_has_nobody_in_it_and_names_scenes_that_exist() -> None:
    """An event in empty weather would be counted as a false alarm when it is told."""
    assert set(KIND) <= set(SCENES)
    for name in {kind: name for name, kind in KIND.items()}.values():  # one of each: a porch takes 0.2 s to build
        assert all(not shown.truth.events and shown.truth.frames == 20 for shown in empty(name, 2.0, 1)), name


def test_files_for_the_programs_are_lossless(tmp_path: Path) -> None:
    """Rule: what is measured is the scene and not a codec."""
    import av

    picture = np.random.default_rng(1).integers(0, 256, (24, 32), np.uint8)
    assert write(tmp_path / "a" / "video.mkv", [picture, 255 - picture], 10.0) == 2
    with av.open(str(tmp_path / "a" / "video.mkv")) as container:
        read = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert np.array_equal(read[0], picture) and np.array_equal(read[1], 255 - picture)


def test_the_readmes_numbers_are_those_that_were_measured() -> None:
    """No accuracy is written by hand: python -m tests.bench.detector --table README.md."""
    assert MARKED.within((ROOT / "README.md").read_text()) == markdown(json.loads(RESULT.read_text()))


def test_the_readmes_costs_are_those_that_were_measured(tmp_path: Path) -> None:
    """Less work than the others is a promise too; no figure of it is written by hand."""
    document = json.loads(speed_table.RESULT.read_text())
    assert document["faults"] == [] and not document["quick"]
    assert speed_table.MARKED.within((ROOT / "README.md").read_text()) == speed_table.markdown(document)
    page = tmp_path / "page.md"
    page.write_text(f"{speed_table.MARKED.begin}\n{speed_table.MARKED.end}\n")
    assert bench.main(["--table", str(page)]) == 0
    assert speed_table.MARKED.within(page.read_text()) == speed_table.markdown(document)


def test_a_program_that_is_not_here_keeps_its_numbers_of_the_same_scenes_and_of_no_others() -> None:
    """Motion needs a quiet machine for an hour; a table without it would say less, and one with other scenes would lie."""
    earlier = json.loads(RESULT.read_text())
    now = json.loads(RESULT.read_text()) | {"missing": {MOTION: "it is not installed"}, "date": "2031-01-01"}
    for detectors in now["scenes"].values():
        del detectors[MOTION]
    keep(now, earlier)
    assert now["scenes"] == earlier["scenes"] and now["missing"] == {}
    assert f"{MOTION} saw the same scenes on" in markdown(now)
    with pytest.raises(ValueError, match="earlier measurement is of seed"):
        keep(now | {"seed": earlier["seed"] + 1}, earlier)


def test_the_readmes_distances_are_those_that_were_measured(tmp_path: Path) -> None:
    """How far it sees is the first question before a camera is screwed to a wall; no answer is written by hand."""
    document = json.loads(distances.RESULT.read_text())
    assert distances.MARKED.within((ROOT / "README.md").read_text()) == distances.markdown(document)
    page = tmp_path / "page.md"
    page.write_text(f"{distances.MARKED.begin}\n{distances.MARKED.end}\n")
    assert distances.main(["--table", str(page)]) == 0
    assert distances.MARKED.within(page.read_text()) == distances.markdown(document)


def test_a_table_goes_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    """And that the comparison above can fail."""
    page, document = tmp_path / "page.md", json.loads(RESULT.read_text())
    page.write_text(f"before\n{MARKED.begin}\nold\n{MARKED.end}\nafter\n")
    assert MARKED.within(page.read_text()) == "old" != markdown(document)
    MARKED.rewrite(page, markdown(document))
    assert MARKED.within(page.read_text()) == markdown(document)
    assert page.read_text().startswith("before\n") and page.read_text().endswith("\nafter\n")
    page.write_text("no markers\n")
    with pytest.raises(ValueError, match="markers are missing"):
        MARKED.rewrite(page, markdown(document))
