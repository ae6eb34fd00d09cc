"""`keep` as a real process: the test is its finger, its `see` and its `tell`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyrage
import pytest

from device.errors import RecordingError
from device.keep import layout, owner_age, statement
from device.keep.statement import Ended
from device.messages import KeepToSee, KeepToTell, Receiver, pair
from tests.conftest import looks_inside
from tests.finger import Finger
from tests.rig import doorstep, environment, until

OWNER = pyrage.x25519.Identity.generate()
TINY = "bitrate_mbit = 0.2\nlongest_s = 1\nbudget_mb = 2.6\n"  # a clip takes at most 2.03 MB, so one fits
SMALL = "bitrate_mbit = 0.5\nlongest_s = 20\nbudget_mb = 20\n"  # a clip takes at most 3.6 MB


def send(video: socket.socket, data: bytes) -> None:
    """Send as `see` does, a packet of 64 KiB after the other."""
    for at in range(0, len(data), 65_536):
        video.sendall(data[at:at + 65_536])


@dataclass(slots=True)
class Keep:
    """The real `doorstep keep` with mock pins, at the ends of real links."""

    folder: Path
    recording: str
    heard: list[KeepToTell] = field(default_factory=list)
    asked: list[KeepToSee] = field(default_factory=list)
    process: subprocess.Popen[bytes] = field(init=False)
    state: Path = field(init=False)
    listener: socket.socket = field(init=False)
    _links: list[socket.socket] = field(init=False)
    _tell: Receiver[KeepToTell] = field(init=False)
    _see: Receiver[KeepToSee] = field(init=False)

    def __enter__(self) -> Self:
        self.state = self.folder / "state"
        (self.folder / "doorstep.toml").write_text(
            f'[recording]\npanel = "gpio"\nfolder = "state"\n{self.recording}')
        to_tell, tell = pair()
        to_see, see = pair()
        self._links = [to_tell, tell, to_see, see]
        self._tell, self._see = Receiver(tell, KeepToTell), Receiver(see, KeepToSee)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.folder / "video.sock"))
        self.listener.listen()
        self.start()
        return self

    def start(self, **more: str) -> None:
        (self.folder / "finger.sock").unlink(missing_ok=True)
        fds = [self._links[0].fileno(), self._links[2].fileno(), self.listener.fileno()]
        with (self.folder / "keep.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.finger", "keep", "--config", str(self.folder / "doorstep.toml"),
                 "--tell-fd", str(fds[0]), "--see-fd", str(fds[1]), "--video-fd", str(fds[2]), "--parent", str(os.getpid())],
                pass_fds=fds, stdin=subprocess.DEVNULL, stderr=log,
                env=environment(FINGER=str(self.folder / "finger.sock"), **more))

    @property
    def finger(self) -> Finger:
        return Finger(self.folder / "finger.sock")

    @property
    def said(self) -> str:
        return (self.folder / "keep.log").read_text()

    def _listen(self) -> None:
        self.heard += [received.message for received in self._tell.receive()]
        self.asked += [received.message for received in self._see.receive()]

    def hears(self, *words: KeepToTell, most_s: float = 20) -> None:
        """Wait until `words` are the last that the phone was told, in this order, signs of life aside."""
        until(lambda: self.told[-len(words):] == list(words), lambda: f"{words}; heard {self.heard}; said {self.said}", most_s)

    @property
    def told(self) -> list[KeepToTell]:
        """All that was told so far; PAUSED is a sign of life too."""
        self._listen()
        signs = (KeepToTell.ALIVE, KeepToTell.RECORDING, KeepToTell.FAULT)
        return [word for n, word in enumerate(self.heard)
                if word not in signs and not (word is KeepToTell.PAUSED and self.heard[n - 1:n] == [word])]

    def lives(self, word: KeepToTell) -> None:
        """Wait for a fresh sign of life."""
        self._listen()
        before = len(self.heard)
        self.waits(lambda: word in self.heard[before:], f"{word!r} as a sign of life")

    def asks(self, word: KeepToSee) -> None:
        """Wait until `see` is asked for `word`."""
        self.waits(lambda: word in self.asked, f"{word!r}")
        self.asked.clear()

    def waits(self, true: Callable[[], object], what: str) -> None:
        def looked() -> object:
            self._listen()
            return true()
        until(looked, lambda: f"{what}; asked {self.asked}, heard {self.heard}; said {self.said}")

    def video(self) -> socket.socket:
        """Connect as `see` does."""
        video = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        video.connect(str(self.folder / "video.sock"))
        video.settimeout(20)
        return video

    def record(self, data: bytes, *, end: bool = True) -> socket.socket:
        """Press, and send `data` as the camera's process would; with `end`, press again and end the stream."""
        self.finger.press()
        self.asks(KeepToSee.START)
        video = self.video()
        send(video, data)
        if end:
            self.waits(lambda: self.names("ts.age"), "a clip")
            self.finger.press()
            self.asks(KeepToSee.STOP)
            video.close()
            self.hears(KeepToTell.RECORDING_ENDED)
        return video

    def names(self, ending: str = "") -> list[str]:
        clips = self.state / "clips"
        return sorted(path.name for path in clips.iterdir() if path.name.endswith(ending)) if clips.exists() else []

    def opened(self, number: int) -> bytes:
        """What the owner gets."""
        return bytes(pyrage.decrypt((self.state / "clips" / layout.clip(number)).read_bytes(), [OWNER]))

    def stated(self, number: int) -> statement.Signed:
        signed = statement.parse((self.state / "clips" / layout.statement(number)).read_bytes())
        assert signed.authentic
        return signed

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for link in (*self._links, self.listener):
            link.close()


def owned(more: str = SMALL) -> str:
    return f'recipients = ["{OWNER.to_public()}"]\n{more}'


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


def test_a_power_cut_at_any_of_fifty_moments_costs_the_last_chunk_at_most(tmp_path: Path) -> None:
    """Killed while it records: what was taken opens but for its last 64 KiB, the chain says which clip has no
    statement, and the next start works. Every fifth recording ends as it should, so there is a chain to break.
    """
    rng, cut = random.Random(11), 0
    with Keep(tmp_path, owned(SMALL.replace("budget_mb = 20", "budget_mb = 60"))) as keep:
        for moment in range(1, 51):
            number = max((int(name[5:11]) for name in keep.names("age")), default=0) + 1
            if moment % 5 == 0:
                keep.record(os.urandom(100_000))
                continue
            keep.finger.press()
            keep.asks(KeepToSee.START)
            sent = os.urandom(400_000)
            with keep.video() as video:
                feeder = threading.Thread(target=_feed, args=(video, sent))
                feeder.start()
                time.sleep(rng.random() * 0.3)
                keep.process.kill()
                keep.process.wait(10)
                feeder.join()
            if layout.clip(number) in keep.names():
                got, missing = _authentic(keep.state / "clips" / layout.clip(number))
                assert sent.startswith(got)
                assert missing <= 65536
                cut += 1
            keep.start()
            keep.lives(KeepToTell.ALIVE)
        keep.record(b"the last")
        assert cut > 30  # at nearly every moment there was a clip to cut
        assert not keep.names(".new")
        kinds = _verified(keep.state / "clips", 1)
        assert kinds.count("whole") == 11
        assert kinds.count("never signed") == cut == len(kinds) - 11


def _verified(clips: Path, status: int) -> list[str]:
    """Return what the owner's verification finds of each clip, oldest first."""
    done = doorstep("clips", "verify", clips, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    return [json.loads(line)["kind"] for line in done.stdout.splitlines()[:-1]]


def _feed(video: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it is being killed
        for at in range(0, len(data), 1316):
            video.sendall(data[at:at + 1316])


def _authentic(clip: Path) -> tuple[bytes, int]:
    """Return what opens of a clip, and how many bytes of ciphertext behind it do not."""
    plain = io.BytesIO()
    try:
        with clip.open("rb") as file:
            opened = owner_age.decrypt(file, plain, [OWNER], lambda _: None)
    except RecordingError:  # killed before its header was whole
        return b"", clip.stat().st_size
    assert plain.tell() % 65536 == 0 or opened.whole
    return plain.getvalue(), opened.plain_bytes_in(clip.stat().st_size) - opened.plain_bytes


@pytest.mark.parametrize("when", ["before a press", "while it records"])
def test_a_full_disk_is_said_and_what_was_written_stays_readable(tmp_path: Path, when: str) -> None:
    """A real, small filesystem that fills up."""
    state = tmp_path / "state"
    state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(state)], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        with Keep(tmp_path, owned()) as keep:
            keep.lives(KeepToTell.ALIVE)
            if when == "before a press":
                _fill(state, leave_bytes=3_000_000)
                keep.finger.press()
                keep.hears(KeepToTell.RECORDING_FAILED)
                assert "full: no room for another clip" in keep.said
                assert keep.names("age") == []
                (state / "fill").unlink()
                keep.lives(KeepToTell.ALIVE)  # it noticed by itself
            else:
                sent = os.urandom(1_000_000)
                with keep.record(sent[:200_000], end=False) as video:
                    keep.waits(lambda: keep.names("age"), "a clip")
                    _fill(state, leave_bytes=300_000)
                    _feed(video, sent[200_000:])
                    keep.hears(KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING_FAILED)
                got, _ = _authentic(state / "clips" / layout.clip(1))
                assert sent.startswith(got)
                assert len(got) > 300_000
                assert keep.stated(1).statement.ended is Ended.STORAGE
                assert "No space left on device" in keep.said
                (state / "fill").unlink()
            keep.record(b"room again")
            assert keep.opened(int(keep.names("age")[-1][5:11])) == b"room again"
    finally:
        subprocess.run(["umount", str(state)], check=True)


def _fill(folder: Path, leave_bytes: int) -> None:
    disk = os.statvfs(folder)
    with (folder / "fill").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - leave_bytes)


@pytest.mark.parametrize("trouble", ["gone", "a file in its place", "read-only"])
def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path, trouble: str) -> None:
    """A card that was pulled, or that has died."""
    with Keep(tmp_path, owned()) as keep, contextlib.ExitStack() as after:
        keep.lives(KeepToTell.ALIVE)
        if trouble == "read-only":
            if subprocess.run(["mount", "--bind", str(keep.state), str(keep.state)], check=False).returncode:
                pytest.skip("mounting needs root")
            after.callback(subprocess.run, ["umount", str(keep.state)], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", str(keep.state)], check=True)
        else:
            keep.state.rename(tmp_path / "aside")
            if trouble == "a file in its place":
                keep.state.touch()
        keep.finger.press()
        keep.hears(KeepToTell.RECORDING_FAILED)
        assert keep.finger.light() == "fast"
        assert f"{keep.state}: " in keep.said
        assert KeepToSee.START not in keep.asked
        if trouble == "gone":  # a fresh card: it is used, and its key is said to be new
            keep.record(b"on the new card")
            assert keep.said.count("clips will be signed by a new key") == 2


def test_when_full_nothing_is_deleted_unasked(tmp_path: Path) -> None:
    """The owner's clips are the owner's: a new recording is refused, and that is said."""
    with Keep(tmp_path, owned(TINY)) as keep:
        keep.record(os.urandom(600_000))
        keep.hears(KeepToTell.RECORDING_ENDED)
        keep.finger.press()
        keep.hears(KeepToTell.RECORDING_FAILED)
        assert "full: no room for another clip of 1 s" in keep.said
        assert keep.names("age") == ["clip-000001.ts.age"]
        keep.lives(KeepToTell.FAULT)


def test_the_oldest_is_deleted_if_the_owner_chose_so(tmp_path: Path) -> None:
    """And what was deleted is said, signed: nobody can remove a clip and say that it was the device."""
    with Keep(tmp_path, owned(TINY + 'when_full = "delete-oldest"\n')) as keep:
        for _ in range(3):
            keep.record(os.urandom(600_000))
        assert keep.names("age") == ["clip-000003.ts.age"]
        assert [keep.stated(number).statement.deleted for number in (1, 2, 3)] == [(), (1,), (2,)]
        assert KeepToTell.STORAGE_LOW in keep.told
        assert _verified(keep.state / "clips", 0) == ["deleted by the device", "deleted by the device", "whole"]


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
