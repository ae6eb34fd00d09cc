"""The whole path of a recording, every part real: film, `see`, `keep`, a pin, a broker, age, FFmpeg."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pyrage
import pytest

from device.keep import layout, statement
from device.see.frame import Grey
from tests.conftest import looks_inside
from tests.finger import Finger
from tests.rig import Mosquitto, Phone, doorstep, environment, plain, until
from tests.test_run import children

OWNER = pyrage.x25519.Identity.generate()
HIGH_PX, WIDE_PX, BITS, BIT_PX, STILL_PX = 240, 320, 10, 32, 80


def picture(n: int) -> Grey:
    """Frame `n` of the film: a place, a counter in black and white, and every 7 s somebody who walks through."""
    noise = np.random.default_rng(n).normal(0, 3, (HIGH_PX, WIDE_PX))
    noise[:STILL_PX] = 0  # here its bytes are the same in every frame
    place = np.random.default_rng(7).integers(90, 160, (HIGH_PX // 20, WIDE_PX // 20)).repeat(20, 0).repeat(20, 1)
    place[:BIT_PX] = np.array([220 * (n >> bit & 1) + 20 for bit in range(BITS)]).repeat(BIT_PX)
    step = n % 70 - 30
    if 0 <= step < 20:
        place[80:220, 16 * step:16 * step + 50] = 40
    return (place + noise).astype(np.uint8)


def number(seen: Grey) -> int:
    """Return the number that the counter of a decoded frame shows."""
    bits = seen[:BIT_PX].reshape(BIT_PX, BITS, BIT_PX).mean((0, 2)) > 128
    return int(sum(1 << bit for bit in range(BITS) if bits[bit]))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute and a half at 10 frames a second, without loss."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDE_PX, HIGH_PX, "yuv420p"
        for n in range(900):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(n), format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


class Door:
    """The real `doorstep run` on the film, or on the porch, with mock pins in its `keep`."""

    def __init__(self, folder: Path, film: Path | None, port: int, *recording: str, prefix: tuple[str, ...] = ()) -> None:
        self.folder, self.clips = folder, folder / "state" / "clips"
        camera = f'source = "file"\npath = "{film}"' if film else 'source = "porch"'
        (folder / "doorstep.toml").write_text(
            f"[camera]\n{camera}\n[alerts]\ncooldown_s = 1\n" + plain(port)
            + f'[recording]\nrecipients = ["{OWNER.to_public()}"]\nfolder = "state"\npanel = "gpio"\n'
            "bitrate_mbit = 1\nlongest_s = 30\nbudget_mb = 100\nwidth_px = 320\nheight_px = 240\n" + "\n".join(recording))
        with (folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "tests.finger", "run", "--config", str(folder / "doorstep.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(FINGER=str(folder / "finger.sock")))

    @property
    def finger(self) -> Finger:
        return Finger(self.folder / "finger.sock")

    @property
    def said(self) -> str:
        return (self.folder / "run.log").read_text()

    def clip(self, n: int) -> Path:
        return self.clips / layout.clip(n)

    def grows(self, n: int, least_bytes: int = 1) -> None:
        until(lambda: self.clip(n).exists() and self.clip(n).stat().st_size >= least_bytes, lambda: f"clip {n}; {self.said}")

    def stated(self, n: int) -> statement.Statement:
        until((self.clips / layout.statement(n)).exists, lambda: f"the statement of clip {n}; {self.said}")
        signed = statement.parse((self.clips / layout.statement(n)).read_bytes())
        assert signed.authentic
        return signed.statement

    def close(self) -> None:
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        self.process.wait(15)

    @property
    def pid(self) -> int:
        """Of the house itself, which may be the child of a tracer."""
        if "strace" not in str(self.process.args):
            return self.process.pid
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())


@contextmanager
def door(folder: Path, film: Path | None, port: int, *recording: str, prefix: tuple[str, ...] = ()) -> Iterator[Door]:
    standing = Door(folder, film, port, *recording, prefix=prefix)
    try:
        yield standing
    finally:
        standing.close()


def test_from_a_finger_to_a_video_that_the_owner_plays(tmp_path: Path, film: Path, broker: Mosquitto, phone: Phone) -> None:
    """The second half of the promise: what a press records is whole, is the door's, and is the owner's alone."""
    with door(tmp_path, film, broker.port) as home:
        phone.wait("status", "watching")
        assert phone.said("recording") == ["OFF"]
        assert not list(home.clips.glob("*.age"))
        home.finger.press()
        pressed_s = time.monotonic()
        phone.wait("recording", "ON")
        home.grows(1)
        phone.wait("alert", "motion at front door")  # it is told of while a clip is recorded
        until(lambda: time.monotonic() - pressed_s > 4, "four seconds")
        home.finger.press()
        length_s = time.monotonic() - pressed_s
        until(lambda: phone.said("recording")[-1] == "OFF", "the end of the recording")
        stated = home.stated(1)
        assert "recording at front door" in phone.said("alert")

    (tmp_path / "key.txt").write_text(str(OWNER))
    clip, video = home.clip(1), tmp_path / "clip.ts"
    subprocess.run(["age", "-d", "-i", str(tmp_path / "key.txt"), "-o", str(video), str(clip)], check=True)
    probed = json.loads(subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(video)],
                                       capture_output=True, text=True, check=True).stdout)
    assert probed["format"]["format_name"] == "mpegts"
    assert [stream["codec_name"] for stream in probed["streams"]] == ["h264"]
    assert abs(float(probed["format"]["duration"]) - length_s) < 1.5
    assert abs(stated.length_ms / 1000 - length_s) < 1.5
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    numbers = [number(frame) for frame in frames]
    assert len(frames) >= 25
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for n, frame in zip(numbers, frames, strict=True):
        assert _psnr(frame, picture(n)) > 28, n
    assert _psnr(frames[0], picture(numbers[0] + 35)) < 28  # the comparison can fail
    assert doorstep("clips", "verify", home.clips).returncode == 0


def _psnr(one: Grey, other: Grey) -> float:
    return 10 * np.log10(255**2 / max(1e-9, float(np.square(one.astype(float) - other).mean())))


WRITE = re.compile(r"^(?:\d+ +)?p?writev?(?:64|2)?\(\d+<((?:\\x..)+)>[^,]*, (.*)$")


def unhexed(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def written(trace: str) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every write to a file in a trace of strace -y -xx."""
    for line in trace.splitlines():
        found = WRITE.match(line)
        path = unhexed(found[1]).decode() if found else ""
        if found and path.startswith("/") and not path.startswith(("/dev/null", "/dev/pts", "/proc/")):
            yield path, b"".join(map(unhexed, re.findall(r'"((?:\\x..)*)"', found[2])))


def plain_video(data: bytes) -> bool:
    """Whether there is MPEG-TS or H.264 in it, or a stretch of the film's own bytes."""
    packets = any(all(data[at + 188 * k] == 0x47 for k in range(4)) for at in range(min(188, max(0, len(data) - 564))))
    units = re.search(rb"\x00\x00\x01[\x67\x68\x65\x41\x61]", data) is not None
    rows = {bytes(row) for row in picture(0)[BIT_PX:STILL_PX:10, :64]}
    return packets or units or any(row in data for row in rows)


def test_inv_ciphertext_only_on_disk_every_write_of_every_process(
    tmp_path: Path, film: Path, broker: Mosquitto, phone: Phone, runtime_folder: Path
) -> None:
    """A thief of the card, or a subpoena for it, gets what nobody but the owner can read: each single write is looked at."""
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-y", "-xx", "-s", "10000000", "-e", "trace=write,pwrite64,writev,pwritev,pwritev2",
              "-e", "signal=none", "-o", str(trace))
    with door(tmp_path, film, broker.port, prefix=strace) as home:
        phone.wait("status", "watching", 60)
        home.finger.press()
        home.grows(1, 200_000)
        home.finger.press()
        home.stated(1)
        phone.wait("alert", "motion at front door", 60)
    paths: dict[str, bytes] = {}
    for path, data in written(trace.read_text()):
        paths[path] = paths.get(path, b"") + data
        assert not plain_video(data), path
    clip = str(home.clip(1))
    assert paths[clip] == home.clip(1).read_bytes()
    assert not plain_video(paths[clip])
    ours = (str(tmp_path / "state") + "/", str(runtime_folder) + "/", str(tmp_path / "run.log"))
    assert [path for path in paths if not path.startswith(ours) and ":" not in path] == []


def test_the_search_for_plain_video_can_fail(tmp_path: Path, film: Path) -> None:
    """On a file that is deliberately plain it finds what it looks for, each sign by itself."""
    with av.open(str(tmp_path / "plain.ts"), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDE_PX, HIGH_PX, "yuv420p"
        for n in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(n), format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    data = (tmp_path / "plain.ts").read_bytes()
    assert plain_video(data[:2000])
    assert plain_video(data[77:2000])
    assert plain_video(b"x" * 100 + b"\0\0\0\1\x67" + b"x" * 100)
    assert plain_video(b"x" * 100 + picture(5).tobytes())
    assert not plain_video(pyrage.encrypt(data, [OWNER.to_public()]))
    script = f"import os; f = os.open({str(tmp_path / 'x')!r}, os.O_CREAT | os.O_WRONLY); os.write(f, open({str(tmp_path / 'plain.ts')!r}, 'rb').read())"
    subprocess.run(["strace", "-f", "-qq", "-y", "-xx", "-s", "10000000", "-e", "trace=write", "-o", str(tmp_path / "trace"),
                    sys.executable, "-c", script], check=True)
    assert [path for path, written_ in written((tmp_path / "trace").read_text()) if plain_video(written_)] == [str(tmp_path / "x")]


def test_without_a_press_nothing_is_kept_whatever_happens(
    tmp_path: Path, film: Path, broker: Mosquitto, phone: Phone, runtime_folder: Path
) -> None:
    """No message, no restart and no visitor makes a recording: not one byte appears in the folder."""
    with door(tmp_path, film, broker.port) as home:
        phone.wait("status", "watching")
        until(lambda: (home.clips / layout.PUBLIC).exists(), "the folder")
        before = _tree(tmp_path / "state")
        phone.wait("alert", "motion at front door")
        _shout(phone)
        (video,) = runtime_folder.rglob("video.sock")
        _flood(video)
        for name in ("keep", "see", "tell"):
            pid = children(home.process.pid)[name]
            os.kill(pid, signal.SIGKILL)
            until(lambda name=name, pid=pid: children(home.process.pid).get(name) not in (None, pid), f"{name} again")
        phone.got.clear()
        phone.wait("status", "watching", 40)
        phone.wait("motion", "ON", 40)
        assert _tree(tmp_path / "state") == before
        assert "ON" not in phone.said("recording")


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def _shout(phone: Phone) -> None:
    """Say over the network whatever somebody might take for a command."""
    for leaf in ("recording", "record", "set", "command", "status", "event", "recording/set", "start"):
        for word in ("ON", "START", "record", ">", "R", "online", '{"record":true}', "\0" * 100):
            phone.client.publish(f"doorstep/front-door/{leaf}", word, qos=1)
    phone.client.publish("homeassistant/status", ">", qos=1)
    phone.client.publish("homeassistant/status", "online", qos=1).wait_for_publish(10)


def _flood(address: Path) -> None:
    """Send video to `keep` that it did not ask for, again and again."""
    for _ in range(200):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as video:
            video.connect(str(address))
            with pytest.raises(ConnectionError):
                while True:
                    video.sendall(bytes(188))


@looks_inside
def test_verify_finds_nothing_amiss_while_a_clip_is_recorded(tmp_path: Path, film: Path, broker: Mosquitto, phone: Phone) -> None:
    """Video flows and a file is written then: all of it as promised."""
    with door(tmp_path, film, broker.port) as home:
        phone.wait("status", "watching")
        home.finger.press()
        home.grows(1, 1000)
        done = doorstep("verify", "--pid", str(home.pid))
        assert done.returncode == 0, done.stdout
        home.finger.press()
        assert home.stated(1).sequence == 1
