"""From the frame to the phone: how long until a subscriber has the words, beside a bare MQTT publish.

Measured, in turn, one motion and then one bare publish, all on this machine by the same clock:
- alert, motion: from just before Detector.step of the frame that makes it say MOTION_STARTED, in the real
  `doorstep see`, over the real link, the real `doorstep tell` and a real Mosquitto without TLS, until paho
  hands a subscriber `motion at front door` on `.../alert`, and `ON` on `.../motion`, which by design goes
  out after the alert and its event are acknowledged. QoS 1.
- bare: the same words at QoS 1 by paho alone (a process of its own, loop_start), through the same Mosquitto
  to the same subscriber.
- patience, apart: how many frames the detector looks at before it says so. At 10 frames a second that is
  the greater part of what an owner waits; it is the price of few false alarms, and no part of the ratios.
Not measured: camera and driver (see the camera rig), TLS, the radio, a phone's own push service.

Rule 1: a motion that is not told within LATE_S is a fault, as is anything the wall refused.
Rule 2: the camera, a stopwatch around Detector.step and a pace of states that lets each through are all that is
        not the product's own.
"""

from __future__ import annotations

import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tests.bench import in_memory, order, see_and_tell, start, stop, word

if TYPE_CHECKING:
    from device.config import Camera as Settings
    from device.see.frame import Frame, Grey
    from tests.rig import Got, Phone

PERIOD_S = 0.8  # two messages a motion and ALIVE once a second: 3.5 a second, under the wall's RATE_PER_S of 4
LATE_S = 5.0  # thousands of times the median; beyond it tell itself says "late"
TOML = "[alerts]\ncooldown_s = 0\nstorm_alerts = 100\nstorm_window_s = 10"  # every motion is told
WORDS = "motion at front door"
ALERT, MOTION, BARE = "doorstep/front-door/alert", "doorstep/front-door/motion", "bare/alert"  # topics

# What the camera shows: the drawn porch, empty, with a sensor's noise; and a visitor, light above and dark below,
# who walks across it. Between two visitors the porch rests, in its own time: the detector asks for more where it
# has just seen much, and a door is not passed four times a second.
SEED, SHOTS, NOISE_LEVELS = 1, 16, 1.0  # a bank of shots: drawing noise anew would take longer than the detector
BODY_WIDTH_PX, BODY_HEIGHT_PX, BODY_LEVELS, BODY_TEXTURE_LEVELS = 24, 60, 50, 15  # some 3 m off
FIRST_PX, TOP_PX, PACE_PX, WALK_FRAMES = 20, 40, 5, 20  # 2 s, to the other side
HOLD_FRAMES, REST_FRAMES = 60, 200  # it holds for 1.8 s; its noise falls with 8 s
FRAME_S = 0.1  # the product's 10 frames a second, in the frames' time
SHOWN_EVERY_S = 1 / 80  # in our time: an episode of 40 frames and the rest fit into PERIOD_S
IDLE_S = 0.5  # between motions a frame now and then, so that see is alive


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: the median, and what 99 of 100 stay under."""

    p50_ms: float
    p99_ms: float

    def times(self, other: Spread) -> Ratio:
        """How many times `other` this is."""
        return Ratio(self.p50_ms / other.p50_ms, self.p99_ms / other.p99_ms)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of two spreads of one run."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Latency:
    """All spreads are of the same motions; `step` is the detector's part of `alert`."""

    motions: int
    alert: Spread
    motion: Spread
    bare: Spread
    step: Spread
    patience_frames: float  # median, from the first frame with somebody in it, that one included
    faults: tuple[str, ...]

    @property
    def alert_ratio(self) -> Ratio:
        """How many times a bare publish an alert takes."""
        return self.alert.times(self.bare)

    @property
    def motion_ratio(self) -> Ratio:
        """How many times a bare publish `ON` takes."""
        return self.motion.times(self.bare)


def measure(motions: int) -> Latency:
    """Measure that many motions, and as many bare publishes between them."""
    from tests.rig import Mosquitto, Phone, plain

    with (
        in_memory() as folder,
        Mosquitto(folder) as broker,
        Phone(broker.port, ("doorstep/#", "bare/#")) as phone,
        see_and_tell(folder, plain(broker.port, TOML), "tests.bench.latency", "see",
                     tell=("tests.bench.latency", "tell")) as pair,
    ):
        bare = start(folder, "bare", "tests.bench.latency", "bare", str(broker.port), talks=True)
        try:
            phone.wait("status", "watching")
            word(pair.see)  # both are ready
            word(bare)
            rows = list(_rows(motions, phone, pair.see, bare))
        finally:
            stop(bare)
        faults = pair.faults()
    told = [row for row in rows if row.told]
    for what, count in (("walks were not noticed by the detector", sum(not row.frames for row in rows)),
                        (f"motions were not told within {LATE_S:g} s", sum(row.frames > 0 and not row.told for row in rows))):
        faults += (f"{count} of {len(rows)} {what}",) * bool(count)
    if not told:
        raise RuntimeError("; ".join(faults))
    return Latency(
        len(rows), _spread([row.alert_ms for row in told]), _spread([row.motion_ms for row in told]),
        _spread([row.bare_ms for row in told]), _spread([row.step_ms for row in told]),
        statistics.median(row.frames for row in told), faults,
    )


@dataclass(frozen=True, slots=True)
class _Row:
    alert_ms: float = 0.0
    motion_ms: float = 0.0
    bare_ms: float = 0.0
    step_ms: float = 0.0
    frames: int = 0
    told: bool = False


def _rows(motions: int, phone: Phone, see: subprocess.Popen[bytes], bare: subprocess.Popen[bytes]) -> Iterator[_Row]:
    for _ in range(motions):
        next_s, mark = time.monotonic() + PERIOD_S, len(phone.got)
        began_ns, step_ns, frames = map(int, order(see))
        if not frames:
            yield _Row()
            continue
        alert, on = _got(phone, mark, ALERT, WORDS), _got(phone, mark, MOTION, "ON")
        _got(phone, mark, MOTION, "OFF")  # nothing is under way any more
        mark = len(phone.got)
        (bare_ns,) = map(int, order(bare))
        plain = _got(phone, mark, BARE, WORDS)
        if alert and on and plain:
            yield _Row(alert.at_s * 1e3 - began_ns / 1e6, on.at_s * 1e3 - began_ns / 1e6,
                       plain.at_s * 1e3 - bare_ns / 1e6, step_ns / 1e6, frames, told=True)
        else:
            yield _Row(frames=frames)
        time.sleep(max(0.0, next_s - time.monotonic()))


def _got(phone: Phone, mark: int, topic: str, payload: str) -> Got | None:
    until_s = time.monotonic() + LATE_S
    while time.monotonic() < until_s:
        for got in phone.got[mark:]:
            if got.topic == topic and got.payload == payload:
                return got
        time.sleep(0.005)  # its moment is the subscriber's, not ours
    return None


def _spread(values_ms: Sequence[float]) -> Spread:
    ranked = sorted(values_ms)
    return Spread(statistics.median(ranked), ranked[-(-len(ranked) * 99 // 100) - 1])  # nearest rank


# ---- in the place of `see`: its own code, with this camera and a stopwatch


class Door:
    """A camera of a porch where nobody is; for each byte on standard input somebody walks past."""

    def __init__(self) -> None:
        from device.see.porch import Porch, Scene

        empty = Porch(Scene(), SEED).frame(0).luma.astype(np.float32)
        self._random = np.random.default_rng(SEED)
        self._shots = [self._grey(empty + self._random.normal(0, NOISE_LEVELS, empty.shape)) for _ in range(SHOTS)]
        body = self._random.normal(BODY_LEVELS, BODY_TEXTURE_LEVELS, (BODY_HEIGHT_PX, BODY_WIDTH_PX))
        body[BODY_HEIGHT_PX // 2 :] *= -1
        self._body, self._luma, self._count = body, self._shots[0].copy(), 0
        self.step_began_ns = self.step_ns = self.seen_at = 0  # of the frame that made it say MOTION_STARTED
        self.moving = False

    def frames(self) -> Iterator[Frame]:
        yield from (self._frame(None) for _ in range(REST_FRAMES))
        print("ready", flush=True)
        while True:
            if not select.select([0], [], [], IDLE_S)[0]:
                yield self._frame(None)
            elif os.read(0, 1):
                yield from self._episode()
            else:
                return

    def _episode(self) -> Iterator[Frame]:
        first, self.step_began_ns, self.step_ns, self.seen_at = self._count, 0, 0, self._count
        for place in [*range(WALK_FRAMES), *[None] * HOLD_FRAMES]:
            yield self._frame(place)
            time.sleep(SHOWN_EVERY_S)
            if place is None and not self.moving:
                break
        yield from (self._frame(None) for _ in range(REST_FRAMES))
        print(self.step_began_ns, self.step_ns, self.seen_at - first, flush=True)

    def _frame(self, place: int | None) -> Frame:
        from device.see.frame import Frame

        self._count += 1
        np.copyto(self._luma, self._shots[self._random.integers(SHOTS)])
        if place is not None:
            left = FIRST_PX + PACE_PX * place
            where = self._luma[TOP_PX : TOP_PX + BODY_HEIGHT_PX, left : left + BODY_WIDTH_PX]
            where[:] = self._grey(where + self._body)
        return Frame(self._luma, self._count * FRAME_S)

    @staticmethod
    def _grey(picture: npt.NDArray[np.floating[Any]]) -> Grey:
        return np.clip(picture, 0, 255).astype(np.uint8)

    def note(self, began_ns: int, ended_ns: int, *, moving: bool) -> None:
        """Take the detector's word."""
        if moving and not self.step_began_ns:
            self.step_began_ns, self.step_ns, self.seen_at = began_ns, ended_ns - began_ns, self._count
        self.moving = moving

    def close(self) -> None:
        """Nothing to let go."""


def see(arguments: list[str]) -> int:
    """`doorstep see` with our camera."""
    from device import cli
    from device.messages import SeeToTell
    from device.see import process
    from device.see.detector import Detector

    door = Door()

    class Timed(Detector):
        def step(self, frame: Frame) -> tuple[SeeToTell, ...]:
            began_ns = time.monotonic_ns()
            said = super().step(frame)
            ended_ns = time.monotonic_ns()
            if SeeToTell.MOTION_STARTED in said:
                door.note(began_ns, ended_ns, moving=True)
            elif SeeToTell.MOTION_ENDED in said:
                door.note(began_ns, ended_ns, moving=False)
            return said

    def ours(_settings: Settings) -> Door:
        return door

    process.Detector, process.open_camera = Timed, ours  # type: ignore[misc]  # the two that are not its own
    return cli.main(["see", *arguments])


def tell(arguments: list[str]) -> int:
    """`doorstep tell`, whose states wait for no other."""
    from device import cli
    from device.tell import desk

    desk.STATE_PER_S = 10.0
    return cli.main(["tell", *arguments])


def bare(port: int) -> int:
    """Publish once for each byte on standard input, and say when."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda *_: print("ready", flush=True)
    client.connect("127.0.0.1", port)
    client.loop_start()
    while os.read(0, 1):
        began_ns = time.monotonic_ns()
        client.publish(BARE, WORDS, qos=1).wait_for_publish(LATE_S)
        print(began_ns, flush=True)
    client.disconnect()
    client.loop_stop()
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bare", port]:
            sys.exit(bare(int(port)))
        case [name, *words]:
            sys.exit({"see": see, "tell": tell}[name](words))
