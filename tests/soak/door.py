"""The door of the soak: broker, house, phone and a recordings folder in memory, and what can be asked of them.

Rule 1: what holds at all times is looked at by `laws()` after each thing that happens.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyrage

from device.keep import layout
from device.tell.outbox import MOST
from device.tell.words import ENGLISH, Alert
from tests.finger import Finger
from tests.rig import Mosquitto, Phone, environment, plain
from tests.test_run import children

NAMES = ("see", "tell", "keep")
PLACE = "front door"
MOTION = ENGLISH.phrases[Alert.MOTION].format(place=PLACE)
SETTLED_S = 15.0  # after its start a process has all its libraries
GROWTH_MOST_MB = 8.0  # beyond what its first minute took; a first recording loads the encoder: RECORDED_MB more
RECORDED_MB = 60.0
OWNER = pyrage.x25519.Identity.generate()
TOML = f"""[camera]
source = "porch"
frames_per_s = 10
[alerts]
cooldown_s = 0
storm_alerts = {MOST}
storm_window_s = 10
[recording]
recipients = ["{OWNER.to_public()}"]
folder = "state"
panel = "gpio"
bitrate_mbit = 0.5
longest_s = 20
budget_mb = 10000
width_px = 160
height_px = 120
"""


@dataclass(slots=True)
class _Life:
    """One process, from when it was settled."""

    began_s: float
    rss_mb: float = 0.0
    fds: int = 0


@dataclass(slots=True)
class Door:
    """`with` its folder, its broker and its phone; it starts and ends the house."""

    folder: Path
    broker: Mosquitto
    phone: Phone
    presses: int = 0  # that led to a clip
    growth_mb: Counter[str] = field(default_factory=Counter)  # the most of any process of that name
    house: subprocess.Popen[bytes] = field(init=False)
    orders: int = field(init=False)
    _lives: dict[int, _Life] = field(default_factory=dict)
    _read: int = 0  # of the log

    def __post_init__(self) -> None:
        os.mkfifo(self.folder / "orders")
        self.move_clock(0.0)
        (self.folder / "doorstep.toml").write_text(TOML + plain(self.broker.port))
        with (self.folder / "run.log").open("ab") as log:
            self.house = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.eye", "run", "--config", str(self.folder / "doorstep.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(FINGER=str(self.folder / "finger.sock"), ORDERS=str(self.folder / "orders"),
                                CLOCK=str(self.folder / "clock"),
                                RUNTIME_DIRECTORY=str(self.folder), OPENBLAS_NUM_THREADS="1"))
        self.orders = os.open(self.folder / "orders", os.O_RDWR | os.O_NONBLOCK)

    @property
    def finger(self) -> Finger:
        return Finger(self.folder / "finger.sock")

    @property
    def clips(self) -> Path:
        return self.folder / "state" / "clips"

    def pid(self, name: str) -> int:
        """Return the process called `name`, or 0 while there is none."""
        return children(self.house.pid).get(name, 0)

    def order(self, what: bytes) -> None:
        os.write(self.orders, what)

    def move_clock(self, ahead_s: float) -> None:
        """Have the wall clock of all three be wrong by so much; the page is shared with them, so it is written in place."""
        with (self.folder / "clock").open("r+b" if (self.folder / "clock").exists() else "wb") as file:
            file.write(struct.pack("d", ahead_s))

    def last(self, leaf: str) -> str:
        """Return what the phone heard last on that topic."""
        return (self.phone.said(leaf) or [""])[-1]

    def alerts(self, mark: int) -> list[str]:
        """Return the alerts since `mark`, an index into phone.got, without how late they are."""
        return [got.payload.split(",")[0] for got in self.phone.got[mark:] if got.leaf == "alert"]

    def motions(self, mark: int) -> int:
        return self.alerts(mark).count(MOTION)

    def laws(self) -> list[str]:
        """Return what does not hold, in words."""
        broken = [] if self.house.poll() is None else [f"the house ended with {self.house.returncode}"]
        lines = (self.folder / "run.log").read_text()[self._read:]
        self._read += len(lines)
        broken += [line for line in lines.splitlines() if "Traceback" in line or "refused" in line or "never do" in line]
        there = sum(layout.clip_number(path.name) is not None for path in self.clips.glob("*"))
        if there != self.presses:
            broken.append(f"{there} clips after {self.presses} presses")
        if any(got.retain for got in self.phone.got if got.leaf in ("alert", "event", "motion")):
            broken.append("motion was retained")
        for name in NAMES:
            broken += self._cost(name)
        return broken

    def _cost(self, name: str) -> list[str]:
        """Memory, descriptors and writes of one process, against those when it was settled."""
        try:
            process = psutil.Process(self.pid(name))
            rss_mb, fds, written = process.memory_info().rss / 1e6, process.num_fds(), process.io_counters().write_bytes
        except psutil.Error:
            return []  # it is down: that is another law's
        life = self._lives.setdefault(process.pid, _Life(process.create_time()))
        if time.time() - life.began_s < SETTLED_S:
            return []
        if not life.rss_mb:
            life.rss_mb, life.fds = rss_mb, fds
        grown_mb = rss_mb - life.rss_mb
        self.growth_mb[name] = max(self.growth_mb[name], round(grown_mb, 1))
        most_mb = GROWTH_MOST_MB + (RECORDED_MB if name != "tell" and self.presses else 0)
        return [text for text, holds in (
            (f"{name} grew by {grown_mb:.1f} MB", grown_mb > most_mb),
            (f"{name} has {fds} descriptors, and had {life.fds}", fds > life.fds + 4),
            (f"{name} wrote {written} bytes to a disk", written),
        ) if holds]

    def close(self) -> None:
        for name in NAMES:
            if pid := self.pid(name):
                os.kill(pid, signal.SIGCONT)
        self.house.terminate()
        self.house.wait(15)
        os.close(self.orders)
