"""The record button on the board: real gpiozero and lgpio, a real camera node, clips on a real disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pyrage

from device.tell.words import Status
from tests.board.door import BROKER, WEBCAM, Door
from tests.board.rig import DOORSTEP, LIGHT, Board

CLIPS = "/var/lib/doorstep/clips"
OWNER = pyrage.x25519.Identity.generate()
RECORDING = f"""[recording]
recipients = ["{OWNER.to_public()}"]
folder = "/var/lib/doorstep"
panel = "gpio"
width_px = 320
height_px = 180
bitrate_mbit = 0.5"""  # what an emulated processor can encode
HOLDER = "import lgpio, time; lgpio.gpio_claim_output(lgpio.gpiochip_open(0), {pin}, 0); print(flush=True); time.sleep(600)"


def names(board: Board) -> list[str]:
    return board.run(f"ls {CLIPS} 2>/dev/null || true").split()


def opened(clip: bytes, folder: Path) -> Path:
    """Return the clip as the owner has it, by Debian's own age."""
    (folder / "key").write_text(str(OWNER))
    (folder / "clip.age").write_bytes(clip)
    subprocess.run(["age", "-d", "-i", folder / "key", "-o", folder / "clip.ts", folder / "clip.age"], check=True)
    return folder / "clip.ts"


def test_a_press_records_what_the_camera_sees_and_a_press_ends_it(
        board: Board, door: Callable[..., Door], tmp_path: Path) -> None:
    """The one case in which video exists, with a finger, a lamp and a camera as the kernel has them."""
    board.run("v4l2-ctl -d /dev/video0 -c osd_text_mode=2")  # eight bars of colour and no clock
    house = door(RECORDING)
    house.says("status", Status.WATCHING.value)
    assert not board.lit()
    board.press()
    board.until(board.lit, "the light to be on")
    house.says("recording", "ON")
    clip = f"{CLIPS}/clip-000001.ts.age"
    board.until(lambda: int(board.run(f"stat -c %s {clip} 2>/dev/null || echo 0")) > 70_000, "a clip to grow", every_s=0.5)
    assert board.lit()
    board.press()
    house.says("recording", "OFF")
    board.until(lambda: not board.lit(), "the light to be off")
    assert names(board) == ["clip-000001.statement", "clip-000001.ts.age", "device.pub"]
    assert "whole and unaltered" in board.run(f"{DOORSTEP} clips verify {CLIPS}")
    assert house.said("alert") == ["recording at front door"]

    video = opened(board.get(clip), tmp_path)
    probe = json.loads(subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_streams", video], check=True,
                                      capture_output=True).stdout)["streams"]
    assert [(stream["codec_name"], stream["width"], stream["height"]) for stream in probe] == [("h264", 320, 180)]
    with av.open(str(video)) as container:
        pictures = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]
    assert len(pictures) > 5
    bars = np.array([picture[90, 20::40] for picture in pictures]).astype(int)  # one pixel within each
    assert (np.diff(bars, axis=1) < 0).all(), "the bars grow darker from left to right"


def test_holding_the_button_closes_the_camera_until_it_is_held_again(board: Board, door: Callable[..., Door]) -> None:
    """Whoever sits at the door with the owner can see that nobody watches."""
    open_cameras = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c /dev/video0 || true"
    house = door(RECORDING)
    house.says("status", Status.WATCHING.value)
    assert board.run(open_cameras) != "0\n"
    board.press(3.5)
    house.says("status", Status.PAUSED.value)
    assert 3 <= board.blinks() <= 8, "slow is a second on and a second off"
    assert board.run(open_cameras) == "0\n"
    board.press(3.5)
    house.says("status", Status.WATCHING.value)
    assert board.blinks() == 0
    assert not board.lit()
    assert [name for name in names(board) if name.startswith("clip")] == []


def test_where_another_program_holds_the_light_nothing_starts(board: Board) -> None:
    """A light that others switch would say nothing of a recording."""
    board.put("/run/doorstep.toml", "\n".join([WEBCAM, BROKER, RECORDING, ""]))
    board.start(f"cd /run && exec /opt/doorstep/bin/python -c '{HOLDER.format(pin=LIGHT)}' > held")
    board.run("until [ -s /run/held ]; do sleep 0.2; done")
    process = board.start(f"cd /run && exec {DOORSTEP} run").wait()
    assert process.status == 2, process.output
    assert f"no button and light at pins 17 and {LIGHT}" in process.output
    assert names(board) == []


def test_the_first_set_up_lights_the_light_and_finds_the_button(board: Board) -> None:
    """A wire in the wrong hole is found with the case still open."""
    board.run("mkdir -p /run/setup")
    board.put("/run/setup/doorstep.toml", f"{WEBCAM}\n{RECORDING}\n")
    board.put("/run/setup/answers.toml", "button = true\n")
    assert not board.lit()
    setup = board.start(f"cd /run/setup && RUNTIME_DIRECTORY=$PWD exec {DOORSTEP} setup --answers answers.toml button 2>&1")
    board.until(lambda: board.lit() or setup.ended(), "the light to be on")
    board.press()
    assert "Button and light work." in setup.wait().output
    assert setup.status == 0 and not board.lit()
