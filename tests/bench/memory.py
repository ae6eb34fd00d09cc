"""What watching costs the device: memory, growth, processor time, and bytes written to its SD card.

Measured, of the real `see`, `tell` and `keep`, each by itself:
- under `doorstep run` on the drawn porch at 10 frames a second, `keep` with an owner's key and mock pins: resident
  memory once all are settled and when the watch is over; bytes written to a disk since they began; the share of one
  core while watching. `see` draws its own pictures here, which no camera would make it do: both include that.
- of `see` and `tell` over 20,000 frames (33 minutes of porch), with time compressed by Paced's own clock: growth, and the
  processor time of a frame with the drawing taken off.
Not measured: libcamera's own memory and time (see the camera rig), lgpio's, `doorstep run` itself, the broker.

Rule 1: a byte written, a process that had to be started again, an alert that did not come or steady growth
        is a fault; a number that is merely large is printed.
Rule 2: the counter of writes is shown to count before its zero is believed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import FRAMES_PER_S, ROOT, Pair, in_memory, see_and_tell, start, stop, word

if TYPE_CHECKING:
    import psutil

    from device.config import Camera as Settings
    from device.see.camera import Camera
    from device.see.frame import Frame

TOML = '[camera]\nsource = "porch"\nframes_per_s = 10.0'
WATCHERS = ("see", "tell", "keep")
SETTLE_S = 3.0  # after "watching": start-up's garbage is collected, the first frames are in
LOOKS = 10  # growth is counted from the first of them on: by then visitors have been, and buffers are made
# 150 frames a second: the porch's 80 visitors, come and gone, stay under the wall's rate, and one core can draw them.
FASTER = 15.0
# Seen: 0.05 to 0.3 MB, a buffer that a rare scene makes larger, once. 1 MB in 18,000 frames is 58 bytes a frame.
GROWTH_MOST_MB = 1.0
PROBE_BYTES = 1 << 16  # a few pages, so that one that was dirty already hides nothing


@dataclass(frozen=True, slots=True)
class Resident:
    """One process: all its pages; and its share of them, where those in common are divided by their users."""

    rss_mb: float
    pss_mb: float

    def __add__(self, other: Resident) -> Resident:
        return Resident(self.rss_mb + other.rss_mb, self.pss_mb + other.pss_mb)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process costs while it watches."""

    settled: Resident
    watched: Resident
    written_bytes: int  # to a disk, since it began
    core_share: float  # of one core, at 10 frames a second


@dataclass(frozen=True, slots=True)
class Memory:
    """All three for `watch_s` seconds, then `see` and `tell` for `frames` frames."""

    watch_s: float
    see: Cost
    tell: Cost
    keep: Cost
    writes_are_counted: bool
    frames: int
    see_growth_mb: float
    tell_growth_mb: float
    see_frame_ms: float  # processor time of a frame in the long run, drawing taken off
    draw_frame_ms: float
    faults: tuple[str, ...]

    @property
    def together(self) -> Resident:
        """All three processes when the watch is over."""
        return self.see.watched + self.tell.watched + self.keep.watched

    @property
    def core_share(self) -> float:
        """What all three take of one core while they watch, drawing taken off."""
        return self.see_frame_ms / 1e3 * FRAMES_PER_S + self.tell.core_share + self.keep.core_share


def measure(watch_s: float, frames: int) -> Memory:
    """Watch for `watch_s` seconds; then look at `frames` frames, a multiple of LOOKS."""
    if os.getuid() != 0:
        raise SystemExit("memory: only root may look into a confined process; try: sudo make bench")
    costs, faults = _watch(watch_s)
    looks, more = _long_run(frames)
    first, last = looks[0], looks[-1]
    see_mb, tell_mb = last.see_mb - first.see_mb, last.tell_mb - first.tell_mb
    faults += more
    faults += tuple(f"{name} grew by {grown_mb:.1f} MB in {last.frames - first.frames} frames"
                    for name, grown_mb in (("see", see_mb), ("tell", tell_mb)) if grown_mb > GROWTH_MOST_MB)
    return Memory(watch_s, *(costs[name] for name in WATCHERS), writes_are_counted(), last.frames, see_mb, tell_mb,
                  last.own_ms_since(first), last.drawing_ms_since(first), faults)


def resident(pid: int) -> Resident:
    """Read the kernel's sum over all mappings of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return Resident(kb["Rss"] / 1024, kb["Pss"] / 1024)


def writes_are_counted() -> bool:
    """Whether this kernel counts a write to the disk that the product's folder is on."""
    import psutil

    ours = psutil.Process()
    before = ours.io_counters().write_bytes
    with tempfile.TemporaryFile(dir=ROOT) as probe:  # it has no name: nobody ever sees it
        probe.write(os.urandom(PROBE_BYTES))
        probe.flush()
        os.fsync(probe.fileno())
    return bool(ours.io_counters().write_bytes >= before + PROBE_BYTES)


# ---- a minute of the real thing


def _watch(watch_s: float) -> tuple[dict[str, Cost], tuple[str, ...]]:
    import psutil

    from tests.keep_rig import owned
    from tests.rig import Mosquitto, Phone, plain

    with in_memory() as folder, Mosquitto(folder) as broker, Phone(broker.port) as phone:
        (folder / "doorstep.toml").write_text(plain(broker.port, TOML)
                                              + '[recording]\nfolder = "state"\npanel = "gpio"\n' + owned())
        house = start(folder, "run", "tests.finger", "run", "--config", str(folder / "doorstep.toml"))
        try:
            phone.wait("status", "watching")
            time.sleep(SETTLE_S)
            children = {name: _child(psutil.Process(house.pid), name) for name in WATCHERS}
            before = {name: (resident(child.pid), _used_s(child), time.monotonic()) for name, child in children.items()}
            time.sleep(watch_s)
            costs = {name: _cost(child, *before[name]) for name, child in children.items()}
        finally:
            stop(house)
        said = (folder / "run.log").read_text()
        faults = [f"{name} wrote {cost.written_bytes} bytes to a disk" for name, cost in costs.items() if cost.written_bytes]
        faults += [line for line in said.splitlines() if "starting it again" in line or "refused" in line]
        faults += [] if phone.said("alert") else ["the porch's visitor was not told"]
        return costs, tuple(faults)


def _child(house: psutil.Process, name: str) -> psutil.Process:
    (found,) = [child for child in house.children() if child.cmdline()[3] == name]
    return found


def _used_s(child: psutil.Process) -> float:
    used = child.cpu_times()
    return float(used.user + used.system)


def _cost(child: psutil.Process, settled: Resident, used_s: float, at_s: float) -> Cost:
    share = (_used_s(child) - used_s) / (time.monotonic() - at_s)
    return Cost(settled, resident(child.pid), child.io_counters().write_bytes, share)


# ---- 20,000 frames


@dataclass(frozen=True, slots=True)
class _Look:
    frames: int
    used_s: float
    drawing_s: float
    see_mb: float
    tell_mb: float

    def drawing_ms_since(self, first: _Look) -> float:
        """Processor time of drawing one frame."""
        return (self.drawing_s - first.drawing_s) / (self.frames - first.frames) * 1e3

    def own_ms_since(self, first: _Look) -> float:
        """Processor time of all else in one frame."""
        return (self.used_s - first.used_s) / (self.frames - first.frames) * 1e3 - self.drawing_ms_since(first)


def _long_run(frames: int) -> tuple[list[_Look], tuple[str, ...]]:
    """Read memory LOOKS times on the way."""
    from tests.rig import Mosquitto, Phone, plain

    step = frames // LOOKS
    with (
        in_memory() as folder,
        Mosquitto(folder) as broker,
        Phone(broker.port) as phone,
        see_and_tell(folder, plain(broker.port, TOML), "tests.bench.memory", str(frames), str(step)) as pair,
    ):
        looks = [_look(pair) for _ in range(LOOKS)]
        faults = pair.faults()
        faults += () if phone.said("alert") else ("nobody was told in the long run",)
        return looks, faults


def _look(pair: Pair) -> _Look:
    number, used_s, drawing_s = word(pair.see)
    see_mb, tell_mb = resident(pair.see.pid).rss_mb, resident(pair.tell.pid).rss_mb
    return _Look(int(number), float(used_s), float(drawing_s), see_mb, tell_mb)


def _counted(frames: Iterator[Frame], most: int, step: int) -> Iterator[Frame]:
    """Pass frames on, and say at every `step` what they cost; then wait, so that memory can be read."""
    drawing_s = 0.0
    for number in range(1, most + 1):
        began_s = time.thread_time()
        frame = next(frames)
        drawing_s += time.thread_time() - began_s
        yield frame
        if number % step == 0:
            print(number, time.process_time(), drawing_s, flush=True)
    os.read(0, 1)


def see(most: int, step: int, arguments: list[str]) -> int:
    """`doorstep see` on a porch whose time runs FASTER."""
    from device import cli
    from device.see import process
    from device.see.camera import Paced
    from device.see.porch import DEMO, Porch

    def fast(settings: Settings) -> Camera:
        porch = Porch(DEMO, frames_per_s=settings.frames_per_s)
        return Paced(_counted(porch.frames(), most, step), clock_s=lambda: time.monotonic() * FASTER,
                     sleep=lambda seconds: time.sleep(seconds / FASTER))

    process.open_camera = fast
    return cli.main(["see", *arguments])


if __name__ == "__main__":
    sys.exit(see(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
