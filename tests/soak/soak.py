"""`make soak`: a door for hours, to which anything happens, in an order that a seed decides.

    python -m tests.soak.soak [--minutes 30] [--seed 1] [--save FILE]

The real `doorstep run` with its three confined processes, a real Mosquitto, a phone with a session, mock pins and clips in
a small memory disk. Visitors come, the button is pressed and held, the broker goes, the camera hangs or is unplugged, each
process is killed and stopped, the disk is full, the clock jumps; frames come at four times their pace.

Rule 1: each thing that happens has its own law, below; `Door.laws` holds at all times.
Rule 2: whatever is told must have a cause: a visitor is told once, late where the broker was away, and nothing else is.
Not here: a power cut (tests/power), systemd (tests/board).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import ROOT
from tests.rig import Mosquitto, Phone, doorstep, until
from tests.soak.door import MOTION, NAMES, Door
from tests.soak.eye import HANG, UNPLUG, WALK

RESULT = ROOT / "tests" / "bench" / "results" / "soak.json"
DISK_MB = 64
TOLD_WITHIN_S = 10.0
BACK_WITHIN_S = 75.0  # the longest watchdog, the longest wait before a start, and the start
ONCE_S = 1.5  # for a second alert that should not be
RECONNECTS_WITHIN_S = 75.0

Happening = Callable[[Door, random.Random], None]


def visit(door: Door, _: random.Random) -> None:
    """Somebody walks past: told once."""
    mark = len(door.phone.got)
    door.order(WALK)
    until(lambda: door.motions(mark), "a visitor was not told", TOLD_WITHIN_S)
    time.sleep(5.5)  # the walk, and the rest after it
    assert door.motions(mark) == 1, f"a visitor was told {door.motions(mark)} times"


def outage(door: Door, chance: random.Random) -> None:
    """The broker goes, visitors come, the broker is back: each is told, late."""
    mark, visitors = len(door.phone.got), chance.randint(1, 3)
    door.broker.stop()
    for _ in range(visitors):
        door.order(WALK)
        time.sleep(5.5)
    door.broker.start()
    until(lambda: door.motions(mark) >= visitors,
          lambda: f"of {visitors} visitors in an outage {door.motions(mark)} were told", RECONNECTS_WITHIN_S)
    until(lambda: door.last("status") == "watching", "no word that it watches again", RECONNECTS_WITHIN_S)
    time.sleep(ONCE_S)
    # At least once: what was in flight as the broker went may come twice.
    assert door.motions(mark) <= visitors + 1, f"{visitors} visitors in an outage were told {door.motions(mark)} times"


def kill(door: Door, chance: random.Random) -> None:
    """A process is killed: there is a new one, and it watches."""
    name = chance.choice(NAMES)
    _replaced(door, name, lambda pid: os.kill(pid, signal.SIGKILL))


def stop(door: Door, chance: random.Random) -> None:
    """A process hangs: the owner is told within 10 s, and there is a new one."""
    name = chance.choice(NAMES)
    began_s = time.monotonic()

    def hang(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        if name == "see":
            until(lambda: door.last("status") == "no camera", "a hung see was not told", TOLD_WITHIN_S)

    _replaced(door, name, hang)
    assert time.monotonic() - began_s < BACK_WITHIN_S


def hang(door: Door, _: random.Random) -> None:
    """The camera's driver hangs in a read: told, and started afresh."""

    def order(_: int) -> None:
        door.order(HANG)
        until(lambda: door.last("status") == "no camera", "a hung camera was not told", TOLD_WITHIN_S)

    _replaced(door, "see", order)


def unplug(door: Door, _: random.Random) -> None:
    """The camera is unplugged and plugged in again: told, and it watches."""
    mark = len(door.phone.said("status"))
    door.order(UNPLUG)
    until(lambda: "no camera" in door.phone.said("status")[mark:], "an unplugged camera was not told", TOLD_WITHIN_S)
    until(lambda: door.last("status") == "watching", "the camera did not come back", BACK_WITHIN_S)


def record(door: Door, chance: random.Random) -> None:
    """A press, and another: one clip more, with its statement."""
    statements = len(list(door.clips.glob("*.statement")))
    door.finger.press()
    until(lambda: door.last("recording") == "ON", "a recording was not told", TOLD_WITHIN_S)
    door.presses += 1
    time.sleep(chance.uniform(0.5, 4))
    door.finger.press()
    until(lambda: door.last("recording") == "OFF", "the end of a recording was not told", TOLD_WITHIN_S)
    until(lambda: len(list(door.clips.glob("*.statement"))) == statements + 1, "a clip has no statement", TOLD_WITHIN_S)


def full(door: Door, _: random.Random) -> None:
    """The disk is full: a press is refused and no clip begun; with room again the next one is possible."""
    filler = door.clips.parent / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
    until(lambda: "fault" in _keeps(door) or _pressed(door), "a full disk was not noticed", 30)
    assert door.finger.light() == "fast", f"the light of a full disk is {door.finger.light()}"
    filler.unlink()
    until(lambda: door.finger.light() == "off", "a disk with room again is still a fault", 60)


def _pressed(door: Door) -> bool:
    door.finger.press()
    time.sleep(1)
    return door.finger.light() == "fast"


def _keeps(door: Door) -> str:
    return (door.folder / "run.log").read_text().rsplit("doorstep keep:", 1)[-1]


def pause(door: Door, _: random.Random) -> None:
    """The button is held: who walks past is not seen; held again: watching."""
    door.finger.hold()
    until(lambda: door.last("status") == "paused", "a pause was not told", TOLD_WITHIN_S)
    mark = len(door.phone.got)
    door.order(WALK)  # nobody is there to take it
    time.sleep(3)
    assert not door.motions(mark), "motion was told in a pause"
    door.finger.hold()
    until(lambda: door.last("status") == "watching", "watching did not go on after a pause", BACK_WITHIN_S)


def clock(door: Door, chance: random.Random) -> None:
    """The wall clock jumps: a visitor before, in and after it is told once, and not as late."""
    mark = len(door.phone.got)
    door.order(WALK)
    door.move_clock(chance.uniform(-2, 2) * 86_400)
    until(lambda: door.motions(mark), "a visitor was not told as the clock jumped", TOLD_WITHIN_S)
    time.sleep(5.5)
    said = [got.payload for got in door.phone.got[mark:] if got.leaf == "alert"]
    assert said == [MOTION], f"as the clock jumped it was said: {said}"


# What happens, and how often beside the others. A visitor comes after each, for the proof that it still watches.
HAPPENINGS: dict[Happening, int] = {visit: 8, outage: 2, kill: 4, stop: 2, hang: 1, unplug: 2, record: 4, full: 1, pause: 2,
                                     clock: 2}


def _replaced(door: Door, name: str, harm: Callable[[int], None]) -> None:
    before = door.pid(name)
    harm(before)
    until(lambda: door.pid(name) not in (0, before), f"{name} was not started again", BACK_WITHIN_S)
    until(lambda: door.last("status") == "watching", f"it does not watch after {name} was started again", BACK_WITHIN_S)
    time.sleep(3)  # a new `see` learns its place; a new `keep` has its pins


@contextmanager
def _door() -> Iterator[Door]:
    with tempfile.TemporaryDirectory(prefix="doorstep-soak-", dir="/dev/shm") as name:
        folder = Path(name)
        (folder / "state").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "soak", folder / "state"], check=True)
        try:
            with Mosquitto(folder) as broker, Phone(broker.port) as phone, contextlib.closing(Door(folder, broker, phone)) as door:
                until(lambda: door.last("status") == "watching", lambda: (folder / "run.log").read_text())
                yield door
        finally:
            subprocess.run(["umount", folder / "state"], check=True)


def soak(minutes: float, seed: int, say: Callable[[str], None]) -> tuple[Counter[str], list[str], Door]:
    """Let things happen for so long; return how often each did, and every broken law."""
    chance, happened, broken = random.Random(seed), Counter[str](), list[str]()
    with _door() as door:
        end_s = time.monotonic() + 60 * minutes
        while time.monotonic() < end_s and len(broken) < 20:
            (happening,) = chance.choices(list(HAPPENINGS), list(HAPPENINGS.values()))
            for what in (happening, visit):
                say(f"{happened.total()}: {what.__name__}")
                happened[what.__name__] += 1
                try:
                    what(door, chance)
                except AssertionError as error:
                    broken.append(f"{what.__name__} {happened.total()}: {error}")
                    say(broken[-1])
            broken += [f"after {happening.__name__} {happened.total()}: {law}" for law in door.laws()]
        verified = doorstep("clips", "verify", door.clips)
        if verified.returncode:
            broken.append(f"clips verify: {verified.stdout}{verified.stderr}")
    return happened, broken, door


def in_words(found: dict[str, Any]) -> str:
    """Return what `--save` wrote as the paragraph of device/README.md."""
    said = {happening.__name__: (happening.__doc__ or "").split(":")[0] for happening in HAPPENINGS}
    rows = "\n".join(f"| {said[name]} | {times} |" for name, times in sorted(found["happened"].items(), key=lambda row: -row[1]))
    grown = ", ".join(f"`{name}` {mb:g} MB" for name, mb in found["growth_mb"].items())
    return (f"{found['minutes']} minutes of `make soak`, seed {found['seed']}; {len(found['broken']) or 'no'} broken laws; "
            f"{found['clips']} clips, all whole. Memory grew by at most: {grown}.\n\n| what happened | times |\n| --- | --: |\n{rows}\n")


def main() -> int:
    parser = argparse.ArgumentParser("tests.soak.soak", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, help="write what was found as JSON")
    options = parser.parse_args()
    if os.getuid() != 0:
        raise SystemExit("soak: a memory disk of its own needs root; try: sudo make soak")
    began_s = time.monotonic()
    happened, broken, door = soak(options.minutes, options.seed, lambda text: print(text, file=sys.stderr, flush=True))
    minutes = (time.monotonic() - began_s) / 60
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, title=f"{minutes:.0f} minutes, seed {options.seed}", title_justify="left")
    table.add_column("what happened")
    table.add_column("times", justify="right")
    for name, times in happened.most_common():
        table.add_row(name, str(times))
    console.print(table)
    grown = ", ".join(f"{name} {mb:g} MB" for name, mb in door.growth_mb.items())
    console.print(f"{door.presses} clips, all verified; {door.motions(0)} visitors told ({MOTION}); memory grew by at most: {grown}")
    for law in broken:
        console.print(f"[red]broken:[/] {law}", markup=True)
    if options.save:
        options.save.write_text(json.dumps({"minutes": round(minutes), "seed": options.seed, "happened": happened, "clips": door.presses,
                                            "growth_mb": door.growth_mb, "broken": broken}, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
