"""Frames out of recordings: their numbers, their time, and every way in which a file can be bad."""

from __future__ import annotations

import socket
from pathlib import Path

import av
import numpy as np
import pytest

from device.config import Camera
from device.errors import CameraError, ConfigError, RecordingError
from device.replay import Zone
from device.see.camera import Paced, open_camera
from device.see.frame import Frame
from device.see.video import Recording, watch_size


def write_video(path: Path, frames: int = 40, fps: int = 10, size: tuple[int, int] = (160, 120)) -> Path:
    """Write a lossless video whose frame n has the grey value n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "gray"
        for n in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((size[1], size[0]), n, np.uint8), format="gray")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def write_images(folder: Path, frames: int = 12) -> Path:
    folder.mkdir()
    for n in range(frames):
        header = b"P5 160 120 255\n"
        (folder / f"{n}.pgm").write_bytes(header + bytes([n]) * 160 * 120)
    return folder


@pytest.mark.parametrize("write", [lambda p: write_video(p / "a.mkv", 12), lambda p: write_images(p / "a")],
                         ids=["video", "folder"])
def test_frames_come_in_natural_order_with_their_stored_numbers(tmp_path: Path, write: object) -> None:
    """2.png comes before 10.png, and an event names the frame the user can look up."""
    recording = Recording(write(tmp_path))  # type: ignore[operator]
    seen = [(index, int(frame.luma[60, 80]), frame.luma.shape, round(frame.t_s, 6))
            for index, frame in recording.frames(10)]
    recording.close()
    assert seen == [(n, n, (120, 160), n / 10) for n in range(12)]


@pytest.mark.parametrize(("fps", "expected"), [(10, 1), (12, 1), (25, 2.5), (30, 3), (60, 6)])
def test_a_fast_recording_is_looked_at_ten_times_a_second(tmp_path: Path, fps: int, expected: float) -> None:
    """The detector sees what it would see on the device."""
    recording = Recording(write_video(tmp_path / "a.mkv", 120, fps))
    indices = [index for index, _ in recording.frames(10)]
    recording.close()
    assert indices[0] == 0
    assert np.mean(np.diff(indices)) == pytest.approx(expected, rel=0.05)


def test_a_large_picture_is_made_small_by_averaging(tmp_path: Path) -> None:
    """A face at the door is a dozen pixels wide, whatever the file's size."""
    recording = Recording(write_video(tmp_path / "a.mkv", 3, size=(1280, 720)))
    for _, frame in recording.frames(10):
        assert frame.luma.shape == (90, 160)
        assert frame.luma.dtype == np.uint8
    recording.close()
    assert watch_size(360, 240) == (160, 107)
    assert watch_size(1, 10_000) == (160, 640)


def test_what_is_no_recording_is_one_clear_refusal(tmp_path: Path) -> None:
    """A wrong path must not look like a broken program."""
    text, sound, empty = tmp_path / "a.mp4", tmp_path / "a.wav", tmp_path / "empty"
    text.write_text("this is no video")
    empty.mkdir()
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound_frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound_frame.sample_rate = 8000
        container.mux(stream.encode(sound_frame))
        container.mux(stream.encode())
    for path in (text, sound, empty, tmp_path / "missing.mp4"):
        with pytest.raises(RecordingError) as refused:
            Recording(path)
        assert str(path) in refused.value.message


def test_a_recording_that_ends_early_is_said_after_what_it_held(tmp_path: Path) -> None:
    """What was found up to there is right; that there should be more must be said."""
    whole = write_video(tmp_path / "a.mkv", 200)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    recording, seen = Recording(cut), 0
    with pytest.raises(RecordingError, match=r"of about 200 frames|cannot be read"):
        for _ in recording.frames(10):
            seen += 1
    recording.close()
    assert 50 < seen < 150


@pytest.mark.parametrize(("camera", "says"), [
    (Camera(source="v4l2", device="/dev/video-none"), "/dev/video-none"),
    (Camera(source="auto", device="/dev/video-none"), "no camera found"),
    (Camera(source="picamera2"), "picamera2 cannot be loaded"),
])
def test_a_missing_camera_is_one_clear_refusal(camera: Camera, says: str) -> None:
    """The commonest first error there is."""
    with pytest.raises(CameraError, match=says) as refused:
        open_camera(camera)
    assert "try: " in refused.value.hint


def test_recorded_frames_come_in_their_own_time() -> None:
    """In the place of a camera a file must not rush: cooldowns and alerts are in seconds."""
    now_s, slept = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(round(seconds, 6))
        now_s += seconds

    luma = np.zeros((2, 2), np.uint8)
    paced = Paced(iter([Frame(luma, t_s) for t_s in (5.0, 5.1, 5.3)]), clock_s=lambda: now_s, sleep=sleep)
    assert len(list(paced.frames())) == 3
    assert slept == [0.1, 0.2]


def test_the_porch_is_a_camera() -> None:
    """The stand-in passes where the real thing would."""
    camera = open_camera(Camera(source="porch", frames_per_s=30))
    first = next(camera.frames())
    assert (first.luma.shape, first.luma.dtype) == ((120, 160), np.uint8)
    camera.close()
    camera.close()


def test_a_zone_covers_every_pixel_it_touches() -> None:
    """Inclusive corners taken for exclusive ends lose the last row and column."""
    assert Zone.parse("0,0,640,360").watched(640, 360).all()
    mask = Zone.parse("639,359,1,1").watched(640, 360)
    assert mask.sum() == 1
    assert mask[-1, -1]
    assert mask.shape == (90, 160)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,5", "-1,0,5,5", "1.5,0,5,5"])
def test_what_is_no_rectangle_is_refused(text: str) -> None:
    """A zone that watches nothing would be a blind camera."""
    with pytest.raises(ConfigError):
        Zone.parse(text)


def test_a_zone_outside_the_picture_is_refused() -> None:
    """Better an error than an eye on nothing."""
    with pytest.raises(ConfigError, match="640 x 360"):
        Zone.parse("600,0,41,10").watched(640, 360)


def test_inv_see_has_no_network_a_path_is_a_path_and_never_an_address() -> None:
    """FFmpeg takes tcp: and http: for paths; a setting must not make the eye connect to anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        port = server.getsockname()[1]
        for address in (f"tcp://127.0.0.1:{port}", f"tcp:/127.0.0.1:{port}", f"http://127.0.0.1:{port}/x.mp4"):
            with pytest.raises(RecordingError):
                Recording(Path(address))
            with pytest.raises(CameraError):
                open_camera(Camera(source="v4l2", device=address))
        with pytest.raises(TimeoutError):
            server.accept()
