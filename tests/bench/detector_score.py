"""What alerts are worth against the truth: told, false, late, and on while nobody is there.

Rule 1: pure; spans of stored frame numbers in, a `Score` out. Spans are half-open.
Rule 2: an event is told when an alert starts inside it, GRACE_S more on both sides, or when an alert that started in
        an event which ended less than CARRY_S before is still on as it begins.
Rule 3: an alert that starts in no event is false; what happens in ignored spans and the first WARM_S says nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Span = tuple[int, int]  # frame numbers, the end not included

WARM_S = 2.0  # every detector has to get to know the place first
GRACE_S = 1.0  # nobody marks the first and the last frame of an event to better than that
CARRY_S = 5.0  # visitors this close to one another are one alert to whoever reads it
LINGER_S = 3.0  # after an event; alerts hold for about 2 s, and the last frame is marked to within 1 s


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a sequence. ValueError where no alert could be scored against it."""

    frames_per_s: float
    frames: int
    events: tuple[Span, ...] = ()
    ignored: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.frames_per_s <= 1000:
            raise ValueError(f"frames_per_s is {self.frames_per_s}: must be above 0, and at most 1000")
        if not self.frames >= 1:
            raise ValueError(f"frames is {self.frames}: must be 1 or more")
        for start, end in (*self.events, *self.ignored):
            if not 0 <= start < end:
                raise ValueError(f"{start} to {end} is no span: it must start from 0 and end after it starts")

    @classmethod
    def parse(cls, spec: dict[str, object]) -> Truth:
        """Read the fields of an events.json, in which `end` is the last frame of a span."""

        def spans(name: str) -> tuple[Span, ...]:
            marks = spec.get(name) or []
            assert isinstance(marks, list)
            return tuple(sorted((int(mark["start"]), int(mark["end"]) + 1) for mark in marks))

        return cls(float(str(spec["fps"])), int(str(spec["frames"])), spans("events"), spans("ignore"))


@dataclass(slots=True)
class Score:
    """Counts and times that add up over sequences."""

    events: int = 0
    told: int = 0
    alerts: int = 0
    false: int = 0
    empty_s: float = 0.0  # time in which nobody is there
    on_empty_s: float = 0.0  # of it, with an alert on
    delays_s: list[float] = field(default_factory=list)  # of each told event that has an alert of its own

    def add(self, other: Score) -> None:
        """Add another sequence's."""
        self.events += other.events
        self.told += other.told
        self.alerts += other.alerts
        self.false += other.false
        self.empty_s += other.empty_s
        self.on_empty_s += other.on_empty_s
        self.delays_s = self.delays_s + other.delays_s

    @classmethod
    def sum(cls, scores: Iterable[Score]) -> Score:
        """Return all of them together."""
        total = cls()
        for one in scores:
            total.add(one)
        return total

    @property
    def recall(self) -> float:
        """Share of the events that were told; all of none."""
        return self.told / self.events if self.events else 1.0

    @property
    def precision(self) -> float:
        """Share of the alerts that were true; without any, whether silence was right."""
        return 1 - self.false / self.alerts if self.alerts else float(not self.events)

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    @property
    def delay_s(self) -> float | None:
        """Median from an event's start to its first alert."""
        return statistics.median(self.delays_s) if self.delays_s else None

    @property
    def on_outside(self) -> float | None:
        """Share of event-free time during which an alert was on; None below 5 s of it, which is no sample."""
        return self.on_empty_s / self.empty_s if self.empty_s >= 5 else None


def score(truth: Truth, alerts: Sequence[Span]) -> Score:
    """Compare alerts, in order, with the truth."""
    out, fps = Score(), truth.frames_per_s
    warm, grace = WARM_S * fps, GRACE_S * fps
    for event in truth.events:
        start, end = event
        if start < warm:
            continue
        out.events += 1
        own = [begin for begin, _ in alerts if start - grace <= begin <= end + grace]
        if own:
            out.delays_s.append(max(0.0, (min(own) - start) / fps))
        out.told += bool(own) or _carried(truth, event, alerts)
    for begin, _ in alerts:
        if begin < warm or _in(begin, truth.ignored, 0):
            continue
        out.alerts += 1
        out.false += not _in(begin, truth.events, grace)
    quiet = _marked(truth.frames, [
        (0, int(warm)), *truth.ignored,
        *((int(start - grace), int(end + LINGER_S * fps)) for start, end in truth.events),
    ])
    on = _marked(truth.frames, alerts)
    out.empty_s = sum(not there for there in quiet) / fps
    out.on_empty_s = sum(is_on and not there for is_on, there in zip(on, quiet, strict=True)) / fps
    return out


def _carried(truth: Truth, event: Span, alerts: Sequence[Span]) -> bool:
    """Whether an alert of an event shortly before is still on at the start of this one."""
    fps, start = truth.frames_per_s, event[0]
    before = [(first, end) for first, end in truth.events
              if (first, end) != event and end <= start and start - end <= CARRY_S * fps]
    return any(begin <= start < stop and _in(begin, before, GRACE_S * fps) for begin, stop in alerts)


def _in(frame: int, spans: Iterable[Span], pad: float) -> bool:
    """Whether it is in a span; the frame after its last still is, as everywhere a grace of it is added."""
    return any(start - pad <= frame <= end + pad for start, end in spans)


def _marked(frames: int, spans: Iterable[Span]) -> list[bool]:
    out = [False] * frames
    for start, end in spans:
        for index in range(max(0, start), min(frames, end)):
            out[index] = True
    return out
