"""`keep` as a real process: the test is its finger, its `see` and its `tell`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.keep import layout, statement
from device.keep.statement import Ended
from device.messages import KeepToSee, KeepToTell
from tests.conftest import looks_inside
from tests.keep_rig import OWNER, Keep, owned, send


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with Keep(tmp_path, owned()) as keep:
        yield keep


def test_a_press_records_and_a_press_ends_it(keep: Keep) -> None:
    """The whole of recording, as the owner has it: light, clip, statement, words."""
    keep.lives(KeepToTell.ALIVE)
    assert keep.finger.light() == "off"
    assert keep.names() == ["device.pub"]
    data = os.urandom(300_000)
    keep.finger.press()
    keep.asks(KeepToSee.START)
    assert keep.finger.light() == "on"
    keep.hears(KeepToTell.RECORDING_STARTED)
    video = keep.video()
    send(video, data[:200_000])
    keep.lives(KeepToTell.RECORDING)
    keep.finger.press()
    keep.asks(KeepToSee.STOP)
    assert keep.finger.light() == "on"  # the last frames are still being written
    send(video, data[200_000:])
    video.close()
    keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED)
    assert keep.finger.light() == "off"
    assert keep.names() == ["clip-000001.statement", "clip-000001.ts.age", "device.pub"]
    assert keep.opened(1) == data
    told = keep.stated(1).statement
    assert (told.sequence, told.ended, told.before, told.deleted) == (1, Ended.BUTTON, None, ())
    assert 1000 < told.length_ms < 20_000
    assert {path.stat().st_mode & 0o777 for path in keep.state.rglob("*") if path.is_file()} == {0o600}
    assert keep.stop() == 0


def test_the_longest_clip_ends_by_itself(tmp_path: Path) -> None:
    """A forgotten button does not fill the disk."""
    with Keep(tmp_path, owned("longest_s = 1\nbitrate_mbit = 0.5\nbudget_mb = 20\n")) as keep:
        with keep.record(b"x" * 1000, end=False) as video:
            keep.asks(KeepToSee.STOP)
            video.sendall(b"y" * 1000)
        keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED)
        assert keep.opened(1) == b"x" * 1000 + b"y" * 1000
        assert keep.stated(1).statement.ended is Ended.TIME


def test_holding_the_button_pauses_and_resumes(keep: Keep) -> None:
    """Whoever wants to be unwatched can see to it with a finger."""
    keep.lives(KeepToTell.ALIVE)
    keep.finger.hold()
    keep.asks(KeepToSee.PAUSE)
    keep.lives(KeepToTell.PAUSED)
    assert keep.finger.light() == "slow"
    keep.finger.press()
    keep.asks(KeepToSee.PAUSE)  # again, each second: a `see` that starts now must know
    assert keep.names("age") == []
    keep.finger.hold()
    keep.asks(KeepToSee.RESUME)
    keep.hears(KeepToTell.RESUMED)
    assert keep.finger.light() == "off"


def test_holding_it_ends_a_recording_at_once(keep: Keep) -> None:
    """Pause means that the camera is closed, not after some last frames."""
    video = keep.record(b"x" * 5000, end=False)
    keep.waits(lambda: keep.names("age"), "a clip")
    keep.finger.hold()
    keep.hears(KeepToTell.RECORDING_ENDED, KeepToTell.PAUSED)
    with pytest.raises(ConnectionError):
        while True:
            video.sendall(b"late")
    assert keep.opened(1) == b"x" * 5000
    assert keep.stated(1).statement.ended is Ended.BUTTON
    video.close()


def test_inv_button_opens_the_gate_video_that_nobody_asked_for_is_not_read(keep: Keep) -> None:
    """A taken `see` may send what it likes: without a finger nothing of it is kept."""
    keep.lives(KeepToTell.ALIVE)
    for _ in range(50):
        with keep.video() as video, pytest.raises(ConnectionError):
            while True:
                video.sendall(b"G" * 188)
    keep.lives(KeepToTell.ALIVE)
    assert keep.names() == ["device.pub"]
    assert "video that nobody asked for was not read" in keep.said
    assert KeepToSee.START not in keep.asked
    # One recording takes one connection, the first after the press.
    with keep.record(b"x" * 1000, end=False), keep.video() as second, pytest.raises(ConnectionError):
        while True:
            second.sendall(b"G" * 188)
    keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING_FAILED)
    assert keep.opened(1) == b"x" * 1000
    assert keep.stated(1).statement.ended is Ended.STREAM


@pytest.mark.parametrize("stall", ["no connection", "no byte", "closed at once"])
def test_a_camera_that_gives_no_video_ends_it_without_a_clip(keep: Keep, stall: str) -> None:
    """The light must not say "recording" when nothing is recorded."""
    keep.finger.press()
    keep.asks(KeepToSee.START)
    video = keep.video() if stall != "no connection" else None
    if video and stall == "closed at once":
        video.close()
    keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING_FAILED)
    assert keep.finger.light() == "fast"
    assert keep.names() == ["device.pub"]
    assert "camera" in keep.said
    if video:
        video.close()
    keep.record(b"again")
    assert keep.opened(1) == b"again"


def test_a_stream_that_stalls_ends_the_clip_and_is_told(keep: Keep) -> None:
    """What came before is the owner's."""
    with keep.record(b"x" * 100_000, end=False):
        keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING_FAILED)
    assert keep.opened(1) == b"x" * 100_000
    assert keep.stated(1).statement.ended is Ended.STREAM
    assert keep.said.count("no video comes from the camera") == 1


@pytest.mark.parametrize(("recording", "says"), [
    ("", "no recipient is configured"),
    ('recipients = ["age1qqqq"]\n', "the recipient 'age1qqqq'... cannot be read"),
    (f'recipients = ["{OWNER.to_public()}", "{str(OWNER.to_public())[:-1]}x"]\n', "cannot be read"),
])
def test_without_a_readable_recipient_nothing_is_recorded(tmp_path: Path, recording: str, says: str) -> None:
    """A clip that nobody can open, or that somebody unknown can, is worse than none."""
    with Keep(tmp_path, recording) as keep:
        keep.finger.press()
        keep.hears(KeepToTell.RECORDING_FAILED)
        assert keep.finger.light() == "fast"
        assert says in keep.said
        assert keep.names() == []
        assert KeepToSee.START not in keep.asked


def test_inv_light_tells_the_truth_or_nothing_is_recorded(keep: Keep) -> None:
    """A light that is broken, or was cut, must not hide a recording."""
    keep.lives(KeepToTell.ALIVE)
    keep.finger.break_light()
    keep.finger.press()
    keep.hears(KeepToTell.RECORDING_FAILED)
    assert "the light cannot be lit, and nothing is recorded without it: the pin is not on" in keep.said
    assert KeepToSee.START not in keep.asked
    assert keep.names() == ["device.pub"]


def test_a_clip_is_finished_when_keep_is_stopped(keep: Keep) -> None:
    """Stopping the service loses nothing of what was recorded."""
    with keep.record(b"x" * 100_000, end=False):
        keep.waits(lambda: keep.names("age"), "a clip")
        assert keep.stop() == 0
    keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED)
    assert keep.opened(1) == b"x" * 100_000
    assert keep.stated(1).statement.ended is Ended.STOPPED


def test_clips_are_chained_across_restarts(keep: Keep) -> None:
    """That none is missing between two can be shown."""
    for number in (1, 2, 3):
        keep.record(b"clip %d" % number)
        if number == 2:
            assert keep.stop() == 0
            keep.start()
    data = [(keep.state / "clips" / layout.statement(number)).read_bytes() for number in (1, 2, 3)]
    assert [keep.stated(number).statement.before for number in (2, 3)] == [statement.digest(data[0]), statement.digest(data[1])]


def test_numbers_go_on_when_the_clips_were_moved_away(keep: Keep) -> None:
    """Copied into one folder on the owner's computer, no clip may overwrite an older one."""
    keep.record(b"first")
    before = (keep.state / "clips" / layout.statement(1)).read_bytes()
    for name in ("clip-000001.ts.age", "clip-000001.statement"):
        (keep.state / "clips" / name).unlink()
    assert keep.stop() == 0
    keep.start()
    keep.record(b"second")
    assert keep.names("age") == ["clip-000002.ts.age"]
    assert keep.stated(2).statement.before == statement.digest(before)


def test_a_clock_that_jumps_back_a_day_costs_nothing(keep: Keep) -> None:
    """A Pi has no clock of its own: after a power cut it may wake up in the past. The order is in the numbers."""
    keep.record(b"today")
    assert keep.stop() == 0
    keep.start(CLOCK_BACK_S="86400")
    keep.record(b"yesterday")
    today, yesterday = keep.stated(1).statement, keep.stated(2).statement
    assert yesterday.started < today.started
    assert yesterday.before == statement.digest(keep.stated(1).data)
    assert yesterday.length_ms < 20_000


def test_the_second_signal_ends_it_at_once(keep: Keep) -> None:
    """Whoever insists is obeyed; the clip is then what a power cut would leave."""
    with keep.record(b"x" * 1000, end=False):
        keep.waits(lambda: keep.names("age"), "a clip")
        os.kill(keep.process.pid, signal.SIGTERM)
        os.kill(keep.process.pid, signal.SIGTERM)
        keep.process.wait(10)
    assert keep.names("age") == ["clip-000001.ts.age"]


@looks_inside
def test_inv_keep_has_no_network_and_no_camera(keep: Keep) -> None:
    """What is not in the process cannot be used by whoever takes it over."""
    keep.record(b"x" * 100_000)
    mapped = Path(f"/proc/{keep.process.pid}/maps").read_text()
    assert "pyrage" in mapped
    for library in ("libavcodec", "_ssl.", "_asyncio", "numpy", "libcamera", "libx264"):
        assert library not in mapped, library
    for fd in Path(f"/proc/{keep.process.pid}/fd").iterdir():
        assert not str(fd.readlink()).startswith(("/dev/video", "/dev/media"))
