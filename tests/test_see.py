"""`see` as a real process: it watches whatever happens to `tell`, and has no way out but the wall."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.messages import Received, Receiver, SeeToTell, pair
from tests.rig import doorstep, environment, until

PORCH = '[camera]\nsource = "porch"\nframes_per_s = 10\n'


class Seer:
    """`doorstep see` on the porch; the test is its `tell`."""

    def __init__(self, folder: Path, toml: str) -> None:
        (folder / "doorstep.toml").write_text(toml)
        self.writer, self.reader = pair()
        self.receiver = Receiver(self.reader, SeeToTell)
        self.log = folder / "see.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "device", "see", "--config", str(folder / "doorstep.toml"),
                 "--tell-fd", str(self.writer.fileno()), "--parent", str(os.getpid())],
                pass_fds=[self.writer.fileno()], stderr=log, env=environment())
        self.heard: list[Received[SeeToTell]] = []

    def hears(self, word: SeeToTell, most_s: float = 20) -> float:
        """Wait for `word`; return when it was sent."""
        def heard() -> list[float]:
            self.heard += self.receiver.receive()
            return [received.sent_s for received in self.heard if received.message is word]
        until(heard, lambda: f"{word.name}; heard {self.heard}; it said {self.log.read_text()}", most_s)
        return heard()[0]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)
        self.writer.close()
        self.reader.close()


@pytest.fixture
def seer(tmp_path: Path) -> Iterator[Seer]:
    seer = Seer(tmp_path, PORCH)
    yield seer
    seer.close()


def test_a_visitor_is_seen_and_said_to_come_and_to_go(seer: Seer) -> None:
    """Frames in, one byte out."""
    started_s = seer.hears(SeeToTell.MOTION_STARTED)
    assert seer.hears(SeeToTell.MOTION_ENDED, 40) > started_s


def test_it_says_alive_each_second_because_frames_come(seer: Seer) -> None:
    """Status is tied to frames, not to the socket: a `see` that hangs says nothing."""
    began_s = seer.hears(SeeToTell.ALIVE)
    until(lambda: _alive(seer) >= 4, "four signs of life")
    assert 2.5 < seer.heard[-1].sent_s - began_s < 8
    os.kill(seer.process.pid, signal.SIGSTOP)
    list(seer.receiver.receive())
    time.sleep(1.5)
    assert list(seer.receiver.receive()) == []


def _alive(seer: Seer) -> int:
    seer.heard += seer.receiver.receive()
    return sum(received.message in (SeeToTell.ALIVE, SeeToTell.MOVING) for received in seer.heard)


@pytest.mark.parametrize("full", [False, True], ids=["nobody reads", "the socket is full"])
def test_inv_a_dead_teller_cannot_stop_the_eye(seer: Seer, full: bool) -> None:
    """Whatever becomes of `tell`, every frame is looked at."""
    seer.hears(SeeToTell.ALIVE)
    if full:
        seer.writer.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                seer.writer.send(b"A")
    time.sleep(6)  # two visitors' worth of porch
    seer.process.terminate()
    assert seer.process.wait(10) == 0
    said = seer.log.read_text().splitlines()[-1]
    frames, unsent = (int(word) for word in said.split() if word.isdigit())
    assert frames >= 0.9 * 6 * 10
    assert (unsent > 0) is full


def test_sigterm_ends_it_at_once_with_success(seer: Seer) -> None:
    """A service that has to be killed loses what it still had to say."""
    seer.hears(SeeToTell.ALIVE)
    began_s = time.monotonic()
    seer.process.terminate()
    assert seer.process.wait(10) == 0
    assert time.monotonic() - began_s < 3


def test_no_camera_at_the_start_is_exit_2_and_one_line(tmp_path: Path) -> None:
    """Nothing is half started."""
    config = tmp_path / "doorstep.toml"
    config.write_text('[camera]\nsource = "v4l2"\ndevice = "/dev/video-none"\n')
    done = doorstep("see", "--config", config, "--socket", tmp_path / "tell.sock")
    assert done.returncode == 2
    assert done.stderr.startswith("doorstep: error: /dev/video-none: ")
    assert done.stderr.count("\n") == 2
    assert list(tmp_path.iterdir()) == [config]


def test_a_tell_that_comes_later_is_found(tmp_path: Path) -> None:
    """systemd may start the two in any order."""
    config = tmp_path / "doorstep.toml"
    config.write_text(PORCH)
    path = tmp_path / "tell.sock"
    command = [sys.executable, "-m", "device", "see", "--config", str(config), "--socket", str(path)]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as process:
        try:
            time.sleep(1)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
                reader.bind(str(path))
                receiver = Receiver(reader, SeeToTell)
                until(lambda: list(receiver.receive()), "a word of see")
        finally:
            process.terminate()


HIDDEN = {
    "see": ("device.tell", "device.run", "device.demo", "broker", "paho", "amqtt", "ssl", "asyncio", "http", "urllib.request",
            "cryptography", "rich", "av"),
    "tell": ("device.see", "device.run", "device.demo", "device.replay", "broker", "numpy", "av", "picamera2", "libcamera",
             "gpiozero", "rich", "amqtt", "cv2"),
}


@pytest.mark.parametrize("process", ["see", "tell"], ids=["inv_see_has_no_network", "inv_tell_has_no_camera"])
def test_a_process_loads_nothing_of_the_powers_that_are_not_its_own(tmp_path: Path, process: str) -> None:
    """What is not in the process cannot be used by whoever takes it over; and it costs no memory."""
    config = tmp_path / "doorstep.toml"
    config.write_text(PORCH + '[broker]\nhost = "127.0.0.1"\nport = 9\ntls = false\n')
    writer, reader = pair()
    link = ["--tell-fd", str(writer.fileno())] if process == "see" else ["--events-fd", str(reader.fileno())]
    # The real command line, stopped by its own signal handling; then the names of all that was loaded.
    script = ("import signal, sys; signal.setitimer(signal.ITIMER_REAL, 2);"
              "signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM));"
              "from device.cli import main; status = main(sys.argv[1:]);"
              "print(status, *sys.modules)")
    done = subprocess.run([sys.executable, "-c", script, process, "--config", str(config), *link], text=True,
                          capture_output=True, pass_fds=[writer.fileno(), reader.fileno()], env=environment(), check=False)
    writer.close()
    reader.close()
    status, *loaded = done.stdout.split()
    assert status == "0", done.stderr
    assert f"device.{process}.process" in loaded
    wrong = [name for name in loaded for hidden in HIDDEN[process] if name == hidden or name.startswith(hidden + ".")]
    assert wrong == []
