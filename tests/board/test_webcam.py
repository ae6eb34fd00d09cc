"""A webcam as the kernel has them: at the door, pulled out, put back, damaged, in other hands."""

from __future__ import annotations

from collections.abc import Callable

from device.tell.words import Status
from tests.board.door import BROKER, WEBCAM, Door
from tests.board.rig import DOORSTEP, Board

REPLUG = "modprobe -r vivid && modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0 && udevadm settle"


def test_what_moves_before_a_webcam_is_told(board: Board, door: Callable[..., Door]) -> None:
    """The way from a real camera node to the phone. Who comes to this door is as thin as a post."""
    board.run("v4l2-ctl -d /dev/video0 -c osd_text_mode=2,test_pattern=19")  # no clock in the picture; a cross
    opened = door()
    opened.says("status", Status.WATCHING.value)
    board.run("sleep 5; v4l2-ctl -d /dev/video0 -c horizontal_movement=4")  # it has learned the place by then
    opened.says("motion", "ON")
    assert opened.said("alert") == ["motion at front door"]


def test_a_webcam_that_is_pulled_out_is_told_and_one_that_is_put_back_watches_again(
        board: Board, door: Callable[..., Door]) -> None:
    """Pulling the plug is what somebody does who does not want to be seen."""
    opened = door()
    opened.says("status", Status.WATCHING.value)
    board.run("v4l2-ctl -d /dev/video0 -c disconnect=1")
    opened.says("status", Status.NO_CAMERA.value)
    assert "was it unplugged?" in opened.log()
    board.run(REPLUG)
    opened.says("status", Status.WATCHING.value)
    assert opened.log().count("see: watching") == 2


def test_a_damaged_frame_is_no_unplugging(board: Board, door: Callable[..., Door]) -> None:
    """USB damages one now and then; an alert for each would be one too many."""
    opened = door()
    opened.says("status", Status.WATCHING.value)
    for _ in range(3):
        board.run("v4l2-ctl -d /dev/video0 -c inject_v4l2_buf_flag_error=1; sleep 1")
    board.run("sleep 6")  # more than the silence that counts as a loss
    assert opened.said("status") == [Status.WATCHING.value]
    assert opened.stop() == 0
    assert "Traceback" not in opened.log()


def test_a_webcam_that_another_program_uses_is_said_to_be_and_nothing_starts(board: Board) -> None:
    """The owner who forgot a video call must not search for a broken cable."""
    board.start("exec v4l2-ctl -d /dev/video0 --stream-mmap > /run/frames 2>&1")  # a mark for each
    board.put("/run/doorstep.toml", f"{WEBCAM}\n{BROKER}\n")
    board.run("until [ -s /run/frames ]; do sleep 0.2; done")
    process = board.start(f"cd /run && exec {DOORSTEP} run").wait()
    assert process.status == 2, process.output
    assert "another program has it" in process.output


def test_a_stopped_house_says_goodbye_and_lets_the_webcam_go(board: Board, door: Callable[..., Door]) -> None:
    """A service that does not stop is killed, and its camera may hang until the next start of the machine."""
    opened = door()
    opened.says("status", Status.WATCHING.value)
    assert opened.stop() == 0
    board.until(lambda: opened.said("status")[-1] == Status.OFFLINE.value, "a goodbye", every_s=0.5)
    board.run("v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=1 --stream-to=/dev/null")
    assert "Traceback" not in opened.log()
