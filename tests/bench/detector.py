"""`make bench-detector`: how good the detector is, beside its peers, on the same frames in the same run.

    python -m tests.bench.detector [--data DIR] [--hours H] [--seed N] [--scene NAME] [--json FILE] [--quick]

For the documents, in this order:

    python -m tests.bench.detector --json tests/bench/results/detector.json
    python -m tests.bench.detector --table README.md

Shown are the rendered scenes of `weather_scenes`, then H hours of weather with nobody there, then, with --data,
annotated recordings (a folder each: a video, and events.json as `weather` writes it).

Rule 1: every sequence is made once and all detectors look at it, one after another.
Rule 2: nothing here decides what is right: `detector_score` has the rules, `weather` and events.json the truth.
Rule 3: a peer that is not installed, or fails, is named as missing; the rest is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: a machine is shared, and the product has one thread

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from device.errors import DoorstepError
from tests.bench import detector_table as table
from tests.bench import peers_files as programs
from tests.bench.detector_scenes import KIND, WEATHER, empty, recorded, recordings, rendered
from tests.bench.detector_scenes import Sequence as Shown
from tests.bench.detector_score import Score, score
from tests.bench.peers import DVR_SCAN, GIVEN, MOTION, alerts, peers
from tests.bench.peers_files import Video
from tests.bench.weather import SCENES

SEED = 7  # any but 0, which the tools that draw these scenes take by default
HOURS = 2.0  # of empty weather: drawing them takes 2 minutes
QUICK = ("day", "overcast", "rain", "ir", "windy", "storm_empty", "insects_empty", "headlights")
QUICK_HOURS = 0.1
WIDTH = 120  # columns, where the output is no terminal

Found = dict[str, dict[str, dict[str, Any]]]  # by sequence and detector: a Score's fields


@dataclass(slots=True)
class Bench:
    """One run: where its files lie, which programs there are, and how far it is."""

    folder: Path
    progress: Progress
    there: dict[str, str | None]  # the programs, and where they are
    failed: dict[str, str] = field(default_factory=dict)  # by program: why it has no numbers
    pace_share: float = 1.0  # the least of Motion's
    waiting: list[tuple[Shown, Video, dict[str, dict[str, Any]]]] = field(default_factory=list)

    def show(self, shown: Shown, films: bool = True) -> dict[str, dict[str, Any]]:
        """Return each detector's score of a sequence; Motion's comes with `play`."""
        found: dict[str, dict[str, Any]] = {}
        for name, step in peers(shown.frames[0][2], shown.frames_per_s, shown.watched).items():
            found[name] = asdict(score(shown.truth, alerts(step, shown.frames, shown.truth.frames)))
        scanner = self._works(DVR_SCAN)
        if films and shown.film is not None and (scanner or self._works(MOTION)):
            video = shown.film(self.folder / f"{len(self.waiting)}-{shown.name}")
            if scanner:
                try:
                    found[DVR_SCAN] = asdict(score(shown.truth, programs.scanned(scanner, video)))
                except RuntimeError as error:
                    self.failed[DVR_SCAN] = str(error)
            shown.frames.clear()  # they wait for Motion without their frames
            self.waiting.append((shown, video, found))
        return found

    def play(self) -> None:
        """Have Motion look at everything that waits for it, and let the files go."""
        motion = self._works(MOTION)
        if motion and self.waiting:
            bar = self.progress.add_task("Motion, in real time", total=len(self.waiting))
            try:
                played = programs.watched_by_motion(motion, [video for _, video, _ in self.waiting], self.folder,
                                                    lambda done: self.progress.update(bar, completed=done))
            except RuntimeError as error:  # ours took ten minutes by now and shall not be lost for it
                self.failed[MOTION] = str(error)
                played = []
            for (shown, _, found), each in zip(self.waiting, played, strict=bool(played)):
                found[MOTION] = asdict(score(shown.truth, each.spans))
                self.pace_share = min(self.pace_share, each.pace_share)
        for _, video, _ in self.waiting:
            video.path.unlink()
        self.waiting.clear()

    def _works(self, program: str) -> str | None:
        return None if program in self.failed else self.there[program]

    def scenes(self, names: Sequence[str], seed: int) -> Found:
        """Show rendered scenes."""
        bar, found = self.progress.add_task("scenes", total=len(names)), Found()
        for name in names:
            self._say(bar, name)
            found[name] = self.show(rendered(name, seed))
        self.play()
        return found

    def recordings(self, folder: Path) -> Found:
        """Show annotated recordings."""
        folders = recordings(folder)
        bar, found = self.progress.add_task("recordings", total=len(folders)), Found()
        for each in folders:
            self._say(bar, each.name)
            found[str(each.relative_to(folder))] = self.show(recorded(each))
        self.play()
        return found

    def empty(self, names: Sequence[str], hours: float, seed: int) -> Found:
        """Show weather with nobody there, the same time of each."""
        bar, found = self.progress.add_task("empty weather", total=len(names)), Found()
        for name in names:
            self._say(bar, name)
            sums: dict[str, Score] = {}
            for stretch in empty(name, hours * 3600 / len(names), seed):
                for detector, fields in self.show(stretch, films=False).items():
                    sums.setdefault(detector, Score()).add(Score(**fields))
            found[name] = {detector: asdict(total) for detector, total in sums.items()}
        return found

    def _say(self, bar: Any, name: str) -> None:
        self.progress.update(bar, advance=1, description=name)
        if self.progress.disable:
            print(f"bench: {name}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("tests.bench.detector", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, metavar="DIR", help="annotated recordings, a folder each")
    parser.add_argument("--hours", type=float, metavar="H", help=f"of weather with nobody there (default: {HOURS:g})")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="of all that is drawn (default: %(default)s)")
    parser.add_argument("--scene", action="append", choices=["none", *sorted(SCENES)], metavar="NAME",
                        help="only this one, or none; may be given more than once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was measured")
    parser.add_argument("--quick", action="store_true", help=f"{len(QUICK)} scenes and {QUICK_HOURS:g} hours")
    parser.add_argument("--keep", type=Path, metavar="FILE",
                        help="programs that are not installed keep their numbers of this measurement of the same seed")
    parser.add_argument("--table", type=Path, metavar="FILE", help="measure nothing: rewrite the table in this document")
    options = parser.parse_args(arguments)
    try:
        if options.table:
            table.MARKED.rewrite(options.table, table.markdown(json.loads(table.RESULT.read_text())))
            return 0
        earlier = json.loads(options.keep.read_text()) if options.keep else None
        document = measure(options)
        if earlier is not None:
            keep(document, earlier)
    except (DoorstepError, OSError, ValueError, RuntimeError) as error:
        print(f"bench: error: {error}\nbench: hint: {getattr(error, 'hint', 'see --help')}", file=sys.stderr)
        return 2
    table.show(Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH), document)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Show everything that was asked for to everybody who is there."""
    hours = options.hours if options.hours is not None else QUICK_HOURS if options.quick else HOURS
    names = [name for name in options.scene or (QUICK if options.quick else SCENES) if name != "none"]
    weather = [name for name in KIND if not options.scene or name in names] if hours > 0 else []
    if options.data:
        recordings(options.data)  # refuses an empty folder now and not after a quarter of an hour
    there = {DVR_SCAN: programs.dvr_scan(), MOTION: programs.motion()}
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder, Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    ) as progress:
        bench = Bench(Path(folder), progress, there)
        scenes = bench.scenes(names, options.seed)
        found = bench.empty(weather, hours, options.seed + 1)  # not the seed of the scenes above: new weather
        real = bench.recordings(options.data) if options.data else {}
    for program in bench.failed:  # a part of its numbers would be no comparison
        for detectors in (*scenes.values(), *real.values()):
            detectors.pop(program, None)
    # The programs are too slow for hours: they have the scenes above in which nobody comes.
    for name in KIND:
        for program in (DVR_SCAN, MOTION):
            fields = scenes.get(name, {}).get(program)
            if fields and not fields["events"]:
                found.setdefault(name, {})[program] = fields
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "versions": _versions(there),
        "seed": options.seed,
        "hours": hours,
        "given": GIVEN,
        "motion_pace_share": round(bench.pace_share, 3),
        "missing": {name: "it is not installed" for name, program in there.items() if program is None} | bench.failed,
        "scenes": scenes,
        "empty": {kind: {name: found[name] for name in members if name in found}
                  for kind, members in WEATHER.items() if any(name in found for name in members)},
        "recordings": real,
    }


def keep(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    """Give programs that are missing their numbers of an earlier measurement. ValueError if that is of another seed."""
    if earlier["seed"] != document["seed"]:
        raise ValueError(f"the earlier measurement is of seed {earlier['seed']}: must be {document['seed']}, of the same scenes")
    pairs = [(document["scenes"], earlier["scenes"]),
             *((document["empty"].get(kind, {}), scenes) for kind, scenes in earlier["empty"].items())]
    for name in [name for name in (DVR_SCAN, MOTION) if name in document["missing"] and name in earlier["versions"]]:
        for now, then in pairs:
            for scene in now.keys() & then.keys():
                if name in then[scene]:
                    now[scene][name] = then[scene][name]
        document["versions"][name] = earlier["versions"][name]
        document.setdefault("kept", {})[name] = earlier.get("kept", {}).get(name, earlier["date"])
        del document["missing"][name]
        if name == MOTION:
            document["motion_pace_share"] = earlier["motion_pace_share"]


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith(("model name", "Model"))), platform.machine())
    return {"name": name, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def _versions(there: dict[str, str | None]) -> dict[str, str]:
    import cv2

    return {"numpy": np.__version__, "opencv": cv2.__version__,
            **{name: programs.version(program) for name, program in there.items() if program}}


if __name__ == "__main__":
    sys.exit(main())
