"""Weather for the benchmarks: every scene of `weather_scenes` with ground truth, as frames or video files.

    python -m tests.bench.weather OUT_DIR [--scene NAME] [--seconds N] [--seed N]
                                  [--width N] [--height N] [--fps N]

Rule 1: video is lossless (FFV1), so that what is measured is the scene and not a codec.
Rule 2: events.json holds the ground truth: events, what is to be ignored, and what moves but is nobody.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av

from device.see.porch import Light, Mark, Porch, Scene, Visit, Way
from tests.bench.weather_scenes import SCENES

__all__ = ["SCENES", "Truth", "hours", "porch", "truth", "write"]
WAYS = (Way.DRIVE, Way.STREET, Way.NEAR, Way.PASS)
Truth = dict[str, object]


def porch(
    name: str, seed: int = 0, width_px: int = 160, height_px: int = 120, frames_per_s: float = 10.0
) -> Porch:
    """The named scene's porch, ready to render. KeyError for an unknown name."""
    return Porch(SCENES[name], seed, width_px, height_px, frames_per_s)


def hours(name: str, seconds: float, seed: int = 0, visit_every_s: float | None = None) -> Scene:
    """The named scene's weather for as long as wanted, with nobody, or a visitor every so often.

    For false alarms an hour: `Porch(hours("rain", 3600), seed)`. Times, ways and speeds follow from the seed.
    """
    scene = SCENES[name]
    visits = []
    if visit_every_s is not None:
        import numpy as np

        r, at_s = np.random.default_rng([seed, 91]), 10.0
        while at_s < seconds - 15.0:
            way = WAYS[int(r.integers(0, len(WAYS)))]
            visits.append(
                Visit(at_s, way, float(r.uniform(0.9, 1.8)), float(r.uniform(1.0, 8.0)), what=way.value)
            )
            at_s += visit_every_s * float(r.uniform(0.7, 1.3))
    return replace(scene, seconds=seconds, visits=tuple(visits))


def truth(stage: Porch) -> Truth:
    """Ground truth: events, ignored edges, nuisance. Needs a scene that ends."""
    scene, fps = stage.scene, stage.frames_per_s
    if scene.seconds is None:
        raise ValueError("the scene is endless: give it seconds")
    frames = int(scene.seconds * fps)
    any_part, well = stage.visits, stage.well_in_view()
    events: list[Mark] = [Mark(*span) for span in well]
    ignore: list[Mark] = []
    for start, end, what in any_part:
        inner = [span for span in well if span[0] >= start and span[1] <= end]
        if not inner:
            ignore.append(Mark(start, end, f"{what}: few pixels"))
            continue
        if start < inner[0][0]:
            ignore.append(Mark(start, inner[0][0] - 1, "edge"))
        if end > inner[-1][1]:
            ignore.append(Mark(inner[-1][1] + 1, end, "edge"))
    nuisance: list[Mark] = []
    for run in stage.runs:
        for into, more in zip((events, ignore, nuisance), run.marks(stage.view, frames), strict=True):
            into.extend(more)
    if scene.effects or scene.light in (Light.NIGHT, Light.IR):
        nuisance.append(Mark(0, frames - 1, scene.what))
    return {
        "fps": fps,
        "frames": frames,
        "events": [asdict(mark) for mark in merged(events)],
        "ignore": [asdict(mark) for mark in sorted(ignore, key=lambda mark: mark.start)],
        "nuisance": [asdict(mark) for mark in nuisance],
        "source": [f"rendered by tests/bench/weather.py, seed {stage.seed}: {scene.what}"],
    }


def merged(marks: list[Mark]) -> list[Mark]:
    """Overlapping events are one: nobody can tell them apart by their alerts."""
    out: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: mark.start):
        if out and mark.start <= out[-1].end + 1:
            what = out[-1].what if mark.what in out[-1].what else f"{out[-1].what}; {mark.what}"
            out[-1] = Mark(out[-1].start, max(mark.end, out[-1].end), what)
        else:
            out.append(mark)
    return out


def write(stage: Porch, folder: Path) -> Iterator[int]:
    """Write video.mkv and events.json into `folder`; yields each frame's number as it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.json").write_text(json.dumps(truth(stage), indent=1) + "\n")
    with av.open(str(folder / "video.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(stage.frames_per_s).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = stage.view.cols, stage.view.rows, "gray"
        for index, frame in enumerate(stage.frames()):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.luma, format="gray")))
            yield index
        container.mux(stream.encode())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--scene", action="append", choices=sorted(SCENES), help="may be given more than once; default: all"
    )
    parser.add_argument("--seconds", type=float, help="cut or lengthen the scenes; later visits are dropped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--height", type=int, default=120)
    parser.add_argument("--fps", type=float, default=10.0)
    args = parser.parse_args()
    names = args.scene or list(SCENES)
    for number, name in enumerate(names, 1):
        scene = SCENES[name]
        if args.seconds is not None:
            kept = tuple(visit for visit in scene.visits if visit.at_s < args.seconds)
            scene = replace(scene, seconds=args.seconds, visits=kept)
        stage = Porch(scene, args.seed, args.width, args.height, args.fps)
        total, began = int((scene.seconds or 0) * args.fps), time.monotonic()
        for index in write(stage, args.out / name):
            if index % 50 == 0 or index == total - 1:
                print(
                    f"\r[{number}/{len(names)}] {name:20s} {index + 1:5d}/{total}",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
        print(f"  {time.monotonic() - began:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
