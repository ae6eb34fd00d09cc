"""The camera's second mode: real `see`, real FFmpeg, the test in the place of `keep`."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from device.config import Config, Recording
from device.log import Log
from device.messages import KeepToSee, SeeToTell, Sender, pair
from device.see.clip import Clip
from device.see.detector import Detector
from device.see.frame import Frame, Grey
from device.see.gate import NEXT, Doing, Gate
from device.see.mask import black_out, watched
from device.stopping import Stop
from tests.keeper import Keeper, key_gaps_s, probe
from tests.numbered import HEIGHT_PX, PER_S, SECONDS, WIDTH_PX, number, picture, write
from tests.rig import environment, until
from tests.test_see import HIDDEN

PORCH = '[camera]\nsource = "porch"\nframes_per_s = 10\n'
MASK = ("################", *["................"] * 10, "...............#")
LOUD_ENOUGH_DB = 30.0  # below it blocks and smears are seen


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbered frames, more of them than any test takes. To the detector a counter is motion."""
    return write(tmp_path_factory.mktemp("video") / "numbers.mkv", map(picture, range(SECONDS * PER_S)))


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A door where nothing happens, with a sensor's noise."""
    rng = np.random.default_rng(1)
    noisy = (picture(0) + rng.integers(-2, 3, (HEIGHT_PX, WIDTH_PX)).astype(np.int8).view(np.uint8) for _ in range(SECONDS * PER_S))
    return write(tmp_path_factory.mktemp("video") / "still.mkv", noisy)


def toml(video: Path, *lines: str, mask: tuple[str, ...] = (), mbit: float = 4) -> str:
    rows = ", ".join(f'"{row}"' for row in mask)
    return "\n".join([f'[camera]\nsource = "file"\npath = "{video}"\nframes_per_s = 10\nmask = [{rows}]',
                      f"[recording]\nbitrate_mbit = {mbit}", *lines])


def decoded(clip: Path) -> list[npt.NDArray[np.uint8]]:
    """The pictures of a clip as YUV 4:2:0, a plane below the other."""
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def kept(data: bytes, folder: Path) -> Path:
    path = folder / "clip.ts"
    path.write_bytes(data)
    return path


def psnr_db(one: Grey, other: Grey) -> float:
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def test_a_clip_is_the_sources_frames_in_order_and_as_long_as_it_was_recorded(tmp_path: Path, video: Path) -> None:
    """What the owner opens is what was there, no frame missing, doubled or in another's place."""
    with Keeper(tmp_path, toml(video)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        began_s = time.monotonic()
        keeper.says(KeepToSee.START)
        with keeper.accepts() as clip:
            clip.take(3.0)
            keeper.says(KeepToSee.STOP)
            lasted_s = time.monotonic() - began_s
            path = kept(clip.rest(), tmp_path)
        assert keeper.stop()[0] == 0
        assert "recorded" not in keeper.log.read_text()  # a line would date it
    about, frames = probe(path), decoded(path)
    assert (about["codec_name"], about["width"], about["height"]) == ("h264", WIDTH_PX, HEIGHT_PX)
    assert Fraction(about["avg_frame_rate"]) == PER_S
    assert int(about["nb_read_frames"]) == len(frames)
    numbers = [number(frame[:HEIGHT_PX]) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] > 0  # nothing of before the press
    assert float(about["duration"]) == pytest.approx(len(frames) / PER_S, abs=1e-3)
    assert float(about["duration"]) == pytest.approx(lasted_s, abs=1.5)  # a busy machine notices late
    assert min(psnr_db(frame[:HEIGHT_PX], picture(n)) for n, frame in zip(numbers, frames, strict=True)) > LOUD_ENOUGH_DB
    gaps_s = key_gaps_s(about["frames"])
    assert gaps_s and max(gaps_s) <= 1.0 + 1e-3  # a clip that is cut loses a second at most


def test_the_comparison_of_pictures_can_fail() -> None:
    """A measure that everything passes is none."""
    assert psnr_db(picture(5), picture(6)) < LOUD_ENOUGH_DB
    assert psnr_db(picture(5), picture(5)) > LOUD_ENOUGH_DB
    assert [number(picture(n)) for n in (0, 1, 1234)] == [0, 1, 1234]


def test_inv_no_pre_roll_nothing_is_brought_before_start_and_nothing_of_before_is_in_the_clip(tmp_path: Path, video: Path) -> None:
    """There is no pre-roll: before the press there is no video anywhere."""
    with Keeper(tmp_path, toml(video)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        for word in (KeepToSee.RESUME, KeepToSee.STOP, KeepToSee.STOP, KeepToSee.RESUME):
            keeper.says(word)
        assert not keeper.comes(2.0)
        first = number(decoded(kept(keeper.records(0.5), tmp_path))[0][:HEIGHT_PX])
        assert first >= 2.0 * PER_S
        second = number(decoded(kept(keeper.records(0.5), tmp_path))[0][:HEIGHT_PX])
        assert second > first + 0.5 * PER_S
        assert keeper.stop()[0] == 0


def test_masked_cells_are_black_in_a_recording_too(tmp_path: Path, video: Path) -> None:
    """The neighbour's door is nobody's business, in a clip least of all."""
    with Keeper(tmp_path, toml(video, mask=MASK)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        frames = decoded(kept(keeper.records(1.0), tmp_path))
    seen = watched(MASK, HEIGHT_PX, WIDTH_PX)
    assert seen is not None
    for frame in frames:
        luma, chroma = frame[:HEIGHT_PX], frame[HEIGHT_PX:].reshape(2, HEIGHT_PX // 2, WIDTH_PX // 2)
        assert np.abs(luma[~seen].astype(int) - 16).max() <= 6  # but for the encoder's smear at the edges
        assert np.abs(chroma[:, ~seen[::2, ::2]].astype(int) - 128).max() <= 6
        expected = picture(number(luma))
        assert psnr_db(luma[seen], expected[seen]) > LOUD_ENOUGH_DB


@pytest.mark.parametrize(("height_px", "width_px"), [(120, 160), (1080, 1920), (720, 960), (1076, 1440), (98, 130)])
def test_a_masked_cell_is_the_same_piece_of_the_picture_at_every_size(height_px: int, width_px: int) -> None:
    """What was masked on the small picture must be hidden on the large one, to the pixel."""
    mask = tuple("".join("#" if (row + column) % 3 == 0 else "." for column in range(16)) for row in range(12))
    luma = np.full((height_px, width_px), 200, np.uint8)
    chroma = [np.full((height_px // 2, width_px // 2), 90, np.uint8) for _ in range(2)]
    black_out(mask, luma, chroma)
    seen = watched(mask, height_px, width_px)
    assert seen is not None
    assert (luma[~seen] == 16).all() and (luma[seen] == 200).all()
    for plane in chroma:
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
            assert (plane[~seen[y::2, x::2]] == 128).all()
        assert (plane == 90).any()


def test_motion_is_told_while_recording(tmp_path: Path) -> None:
    """Whoever comes during a recording is told of as at any other time."""
    with Keeper(tmp_path, PORCH) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.START)
        with keeper.accepts() as clip:
            keeper.hears(SeeToTell.MOTION_STARTED)
            keeper.says(KeepToSee.STOP)
            about = probe(kept(clip.rest(), tmp_path))
        assert (about["width"], about["height"]) == (480, 360)
        assert keeper.stop()[0] == 0


def test_going_over_to_recording_and_back_is_no_motion_and_no_silence(tmp_path: Path, still: Path) -> None:
    """A press must not ring the owner's phone, nor look like a camera that is gone."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        for _ in range(4):
            assert keeper.records(1.0)
        keeper.hears(SeeToTell.ALIVE)
        assert {received.message for received in keeper.heard} == {SeeToTell.ALIVE}
        at_s = [received.sent_s for received in keeper.heard]
        assert np.diff(at_s).max() < 5.0
        assert keeper.stop()[0] == 0


@pytest.mark.parametrize("told", [True, False], ids=["exposure told", "not told"])
@pytest.mark.parametrize("light", [0.7, 1.0, 1.4])
def test_a_second_without_frames_and_a_jump_of_exposure_are_no_motion(light: float, told: bool) -> None:
    """What going over does to the picture, at its worst: the camera starts anew and finds its exposure again."""
    rng, detector, said = np.random.default_rng(3), Detector(), []
    door = picture(0)[::2, ::2].astype(float)
    for n in range(200):
        jump = light ** max(0.0, 1 - (n - 100) / 8) if n >= 100 else 1.0  # found again within 0.8 s
        luma = np.clip(door * jump + rng.normal(0, 1.5, door.shape), 0, 255).astype(np.uint8)
        t_s = n / 10 + (1.0 if n >= 100 else 0.0)
        said += detector.step(Frame(luma, t_s, 10_000 * jump if told else None, 1.0 if told else None))
    assert said == []


def test_a_keep_that_dies_ends_the_recording_and_nothing_else(tmp_path: Path, still: Path) -> None:
    """One process's end must not be another's."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.START)
        with keeper.accepts() as clip:
            clip.take(0.5)
        keeper.logs("it broke off: ")  # a pipe that is broken, or reset
        keeper.hears(SeeToTell.ALIVE)
        assert not keeper.comes(0.5)
        assert keeper.records(0.5)
        assert keeper.stop()[0] == 0
        assert keeper.log.read_text().count("recorded ") == 1  # what went well is nobody's to read


def test_a_keep_that_stops_reading_ends_the_recording_and_watching_goes_on(tmp_path: Path, still: Path) -> None:
    """A card that hangs must not blind the eye: frames are left out, then the recording ends."""
    with Keeper(tmp_path, toml(still, mbit=25)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.START)
        with keeper.accepts() as clip:
            clip.take(0.2)
            stopped_s = time.monotonic()
            keeper.logs("it broke off: nobody took anything for 5 s")
            assert time.monotonic() - stopped_s > 4.5
            keeper.hears(SeeToTell.ALIVE)
            at_s = [received.sent_s for received in keeper.heard]
            assert np.diff(at_s).max() < 2.5
        assert keeper.records(0.5)
        status, _ = keeper.stop()
        assert status == 0


def test_a_slow_keep_gets_less_frames_and_is_told_how_many(tmp_path: Path) -> None:
    """What cannot be taken is left out whole and counted; what is there decodes."""
    said: list[str] = []
    ours, theirs = socket.socketpair()
    with theirs:
        clip = Clip(ours, Recording(bitrate_mbit=25), (), said.append)
        noise = np.random.default_rng(0).integers(0, 255, (480, 640), np.uint8)
        for n in range(600):
            clip.add_grey(np.roll(noise, n), n / 30)
        clip.end()
        theirs.settimeout(20)
        data = b""
        while part := theirs.recv(65536):
            data += part
    clip.join(20)
    until(lambda: said, "its last words")
    taken, left_out = (int(word) for word in said[0].replace(",", "").split() if word.isdigit())
    assert taken + left_out == 600 and left_out > 0
    assert len(decoded(kept(data, tmp_path))) == taken


@pytest.mark.parametrize("how", ["nobody listens", "no such socket"])
def test_without_a_keep_to_bring_it_to_nothing_is_recorded_and_it_says_why(tmp_path: Path, still: Path, how: str) -> None:
    """Refused in one line, and watching goes on."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.stop_listening()
        if how == "no such socket":
            keeper.address.unlink()
        keeper.says(KeepToSee.START)
        keeper.logs("keep takes no video at ")
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.STOP)
        keeper.hears(SeeToTell.ALIVE)
        assert keeper.stop()[0] == 0
        assert keeper.log.read_text().count("keep takes no video") == 1


def test_a_pause_closes_the_camera_and_nothing_is_said_until_it_is_over(tmp_path: Path) -> None:
    """Who holds the button wants not to be watched: no eye, and no false alarm about a lost one."""
    with Keeper(tmp_path, PORCH) as keeper:
        keeper.hears(SeeToTell.MOTION_STARTED)
        for _ in range(2):
            keeper.says(KeepToSee.PAUSE)
            time.sleep(0.3)
        said = keeper.listen(1.0)
        assert [word for word in said if word is not SeeToTell.MOVING] == [SeeToTell.MOTION_ENDED]
        for word in (KeepToSee.PAUSE, KeepToSee.STOP, KeepToSee.START, KeepToSee.PAUSE):
            keeper.says(word)
        assert keeper.listen(2.0) == []
        assert not keeper.comes(0.0)
        keeper.says(KeepToSee.RESUME)
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.RESUME)
        assert SeeToTell.CAMERA_LOST not in [received.message for received in keeper.heard]
        keeper.says(KeepToSee.PAUSE)
        keeper.listen(0.5)
        assert keeper.stop()[0] == 0
        assert keeper.log.read_text().count("watching at 160 x 120") == 1  # the second would date the pause


def test_presses_faster_than_the_camera_each_get_a_connection_that_ends(tmp_path: Path, still: Path) -> None:
    """A nervous finger: nothing hangs, no clip is cut by the next."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.START)
        with keeper.accepts() as first:
            first.take(0.5)
            for word in (KeepToSee.STOP, KeepToSee.START, KeepToSee.STOP, KeepToSee.START):
                keeper.says(word)
            assert len(decoded(kept(first.rest(), tmp_path))) >= 0.4 * PER_S
        with keeper.accepts() as second:
            second.rest()
        with keeper.accepts() as third:
            third.take(0.3)
            keeper.says(KeepToSee.STOP)
            assert decoded(kept(third.rest(), tmp_path))
        assert keeper.stop()[0] == 0
        assert "broke off" not in keeper.log.read_text()


def test_a_pause_ends_a_recording(tmp_path: Path, still: Path) -> None:
    """A closed camera records nothing, and what was recorded is whole."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.START)
        with keeper.accepts() as clip:
            clip.take(1.0)
            keeper.says(KeepToSee.PAUSE)
            assert len(decoded(kept(clip.rest(), tmp_path))) >= 0.9 * PER_S
        assert keeper.stop()[0] == 0


@pytest.mark.parametrize("first", [KeepToSee.PAUSE, None])
def test_a_see_that_starts_during_a_pause_does_not_open_the_camera(tmp_path: Path, still: Path,
                                                                   first: KeepToSee | None) -> None:
    """It waits a moment for keep's first word; should keep be dead, watching is worth more than waiting."""
    with Keeper(tmp_path, toml(still), first=first) as keeper:
        if first is None:
            keeper.hears(SeeToTell.ALIVE)
        else:
            assert keeper.listen(3.0) == []
            assert "watching" not in keeper.log.read_text()
        assert keeper.stop()[0] == 0


def test_a_start_that_waited_for_a_see_that_was_down_is_not_obeyed(tmp_path: Path, still: Path) -> None:
    """Nobody stands at the button any more."""
    with Keeper(tmp_path, toml(still), first=KeepToSee.START) as keeper:
        keeper.process.send_signal(signal.SIGSTOP)
        time.sleep(3.5)
        keeper.process.send_signal(signal.SIGCONT)
        keeper.hears(SeeToTell.ALIVE)
        assert not keeper.comes(0.5)
        assert "too late" in keeper.log.read_text()
        assert keeper.stop()[0] == 0


def test_a_signal_during_a_recording_leaves_a_whole_clip(tmp_path: Path, still: Path) -> None:
    """Stopping finishes the clip."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        keeper.says(KeepToSee.START)
        with keeper.accepts() as clip:
            clip.take(1.0)
            keeper.process.terminate()
            path = kept(clip.rest(), tmp_path)
        assert keeper.process.wait(10) == 0
    assert len(decoded(path)) == int(probe(path)["nb_read_frames"]) >= 0.9 * PER_S


def test_only_start_leads_to_recording_and_the_table_is_complete() -> None:
    """The promise on one line: whatever is said, in whatever order, without START nothing is recorded."""
    assert {doing: set(row) for doing, row in NEXT.items()} == {doing: set(KeepToSee) for doing in Doing}
    ways = {(doing, word) for doing, row in NEXT.items() for word, then in row.items()
            if then is Doing.RECORDING and doing is not Doing.RECORDING}
    assert ways == {(Doing.WATCHING, KeepToSee.START)}
    assert all(row[KeepToSee.PAUSE] is Doing.PAUSED for row in NEXT.values())


def test_inv_see_has_no_network_and_writes_no_file_while_recording(tmp_path: Path, still: Path) -> None:
    """The press opens one way, to `keep`; the process is as shut as before, with FFmpeg in it."""
    script = ("import sys, os; opened = [];"
              "sys.addaudithook(lambda name, args: opened.append(str(args[0])) if name == 'open' and isinstance(args[2], int)"
              " and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else None);"
              "from device.cli import main; status = main(sys.argv[1:]);"
              "print(*sys.modules); print(*opened)")
    with Keeper(tmp_path, toml(still), program=("-c", script)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        assert keeper.records(0.5)
        status, said = keeper.stop()
    loaded, written = said.splitlines()
    assert status == 0
    assert "device.see.clip" in loaded.split()
    hidden = set(HIDDEN["see"]) - {"av"}
    assert [name for name in loaded.split() for root in hidden if name == root or name.startswith(root + ".")] == []
    assert written == ""


def test_systemd_hands_it_the_link_from_keep(tmp_path: Path, still: Path) -> None:
    """Socket activation as in sd_listen_fds(3): descriptor 3, and our own process id beside it."""
    (tmp_path / "doorstep.toml").write_text(toml(still))
    script = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
              "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
              "os.execv(sys.executable, [sys.executable, '-m', 'device', 'see', *sys.argv[2:]])")
    with (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as keep,
          socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server):
        link.bind(str(tmp_path / "see.sock"))
        server.bind(str(tmp_path / "video.sock"))
        server.listen()
        server.settimeout(20)
        sender = Sender[KeepToSee](keep, str(tmp_path / "see.sock"))
        command = [sys.executable, "-c", script, str(link.fileno()), "--config", str(tmp_path / "doorstep.toml"), "--socket",
                   str(tmp_path / "tell.sock"), "--video-socket", str(tmp_path / "video.sock")]
        with subprocess.Popen(command, pass_fds=[link.fileno()], env=environment()) as process:
            try:
                assert sender.send(KeepToSee.START)
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(20)
                    assert connection.recv(1)
            finally:
                process.terminate()


def test_inv_one_way_only_a_unix_datagram_socket_is_taken_for_the_link_from_keep(tmp_path: Path) -> None:
    """A typo in a unit must not let a network port open the camera."""
    (tmp_path / "doorstep.toml").write_text(PORCH)
    for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
        with socket.socket(family, kind) as wrong:
            done = subprocess.run([sys.executable, "-m", "device", "see", "--config", str(tmp_path / "doorstep.toml"),
                                   "--keep-fd", str(wrong.fileno())], pass_fds=[wrong.fileno()], capture_output=True,
                                  text=True, check=False, env=environment(), timeout=20)
            assert done.returncode == 2
            assert "no Unix datagram socket" in done.stderr


def test_debians_ffmpeg_decodes_a_clip_without_a_word(tmp_path: Path, still: Path) -> None:
    """The owner may use any player."""
    with Keeper(tmp_path, toml(still)) as keeper:
        keeper.hears(SeeToTell.ALIVE)
        path = kept(keeper.records(1.0), tmp_path)
    done = subprocess.run(["ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-"], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_word_from_before_its_start_does_not_hide_a_pause() -> None:
    """A `see` that was down finds an old RESUME waiting; the pause that followed could not be said behind it."""
    to_see, see = pair()
    keep, ended = Sender(to_see), threading.Event()
    assert keep.send(KeepToSee.RESUME)

    def pause() -> None:  # as keep does once the old word has been read
        while not ended.is_set() and not keep.send_alive(KeepToSee.PAUSE):
            time.sleep(0.02)

    teller = threading.Thread(target=pause)
    with Stop() as stop:
        gate = Gate(see, "", Config(), Log("see"))
        teller.start()
        gate.first_word(stop)
    ended.set()
    teller.join()
    assert gate.doing is Doing.PAUSED
    to_see.close()
    see.close()
