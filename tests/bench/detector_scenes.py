"""What the detectors are shown: rendered scenes, long empty weather, and annotated recordings of a folder.

Rule 1: a sequence is made once; all detectors get these frames, and programs get the same scene as a file.
Rule 2: nothing is kept: frames live in memory until the next sequence, files in a folder that goes with the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from device.config import Camera
from device.errors import RecordingError
from device.replay import Zone
from device.see.frame import Grey, Watched
from device.see.porch import Porch
from device.see.video import Recording
from tests.bench.detector_score import Truth
from tests.bench.peers_files import Video
from tests.bench.weather import SCENES, hours, porch, truth

PACE_PER_S = Camera().frames_per_s  # the product's
LARGE_PX = 320  # width for the programs: they are made for more than 160, and drawing 640 would take an hour
AT_MOST_S = 600.0  # of one stretch of weather: 6,000 frames are 115 MB in memory
VIDEO = {".avi", ".mp4", ".mkv", ".mpg", ".mpeg", ".mov", ".webm"}

# Scenes whose weather is let run for hours with nobody there. Scenes in which a cat, a car or a bag comes are no
# weather; those with the same effects at the same strength by day as another are left out.
WEATHER: dict[str, tuple[str, ...]] = {
    "sun and grey sky": ("day_empty", "overcast"),
    "clouds, sun in and out": ("clouds_empty", "sun_in_out", "sun_steps", "sun_told"),
    "wind": ("windy", "storm_empty", "branch_empty", "branch_ir_empty", "flag_empty"),
    "a shaking mount": ("shaking", "shaking_empty"),
    "rain": ("rain", "rain_empty", "rain_ir"),
    "snow": ("snow", "snow_ir_empty"),
    "night and infrared": ("night_empty", "ir_empty", "night_noise"),
    "lamps and headlights": ("ir_cut_empty", "headlights_empty", "lamp_empty", "flicker_empty"),
    "insects and webs": ("insects_empty", "web", "web_day_empty"),
}
KIND = {name: kind for kind, names in WEATHER.items() for name in names}


@dataclass(frozen=True, slots=True)
class Sequence:
    """Frames in memory, what is true of them, and how the same is written as a file of LARGE_PX."""

    name: str
    truth: Truth
    frames_per_s: float
    frames: list[tuple[int, float, Grey]]  # stored number, time in seconds, 160 wide
    watched: Watched | None = None
    film: Callable[[Path], Video] | None = None


def rendered(name: str, seed: int) -> Sequence:
    """The scene of that name."""
    stage = porch(name, seed)

    def film(folder: Path) -> Video:
        large = porch(name, seed, LARGE_PX, LARGE_PX * 3 // 4)
        count = write(folder / "video.mkv", (frame.luma for frame in large.frames()), PACE_PER_S)
        return Video(folder / "video.mkv", LARGE_PX, LARGE_PX * 3 // 4, PACE_PER_S, range(count), count)

    return Sequence(name, Truth.parse(truth(stage)), PACE_PER_S, _taken(stage), None, film)


def empty(name: str, seconds: float, seed: int) -> Iterator[Sequence]:
    """The named weather with nobody, in stretches of AT_MOST_S, each from a seed of its own."""
    number = 0
    while seconds >= 1.0:
        stretch_s = min(seconds, AT_MOST_S)
        stage = Porch(hours(name, stretch_s, seed + number), seed + number, frames_per_s=PACE_PER_S)
        spec = truth(stage)
        assert not spec["events"], f"{name}: somebody comes, so it is no empty weather"
        yield Sequence(name, Truth.parse(spec), PACE_PER_S, _taken(stage))
        seconds, number = seconds - stretch_s, number + 1


def recordings(folder: Path) -> list[Path]:
    """The sequences below a folder: an events.json beside a video each. RecordingError where there is none."""
    found = sorted(path.parent for path in folder.rglob("events.json"))
    if not found:
        raise RecordingError(f"{folder}: no events.json below it", "one folder per sequence, events.json beside a video")
    return found


def recorded(folder: Path) -> Sequence:
    """One of them, decoded as `doorstep replay` does. RecordingError where it has no video, or one that breaks."""
    spec = json.loads((folder / "events.json").read_text())
    known = Truth.parse(spec)
    path = next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in VIDEO), None)
    if path is None:
        raise RecordingError(f"{folder}: there is no video in it", "put one beside events.json: " + " ".join(sorted(VIDEO)))
    recording = Recording(path, known.frames_per_s)
    zone = Zone(*spec["zone"]) if spec.get("zone") else None
    size_px = recording.width_px, recording.height_px
    try:
        frames = [(number, frame.t_s, frame.luma.copy()) for number, frame in recording.frames(PACE_PER_S)]
    finally:
        recording.close()
    # Recording lets up to a quarter more than the pace through as it is
    pace = known.frames_per_s if known.frames_per_s <= 1.25 * PACE_PER_S else PACE_PER_S
    numbers = [number for number, _, _ in frames]

    def film(into: Path) -> Video:
        wide = min(LARGE_PX, size_px[0])
        high = round(wide * size_px[1] / size_px[0])
        area = _scaled(zone, wide / size_px[0], high / size_px[1]) if zone else None
        write(into / "video.mkv", _larger(path, set(numbers), wide, high, area), pace)
        return Video(into / "video.mkv", wide, high, pace, numbers, known.frames, area)

    return Sequence(folder.name, known, pace, frames, zone.watched(*size_px) if zone else None, film)


def write(path: Path, pictures: Iterable[Grey], frames_per_s: float) -> int:
    """Write grey pictures, losslessly, and return how many there were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, stream = 0, None
    with av.open(str(path), "w") as container:
        for luma in pictures:
            count += 1
            if stream is None:
                stream = container.add_stream("ffv1", rate=Fraction(frames_per_s).limit_denominator(1000))
                stream.height, stream.width, stream.pix_fmt = *luma.shape, "gray"
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(luma), format="gray")))
        if stream is not None:
            container.mux(stream.encode())
    return count


def _taken(stage: Porch) -> list[tuple[int, float, Grey]]:
    return [(number, frame.t_s, frame.luma.copy()) for number, frame in enumerate(stage.frames())]


def _scaled(zone: Zone, across: float, down: float) -> tuple[int, int, int, int]:
    """A zone in a smaller picture, any touched pixel in."""
    left, top = int(zone.x_px * across), int(zone.y_px * down)
    right, bottom = -int(-(zone.x_px + zone.width_px) * across // 1), -int(-(zone.y_px + zone.height_px) * down // 1)
    return left, top, right - left, bottom - top


def _larger(path: Path, wanted: set[int], wide: int, high: int, zone: tuple[int, int, int, int] | None) -> Iterator[Grey]:
    """The wanted frames of a video, grey, averaged to that size, black outside the zone."""
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            if number in wanted:
                small = picture.reformat(wide, high, "gray", interpolation="AREA").to_ndarray()
                if zone is not None:
                    x, y, width, height = zone
                    kept = np.zeros_like(small)
                    kept[y : y + height, x : x + width] = small[y : y + height, x : x + width]
                    small = kept
                yield small


assert set(KIND) <= set(SCENES), "weather names scenes that are gone"
