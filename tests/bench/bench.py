"""`make bench`: speed, latency, memory and writes of the product, as ratios within one run.

    python -m tests.bench.bench [--quick] [--json] [speed] [latency] [memory] [recording]
    python -m tests.bench.bench --table README.md

What each part measures, and what it does not, stands at the head of its file. A single figure says as
much about this machine and its load as about the product; a ratio, an aim and a fault do not.

Rule 1: this is the only file that prints a result; a part returns a value.
Rule 2: exit status 1 means that the product misbehaved; a slow machine or an aim that is missed is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench import FRAMES_PER_S, latency, memory, recording, speed, speed_table
from tests.bench.latency import Latency
from tests.bench.memory import Cost, Memory
from tests.bench.recording import MBIT_PER_S, RESIDENT_AIM_MB, Recording
from tests.bench.speed import Speed

# In full: 200 motions for a p99 that two of them stand for, and 20,000 frames, half an hour at the door.
# Quick: 10 s a part, for whoever changes something; its p99 is merely the slowest of 12.
FULL = {"speed_s": 30.0, "motions": 200, "watch_s": 60.0, "frames": 20_000, "record_s": 60.0}
QUICK = {"speed_s": 10.0, "motions": 12, "watch_s": 10.0, "frames": 2_000, "record_s": 8.0}
LATENCY_AIM = 3.0  # times a bare publish at p99: two processes and a policy more may not be felt
MEMORY_AIM_MB = 150.0  # all three processes, pages in common counted thrice: less than a third of a Pi Zero 2 W's 512 MB
CORE_AIM = 0.05  # of one core, all three
BUSY_LOAD = 0.5  # tasks that ran before we did; beyond it single figures are the neighbours' too
WIDTH = 100  # columns, where the output is no terminal

Part = Speed | Latency | Memory | Recording


@dataclass(frozen=True, slots=True)
class Aim:
    """One thing the product means to reach."""

    what: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """What ran this, and how busy it was before us."""

    name: str
    cores: int
    python: str
    numpy: str
    load: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("tests.bench.bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help="speed, latency, memory, recording (default: all)")
    parser.add_argument("--quick", action="store_true", help="about 10 s a part")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--table", type=Path, metavar="FILE", help="measure nothing: rewrite the table in this document")
    options = parser.parse_args(arguments)
    if options.table:
        speed_table.MARKED.rewrite(options.table, speed_table.markdown(json.loads(speed_table.RESULT.read_text())))
        return 0
    much = QUICK if options.quick else FULL
    known: dict[str, Callable[[], Part]] = {
        "speed": lambda: speed.measure(much["speed_s"]),
        "latency": lambda: latency.measure(int(much["motions"])),
        "memory": lambda: memory.measure(much["watch_s"], int(much["frames"])),
        "recording": lambda: recording.measure(much["record_s"]),
    }
    for name in options.parts:
        if name not in known:
            parser.error(f"no part is called {name}: there are {', '.join(known)}")
    machine, parts, faults = _machine(), dict[str, Part](), list[str]()
    for name in options.parts or known:
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        try:
            parts[name] = known[name]()
        except (AssertionError, RuntimeError, subprocess.SubprocessError, psutil.Error) as error:
            faults.append(f"{name}: {error}")  # a process that did not start, or ended, or never said its word
        else:
            faults += [f"{name}: {fault}" for fault in parts[name].faults]
    aims = [aim for part in parts.values() for aim in _aims(part)]
    if options.json:
        print(json.dumps({"date": datetime.now(UTC).date().isoformat(), "machine": asdict(machine), "quick": options.quick, "aims": [asdict(aim) for aim in aims],
                          "faults": faults, **{name: _document(part) for name, part in parts.items()}}, indent=1))
    else:
        _show(machine, list(parts.values()), aims, faults)
    return 1 if faults else 0


def _machine() -> Machine:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith(("model name", "Model"))), platform.machine())
    return Machine(name, len(os.sched_getaffinity(0)), platform.python_version(), np.__version__, os.getloadavg()[0])


def _document(part: Part) -> dict[str, object]:
    """A part's fields, and what it derives from them."""
    derived = {name: getattr(part, name) for name, value in vars(type(part)).items() if isinstance(value, property)}
    return asdict(part) | {name: value if isinstance(value, (tuple, float)) else asdict(value) for name, value in derived.items()}


def _aims(part: Part) -> list[Aim]:
    match part:
        case Speed():
            pixels, time = part.growth
            return [Aim("the detector's time grows no faster than the pixels",
                        f"{pixels:.0f} x the pixels, {time:.1f} x the time", time <= pixels)]
        case Latency():
            ratio = part.alert_ratio.p99
            return [Aim(f"an alert's p99 is at most {LATENCY_AIM:g} x a bare publish's", f"{ratio:.1f} x ({part.motions} motions)", ratio <= LATENCY_AIM)]
        case Memory():
            grown_mb = part.see_growth_mb + part.tell_growth_mb
            written = part.see.written_bytes + part.tell.written_bytes + part.keep.written_bytes
            return [
                Aim(f"see, tell and keep take at most {MEMORY_AIM_MB:g} MB together", f"{part.together.rss_mb:.0f} MB",
                    part.together.rss_mb <= MEMORY_AIM_MB),
                Aim(f"and {CORE_AIM:.0%} of a core, drawing taken off", f"{part.core_share:.1%}", part.core_share <= CORE_AIM),
                Aim("see and tell do not grow", f"{grown_mb:+.2f} MB in {part.frames:,} frames", grown_mb <= memory.GROWTH_MOST_MB),
                Aim("nothing is written to a disk", f"{written} bytes" if part.writes_are_counted else "not counted here",
                    part.writes_are_counted and not written),
            ]
        case Recording():
            return [Aim(f"keep takes at most {RESIDENT_AIM_MB:g} MB while it records", f"{part.recording_mb:.0f} MB",
                        part.recording_mb <= RESIDENT_AIM_MB)]


# ---- for people


def _show(machine: Machine, parts: list[Part], aims: list[Aim], faults: list[str]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    busy = "; busy: only ratios mean something" if machine.load > BUSY_LOAD else ""
    console.print(f"{machine.name}, {machine.cores} cores, Python {machine.python}, numpy {machine.numpy}, "
                  f"load {machine.load:.1f} before{busy}")
    for part in parts:
        match part:
            case Speed():
                _show_speed(console, part)
            case Latency():
                _show_latency(console, part)
            case Memory():
                _show_memory(console, part)
            case Recording():
                _show_recording(console, part)
    _table(console, "Aims", ("", "found", ""), [
        (aim.what, aim.found, "[green]met[/]" if aim.met else "[yellow]missed[/]") for aim in aims
    ])
    for fault in faults:
        console.print(f"[red]fault:[/] {escape(fault)}")


def _table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(f"\n[bold]{title}[/]")
    console.print(table)


def _show_speed(console: Console, part: Speed) -> None:
    names = list(part.sizes[0].per_frame_us)
    sizes = [f"{size.width_px} x {size.height_px} {size.scene}" for size in part.sizes]
    _table(console, "Speed: processor time per frame, microseconds", ["frame", *names], [
        (label, *(f"{size.per_frame_us[name]:,.0f}" for name in names)) for label, size in zip(sizes, part.sizes, strict=True)
    ])
    _table(console, "The same, as multiples of the detector's", ["frame", *names], [
        (label, *(f"{size.detectors_each[name]:.2g} x" for name in names)) for label, size in zip(sizes, part.sizes, strict=True)
    ])


def _show_latency(console: Console, part: Latency) -> None:
    title = f"Latency: from the frame to the subscriber, {part.motions} motions, in turn with as many bare publishes"
    _table(console, title, ("", "p50", "p99", "p50 / bare", "p99 / bare"), [
        *((name, f"{found.p50_ms:.2f} ms", f"{found.p99_ms:.2f} ms", f"{ratio.p50:.1f} x", f"{ratio.p99:.1f} x")
          for name, found, ratio in (("alert", part.alert, part.alert_ratio), ("motion ON", part.motion, part.motion_ratio))),
        ("of these, in the detector", f"{part.step.p50_ms:.2f} ms", f"{part.step.p99_ms:.2f} ms"),
        ("bare publish", f"{part.bare.p50_ms:.2f} ms", f"{part.bare.p99_ms:.2f} ms"),
    ])
    console.print(f"The detector was sure at frame {part.patience_frames:g} with somebody in it; the camera's wait for "
                  "those frames is not in these figures.")


def _show_memory(console: Console, part: Memory) -> None:
    rows: tuple[tuple[str, Cost, str], ...] = (("see, with drawing", part.see, f"{part.see_growth_mb:+.2f}"),
                                             ("tell", part.tell, f"{part.tell_growth_mb:+.2f}"), ("keep", part.keep, ""))
    began, ended = part.see.settled + part.tell.settled + part.keep.settled, part.together
    title = f"Memory and writes: {part.watch_s:.0f} s of watching, then {part.frames:,} frames"
    _table(console, title, ("MB", "at first", "after", "its share", "growth", "written", "of a core"), [
        *((name, f"{cost.settled.rss_mb:.1f}", f"{cost.watched.rss_mb:.1f}", f"{cost.watched.pss_mb:.1f}",
           grown_mb, f"{cost.written_bytes} B", f"{cost.core_share:.1%}") for name, cost, grown_mb in rows),
        ("together", f"{began.rss_mb:.1f}", f"{ended.rss_mb:.1f}", f"{ended.pss_mb:.1f}"),
    ])
    share = part.see_frame_ms * FRAMES_PER_S / 1e3
    console.print(f"A frame costs see {part.see_frame_ms:.2f} ms of processor time without drawing ({part.draw_frame_ms:.2f} "
                  f"ms): {share:.1%} of a core at {FRAMES_PER_S:.0f} frames a second.")


def _show_recording(console: Console, part: Recording) -> None:
    _table(console, f"Recording: {part.seconds:.0f} s at {MBIT_PER_S:g} Mbit/s", ("keep", "resident", "of a core"), [
        ("waiting", f"{part.idle_mb:.1f} MB", f"{part.idle_share:.1%}"),
        ("recording", f"{part.recording_mb:.1f} MB", f"{part.core_share:.1%}"),
        ("of that, age by itself", "", f"{part.age_core_share:.1%}"),
    ])


if __name__ == "__main__":
    sys.exit(main())
