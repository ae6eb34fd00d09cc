"""`doorstep clips open`: the owner's key gives back the video, all of it or as much as is authentic."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import av
import pyrage
import pytest

from device.cli import main
from device.errors import RecordingError
from device.keep import layout, owner_open
from device.keep.owner_age import CHUNK_BYTES, TAG_BYTES, Opened, decrypt
from device.keep.owner_remux import remux
from tests.clips import LENGTH_S, PICTURES_PER_S, Clips, in_terminal, video
from tests.rig import doorstep, environment


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """One recorded clip, number 1."""
    made = Clips(tmp_path / "clips")
    made.record(1, video())
    made.identity()
    return made


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "visit.mp4"


def open_clip(clips: Clips, mp4: Path | str, *more: str) -> subprocess.CompletedProcess[str]:
    return doorstep("clips", "open", clips.clip(1), "--identity", clips.folder.parent / "identity.txt", "-o", mp4, *more)


def pictures(source: bytes | Path) -> list[bytes]:
    """Every picture, decoded; a broken one is an error."""
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), options={"err_detect": "explode"}) as container:
        return [picture.to_ndarray().tobytes() for picture in container.decode(video=0)]


def probe(path: Path) -> dict[str, str]:
    """What ffprobe says of the video, and that it says no error."""
    done = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-of", "json", "-show_entries",
                           "stream=codec_name,nb_read_frames,duration,start_time", str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (stream,) = json.loads(done.stdout)["streams"]
    return dict(stream)


def cut(clips: Clips, size_bytes: int) -> int:
    """Cut the clip's file; return how many bytes of the video are then authentic: its whole chunks."""
    data = clips.clip(1).read_bytes()
    header_bytes = data.index(b"\n", data.index(b"\n--- ") + 1) + 1 + 16
    clips.clip(1).write_bytes(data[:size_bytes])
    return (size_bytes - header_bytes) // (CHUNK_BYTES + TAG_BYTES) * CHUNK_BYTES


def test_a_clip_becomes_a_video_with_every_picture_of_the_camera(clips: Clips, mp4: Path) -> None:
    """Played by anything, and not encoded again."""
    done = open_clip(clips, mp4)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{mp4}: {LENGTH_S:.1f} s\n"
    assert done.stderr.startswith("unaltered, as device SHA256:")
    assert pictures(mp4) == pictures(video())
    assert probe(mp4) == {"codec_name": "h264", "nb_read_frames": str(PICTURES_PER_S * LENGTH_S), "start_time": "0.000000",
                          "duration": f"{LENGTH_S:.6f}"}
    assert stat.S_IMODE(mp4.stat().st_mode) == 0o600
    assert list(mp4.parent.iterdir()) == [mp4]
    data = mp4.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays while it is still being fetched


def test_a_clip_is_named_by_its_number_too_and_the_key_may_lie_where_key_new_put_it(
        clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short way is the usual one."""
    home = tmp_path / "home"
    (home / "doorstep").mkdir(parents=True)
    clips.identity().rename(home / "doorstep" / "identity.txt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    assert main(["clips", "open", "1", str(tmp_path)]) == 0
    assert pictures(tmp_path / "clip-000001.mp4") == pictures(video())


def test_debians_age_opens_the_same_clip(clips: Clips, tmp_path: Path) -> None:
    """In twenty years there may be no Doorstep."""
    done = subprocess.run(["age", "-d", "-i", str(clips.identity()), str(clips.clip(1))], capture_output=True, check=True)
    assert done.stdout == video()


def test_a_pipe_gets_the_stream_as_it_was_recorded(clips: Clips) -> None:
    """For a player, or for another program."""
    done = subprocess.run([sys.executable, "-m", "device", "clips", "open", str(clips.clip(1)), "--identity", str(clips.identity()),
                           "-o", "-"], capture_output=True, env=environment(), check=True)
    assert done.stdout == video()


@pytest.mark.parametrize("with_statement", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_clip_cut_short_gives_what_is_authentic_and_says_what_is_lost(
        clips: Clips, mp4: Path, share: float, with_statement: bool) -> None:
    """A power cut, or a copy that broke off."""
    if not with_statement:
        clips.statement(1).unlink()
    authentic = cut(clips, int(clips.clip(1).stat().st_size * share))
    in_file = clips.clip(1).stat().st_size
    done = open_clip(clips, mp4)
    assert done.returncode == 1, done.stderr
    given, whole = pictures(mp4), pictures(video())
    assert 0 < len(given) < len(whole)
    assert given == whole[: len(given)]
    assert int(probe(mp4)["nb_read_frames"]) == len(given)
    lost = next(line for line in done.stderr.splitlines() if line.startswith("lost: "))
    if with_statement:
        assert lost == f"lost: {len(video()) - authentic} bytes, {LENGTH_S - len(given) / PICTURES_PER_S:.1f} s of {LENGTH_S:.1f} s"
        assert "no longer what device SHA256:" in done.stderr
    else:
        assert 0 <= int(lost.split()[1]) <= min(CHUNK_BYTES, in_file - authentic)
        assert "and whatever was never written" in lost
        assert "no statement lies beside it" in done.stderr
    assert list(mp4.parent.iterdir()) == [mp4]


def test_a_flipped_byte_costs_what_comes_after_it_and_nothing_before(clips: Clips, mp4: Path) -> None:
    """No unauthenticated picture is ever given out."""
    data = bytearray(clips.clip(1).read_bytes())
    data[len(data) // 2] ^= 1
    clips.clip(1).write_bytes(data)
    done = open_clip(clips, mp4)
    assert done.returncode == 1
    given = pictures(mp4)
    assert 10 < len(given) < PICTURES_PER_S * LENGTH_S
    assert given == pictures(video())[: len(given)]
    piped = subprocess.run([sys.executable, "-m", "device", "clips", "open", str(clips.clip(1)), "--identity", str(clips.identity()),
                            "-o", "-"], capture_output=True, env=environment(), check=False)
    assert piped.returncode == 1
    assert video().startswith(piped.stdout)
    assert b"about" in piped.stderr


def test_another_clip_under_this_name_is_said_to_be_one(clips: Clips, mp4: Path) -> None:
    """It decrypts, for anybody can encrypt to a public key."""
    forged = io.BytesIO()
    pyrage.encrypt_io(io.BytesIO(video()), forged, [clips.owner.to_public()])
    clips.clip(1).write_bytes(forged.getvalue())
    done = open_clip(clips, mp4)
    assert done.returncode == 1
    assert "no longer what device SHA256:" in done.stderr
    clips.statement(1).write_bytes(clips.statement(1).read_bytes().replace(b"button", b"time"))
    assert "altered, or of another clip" in open_clip(clips, mp4, "--force").stderr


def test_nothing_is_overwritten_unless_told(clips: Clips, mp4: Path) -> None:
    """A folder is no file, a device is none, and what is there stays."""
    mp4.write_text("my wedding")
    done = open_clip(clips, mp4)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert mp4.read_text() == "my wedding"
    assert open_clip(clips, mp4, "--force").returncode == 0
    assert pictures(mp4)
    for target, says in ((mp4.parent, "no file"), (Path("/dev/null"), "no file"), (mp4 / "x" / "y.mp4", "no folder")):
        done = open_clip(clips, target, "--force")
        assert done.returncode == 2
        assert says in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_leaves_nothing_behind(clips: Clips, mp4: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals) -> None:
    """Half a video under a hidden name is still a video."""
    seen: list[int] = []

    def interrupted(*_: object) -> float:
        seen.extend(stat.S_IMODE(path.stat().st_mode) for path in mp4.parent.iterdir())
        os.kill(os.getpid(), ending)
        raise AssertionError("the signal did not end it")


    monkeypatch.setattr(owner_open, "remux", interrupted)
    arguments = ["clips", "open", str(clips.clip(1)), "--identity", str(clips.identity()), "-o", str(mp4)]
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        assert main(arguments) == 130
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert seen == [0o600]
    assert list(mp4.parent.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing_behind(clips: Clips, mp4: Path) -> None:
    """A limit on the size of files (1,000 blocks of 512 bytes) stands in for it."""
    done = subprocess.run(["sh", "-c", 'ulimit -f 1000; exec "$@"', "sh", sys.executable, "-m", "device", "clips", "open", str(clips.clip(1)), "--identity", str(clips.identity()),
                           "-o", str(mp4)], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert list(mp4.parent.iterdir()) == []
    with pytest.raises(OSError, match="No space left"):
        remux(io.BytesIO(video()), Path("/dev/full"), False)


def refused(clips: Clips, mp4: Path, identity: Path) -> str:
    done = doorstep("clips", "open", clips.clip(1), "--identity", identity, "-o", mp4)
    assert done.returncode == 2
    assert done.stderr.startswith("doorstep: error: ")
    assert done.stderr.splitlines()[1].startswith("doorstep: hint: ")
    assert list(mp4.parent.iterdir()) == []
    return done.stderr


def test_a_wrong_key_is_said_to_be_one(clips: Clips, mp4: Path, tmp_path: Path) -> None:
    """And which it is, so that it can be looked up."""
    other = pyrage.x25519.Identity.generate()
    (tmp_path / "other.txt").write_text(str(other))
    says = refused(clips, mp4, tmp_path / "other.txt")
    assert "another key than yours" in says
    assert str(other.to_public()) in says
    (tmp_path / "other.txt").write_text(f"{other}\n# the old one\n{clips.owner}\n")  # any of several will do
    assert doorstep("clips", "open", clips.clip(1), "--identity", tmp_path / "other.txt", "-o", mp4).returncode == 0


NO_KEYS = {
    "a public key": ("age13vjq8wvhf48mv48gjc8fwwlylftfy3um00f8q6zklpgwh5kjefusy6pkwu\n", "public half"),
    "another kind of key": ("# ssh\n-----BEGIN OPENSSH PRIVATE KEY-----\n", "line 2"),
    "a key with a slip": ("AGE-SECRET-KEY-1LXSNDC8FJWT6ZRRRCVDK9KTXV483435H485HHLHSRH20J5QCSAYSSYV0AX\n", "line 1"),
    "nothing": ("# nothing\n", "holds no key"),
    "a key under a passphrase": ("age-encryption.org/v1\n-> scrypt x 18\n", "--identity -"),
    "one in letters": ("-----BEGIN AGE ENCRYPTED FILE-----\n", "passphrase"),
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_what_is_no_key_is_said_to_be_none(clips: Clips, mp4: Path, tmp_path: Path, case: str) -> None:
    """Nobody should have to guess which of the two halves they hold."""
    text, says = NO_KEYS[case]
    (tmp_path / "key").write_text(text)
    message = refused(clips, mp4, tmp_path / "key")
    assert says in message
    assert "SSYV0AX" not in message  # a secret is not repeated


def test_a_key_under_a_passphrase_comes_through_a_pipe(clips: Clips, mp4: Path) -> None:
    """age -d key.age | doorstep clips open …: the plain key is never on the disk."""
    done = subprocess.run([sys.executable, "-m", "device", "clips", "open", str(clips.clip(1)), "--identity", "-", "-o", str(mp4)],
                          input=f"{clips.owner}\n", text=True, capture_output=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("content", "says"), [
    (b"", "no age file"), (b"hello" * 1000, "no age file"), (None, "no age file"), (b"G" * 1000, "no age file"),
])
def test_a_clip_whose_beginning_is_lost_cannot_be_opened(clips: Clips, mp4: Path, content: bytes | None, says: str) -> None:
    """Without the header there is no key to the rest."""
    clips.clip(1).write_bytes(clips.clip(1).read_bytes()[:100] if content is None else content)
    assert says in refused(clips, mp4, clips.identity())


def test_a_clip_of_less_than_a_chunk_that_is_cut_holds_nothing(clips: Clips, mp4: Path) -> None:
    """64 KiB are what age authenticates at once."""
    cut(clips, 60_000)
    assert "is authentic" in refused(clips, mp4, clips.identity())


def test_what_is_no_video_is_said_to_be_none(clips: Clips, mp4: Path) -> None:
    """Authentic, and still nothing to play."""
    clips.record(1, b"a letter")
    assert "no video" in refused(clips, mp4, clips.identity())


def test_a_clip_that_is_not_there_says_where_to_look(clips: Clips, mp4: Path) -> None:
    """A number needs a folder."""
    for words, says in ((["7", clips.folder], "clips list"), (["7"], "clips open 7 DIR"), (["0", clips.folder], "number 0"),
                        (["none.age"], "not there")):
        done = doorstep("clips", "open", *words, "--identity", clips.identity())
        assert done.returncode == 2
        assert says in done.stderr


def test_a_terminal_shows_how_far_it_is(clips: Clips, mp4: Path) -> None:
    """And a pipe does not: its standard error is a log."""
    status, shown = in_terminal("clips", "open", clips.clip(1), "--identity", clips.identity(), "-o", mp4)
    assert status == 0
    assert "━" in shown
    assert "━" not in open_clip(clips, mp4, "--force").stderr


def test_a_terminal_is_not_sent_a_video(clips: Clips) -> None:
    """It would only beep."""
    status, shown = in_terminal("clips", "open", clips.clip(1), "--identity", clips.identity(), "-o", "-")
    assert status == 2
    assert "terminal shows no video" in shown


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_the_plain_size_of_a_clip_is_known_from_its_file(size_bytes: int) -> None:
    """What is lost is counted from it."""
    key, sealed = pyrage.x25519.Identity.generate(), io.BytesIO()
    pyrage.encrypt_io(io.BytesIO(bytes(size_bytes)), sealed, [key.to_public()])
    opened = decrypt(io.BytesIO(sealed.getvalue()), io.BytesIO(), [key], lambda _done: None)
    assert opened.whole
    assert opened.plain_bytes == opened.plain_bytes_in(opened.size_bytes) == size_bytes
    assert Opened("", 0, 0, 0, True).plain_bytes_in(5) == 0


def test_a_disk_that_fails_is_not_taken_for_a_damaged_clip() -> None:
    """What was not read is not lost."""
    key, sealed = pyrage.x25519.Identity.generate(), io.BytesIO()
    pyrage.encrypt_io(io.BytesIO(bytes(200_000)), sealed, [key.to_public()])

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

        def write(self, piece: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="Input/output error"):
        decrypt(Failing(sealed.getvalue()), io.BytesIO(), [key], lambda _done: None)
    with pytest.raises(OSError, match="No space left"):
        decrypt(io.BytesIO(sealed.getvalue()), Failing(), [key], lambda _done: None)
    with pytest.raises(RecordingError, match="another key"):
        decrypt(io.BytesIO(sealed.getvalue()), io.BytesIO(), [pyrage.x25519.Identity.generate()], lambda _done: None)


def test_a_clip_that_another_device_signed_is_not_called_unaltered(tmp_path: Path) -> None:
    """Whoever can write into the folder can sign, with a key of their own; `device.pub` says whose clips these are."""
    clips, stranger = Clips(tmp_path / "clips"), Clips(tmp_path / "strange")
    stranger.owner = clips.owner
    stranger.record(1, video())
    for name in (layout.clip(1), layout.statement(1)):
        (stranger.folder / name).rename(clips.folder / name)
    done = doorstep("clips", "open", "1", clips.folder, "--identity", clips.identity(), "-o", tmp_path / "out.mp4")
    assert done.returncode == 1
    assert "signed by another device" in " ".join(done.stderr.split())
    assert "unaltered" not in done.stderr


def test_times_that_go_back_cost_no_picture(tmp_path: Path) -> None:
    """Two streams in a row, as a camera that was taken over may send them: packed, not an unexpected error."""
    clips = Clips(tmp_path / "clips")
    clips.record(1, video() + video())
    done = doorstep("clips", "open", "1", clips.folder, "--identity", clips.identity(), "-o", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 190
