"""The whole house: from a video file to a subscriber, and what a person at the terminal meets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import looks_inside
from tests.rig import Mosquitto, Phone, doorstep, environment, free_port, plain, until

PORCH = '[camera]\nsource = "porch"\n'


def children(pid: int) -> dict[str, int]:
    """Process ids of the children of `pid`, by their name on the command line."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = [""]
            with contextlib.suppress(OSError):  # it has ended meanwhile
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            if "-m" in words[:3]:
                found["broker" if "broker.embedded" in words else words[words.index("-m") + 2]] = int(child)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def house(folder: Path, toml: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real `doorstep run`, with its words in run.log."""
    (folder / "doorstep.toml").write_text(toml)
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "device", "run", "--config", str(folder / "doorstep.toml")],
                                   stdout=subprocess.DEVNULL, stderr=log,
                                   env=environment(PYTHONWARNINGS="default"))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def said(folder: Path) -> str:
    return (folder / "run.log").read_text()


def write_visits(path: Path) -> Path:
    """A video of a still grey scene into which a dark body walks three times."""
    rng = np.random.default_rng(7)
    place = rng.integers(90, 160, (12, 16)).repeat(10, 0).repeat(10, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "gray"
        for n in range(220):
            picture = place + rng.normal(0, 1, place.shape)
            step = n % 70 - 30
            if 0 <= step < 20:
                picture[30:110, 8 * step:8 * step + 25] = 40
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_from_a_video_file_to_the_phone(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """The main job, with every part real: three visitors, three alerts, and the house is over with the recording."""
    video = write_visits(tmp_path / "visits.mkv")
    toml = (f'id = "side"\nplace = "side door"\n[camera]\nsource = "file"\npath = "{video.name}"\n'
            "[alerts]\ncooldown_s = 1\n" + plain(broker.port))
    with house(tmp_path, toml) as process:
        until(lambda: len(phone.said("alert")) == 3, lambda: f"three alerts; got {phone.got}; {said(tmp_path)}", 40)
        assert process.wait(20) == 0
    assert phone.said("alert") == ["motion at side door"] * 3
    assert phone.said("motion")[-1] == "OFF"
    assert phone.said("status")[-1] == "offline"
    assert {got.topic.split("/")[1] for got in phone.got if got.topic.startswith("doorstep/")} == {"side"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_one_signal_stops_all_within_three_seconds(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever stops it expects it to be stopped."""
    with house(tmp_path, PORCH) as process:
        until(lambda: "connected to" in said(tmp_path) and "watching at" in said(tmp_path), "the house to stand")
        pids = children(process.pid)
        assert set(pids) == {"broker", "tell", "keep", "see"}
        began_s = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - began_s < 3
        assert not any(alive(pid) for pid in pids.values())
    assert "Traceback" not in said(tmp_path)


@pytest.mark.parametrize("hangs", [False, True], ids=["healthy", "a camera that hangs"])
def test_no_child_outlives_a_house_that_is_killed(tmp_path: Path, hangs: bool) -> None:
    """A camera process that nobody started is the last thing anybody wants."""
    with house(tmp_path, hung_camera(tmp_path) if hangs else PORCH) as process:
        until(lambda: "connected to" in said(tmp_path), "the house to stand")
        time.sleep(1)
        pids = children(process.pid)
        process.kill()
        process.wait(10)
        until(lambda: not any(alive(pid) for pid in pids.values()), "the children to end", 5)


def hung_camera(folder: Path) -> str:
    """A recording that never gives a byte: FFmpeg waits for it and hears no signal."""
    os.mkfifo(folder / "hung.mkv")
    return '[camera]\nsource = "file"\npath = "hung.mkv"\n'


def test_a_camera_that_hangs_does_not_cost_tell_its_goodbye(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Stopped within three seconds, and "offline" said, not left to the last will."""
    with house(tmp_path, hung_camera(tmp_path) + plain(broker.port)) as process:
        phone.wait("status", "no camera")
        began_s = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - began_s < 3
    phone.wait("status", "offline")
    assert phone.said("motion")[-1] == "OFF"


@looks_inside
def test_inv_one_way_the_configuration_is_no_letter_box(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """A taken `see` must not be able to rewrite what `tell` reads at its next start; nor does it know the broker."""
    with house(tmp_path, PORCH + plain(broker.port)) as process:
        phone.wait("status", "watching")
        pids = children(process.pid)
        for name, pid in pids.items():
            memory = [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if "memfd:" in str(fd.readlink())]
            assert len(memory) == 1
            assert (str(broker.port) in memory[0].read_text()) is (name == "tell")
            with pytest.raises(PermissionError), memory[0].open("r+b") as file:
                file.write(b"x")
                file.flush()


def test_a_child_that_dies_is_started_again_and_the_owner_told(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """`see` killed: no camera, then watching again. `tell` killed: offline, then watching again."""
    with house(tmp_path, PORCH + plain(broker.port)) as process:
        phone.wait("status", "watching")
        os.kill(children(process.pid)["tell"], signal.SIGKILL)
        until(lambda: phone.said("status") == ["watching", "offline", "watching"], lambda: f"{phone.said('status')}")
        os.kill(children(process.pid)["see"], signal.SIGSTOP)
        until(lambda: phone.said("status")[-1] == "no camera", "no camera")
        os.kill(children(process.pid)["see"], signal.SIGKILL)
        until(lambda: phone.said("status")[-1] == "watching", "watching again")
        os.kill(children(process.pid)["see"], signal.SIGTERM)
        until(lambda: "see ended (exit status 0)" in said(tmp_path), "see to be missed")
        assert "no camera at front door" in phone.said("alert")
        assert said(tmp_path).count("starting it again") == 3


@looks_inside
def test_watching_writes_nothing_to_any_disk(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """No history, no worn SD card: with alerts coming and going, not one byte is written to a disk."""
    with house(tmp_path, PORCH + plain(broker.port)) as process:
        phone.wait("status", "watching")
        pids = children(process.pid)
        before = {name: _disk_bytes(pid) for name, pid in pids.items()}
        phone.wait("alert", "motion at front door")
        until(lambda: phone.said("motion")[-1] == "OFF", "the visitor to leave", 40)
        assert {name: _disk_bytes(pid) for name, pid in pids.items()} == before
        open_files = {str(fd.readlink()) for pid in pids.values() for fd in Path(f"/proc/{pid}/fd").iterdir()}
    on_disk = {path for path in open_files if path.startswith("/") and not path.startswith(("/dev/", "/memfd:", "/proc/"))}
    assert on_disk <= {str(tmp_path / "run.log")}


def _disk_bytes(pid: int) -> int:
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["write_bytes"])


def test_the_count_of_written_bytes_can_fail(tmp_path: Path) -> None:
    """The check above sees a write when there is one."""
    script = f"import os; f = open({str(tmp_path / 'x')!r}, 'wb'); f.write(b'x' * 9000); f.flush(); os.fsync(f.fileno()); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        until(lambda: _disk_bytes(process.pid) > 0, "a counted write")
        process.communicate(b"\n")


def test_nothing_is_said_on_the_terminal_because_somebody_came(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Logs are kept, dated and read by others: they may hold no event."""
    with house(tmp_path, PORCH + plain(broker.port)) as process:
        until(lambda: "connected to" in said(tmp_path) and "watching at" in said(tmp_path), "the house to stand")
        before = said(tmp_path)
        phone.wait("event", '{"event_type":"motion"}')
        assert said(tmp_path) == before
        process.terminate()


def test_no_camera_ends_the_house_at_its_first_start(tmp_path: Path) -> None:
    """Exit 2, what and why once, and nothing half started left behind."""
    config = tmp_path / "doorstep.toml"
    config.write_text('[camera]\nsource = "v4l2"\ndevice = "/dev/video-none"\n')
    done = doorstep("run", "--config", config, PYTHONWARNINGS="default")  # amqtt's oldest is not free of them
    assert done.returncode == 2
    assert "doorstep: error: /dev/video-none" in done.stderr
    assert "starting it again" not in done.stderr


def test_a_broker_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    """After a power cut the Pi is up before the router."""
    with house(tmp_path, PORCH + plain(free_port())) as process:
        until(lambda: "refuses connections; is the broker running?; trying again" in said(tmp_path), "one line")
        time.sleep(2)
        assert process.poll() is None
        assert said(tmp_path).count("refuses connections") == 1


def test_the_demo_shows_what_the_phone_would_and_ends_by_itself() -> None:
    """The first thing anybody does with the product."""
    began_s = time.monotonic()
    done = doorstep("demo", PYTHONWARNINGS="default")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began_s < 32
    assert "phone: motion at front door" in done.stdout
    assert "All that was sent: " in done.stdout
    assert "\033[" not in done.stdout
    readme = (Path(__file__).parent.parent / "README.md").read_text().partition("    Doorstep demo.")
    promised = (readme[1] + readme[2]).split("\n\n")[0].splitlines()
    shown = [re.sub(r"[ \d.]+ s ", "", line) for line in done.stdout.splitlines()]
    for line in promised:
        assert re.sub(r"[ \d.]+ s ", "", line.removeprefix("    ")) in shown, line
