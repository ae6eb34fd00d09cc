"""What a scene of the rendered porch is made of: light, sensor, visits and weather, fully checked.

Rule 1: an illegal scene cannot be built; ranges are written as "not inside", so NaN is refused.
Rule 2: `content` chooses only coats' patterns, faces and what hangs on the door, never geometry.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.see.porch_view import View
    from device.see.porch_visit import Walker


class Way(enum.Enum):
    """The ways a visitor can take; the waypoints are in `porch_visit.WAYS`."""

    STREET = "comes up the path from the street, 12 px tall at first"
    DRIVE = "comes from the right, 6 m off"
    NEAR = "passes close to the camera to the door, fills half of the view"
    FILL = "steps up to the lens and fills the view"
    FAR = "walks along the pavement, 8 to 12 px tall, does not come near"
    PASS = "crosses the porch from right to left"  # noqa: S105 - a way to walk


class Light(enum.Enum):
    """Where the light comes from."""

    DAY = "sun and sky"
    OVERCAST = "sky only"
    DUSK = "the last light of the sky, the porch lamp on"
    NIGHT = "the porch lamp only"
    IR = "infrared lamp beside the lens, filter out"


def check(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high], NaN included: ValueError that names it and the range."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}: must be between {low} and {high}")


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who comes: when, which way, how fast, how long they stay, how dark the coat is."""

    at_s: float
    way: Way = Way.STREET
    speed_m_per_s: float = 1.35  # mean of free walking in streets (Bohannon 1997: 1.3 to 1.4 m/s)
    stand_s: float = 5.0  # to ring and to give up waiting
    coat_albedo: float | None = None  # None: from the seed
    what: str = ""  # for the ground truth; empty: the way's own words

    def __post_init__(self) -> None:
        check("at_s", self.at_s, 0.0, 86_400.0)
        check("speed_m_per_s", self.speed_m_per_s, 0.05, 6.0)
        check("stand_s", self.stand_s, 0.0, 600.0)
        if self.coat_albedo is not None:
            check("coat_albedo", self.coat_albedo, 0.01, 0.95)
        if not isinstance(self.way, Way):
            raise TypeError(f"way is {self.way!r}: must be one of {[way.name for way in Way]}")


@dataclass(frozen=True, slots=True)
class Sensor:
    """Noise of a small sensor, in electrons of one output pixel at gain 1."""

    white_e: float = (
        35_000.0  # gives 0.8 levels by day: five real outdoor cameras scaled to 160 wide have 0.6 to 0.9
    )
    read_e: float = 4.0  # IMX219 class, after binning
    pattern_share: float = 0.004  # fixed gain pattern, share of the signal
    noise: bool = True  # False: for tests, where only the drawing counts

    def __post_init__(self) -> None:
        check("white_e", self.white_e, 100.0, 1e7)
        check("read_e", self.read_e, 0.0, 1000.0)
        check("pattern_share", self.pattern_share, 0.0, 0.2)


@dataclass(frozen=True, slots=True)
class AutoExposure:
    """How the camera follows the light."""

    lag_frames: int = 2  # libcamera applies an exposure about two frames after it is asked for
    speed_share: float = 0.2  # libcamera's AGC moves 0.2 of the way each frame
    deadband_stops: float = 0.1  # smaller errors are left alone
    longest_us: float = 66_000.0  # libcamera's longest in its normal mode
    step_stops: float = 0.0  # above 0: cheap cameras jump in steps of this size
    told: bool = True  # frames carry exposure_us and gain
    locked: bool = False  # True: stays where the empty scene needs it at the start

    def __post_init__(self) -> None:
        check("lag_frames", self.lag_frames, 0, 30)
        check("speed_share", self.speed_share, 0.01, 1.0)
        check("deadband_stops", self.deadband_stops, 0.0, 2.0)
        check("longest_us", self.longest_us, 1000.0, 1e6)
        check("step_stops", self.step_stops, 0.0, 2.0)


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of the ground truth, first and last frame included: an event, ignored, or a nuisance."""

    start: int
    end: int
    what: str


class Run:
    """One effect at work in one porch. Each hook may change the view at its stage of the frame."""

    def meet(self, walkers: Sequence[Walker]) -> None:
        """Get to know the scene's visitors, before the first frame."""

    def light(self, view: View) -> None:
        """Change `view.lights`, before anything is drawn."""

    def bend(self, view: View) -> None:
        """Move what is drawn of the place, or `view.shift_px`, before things and people."""

    def draw(self, view: View) -> None:
        """Draw things that stand in the place, behind the people."""

    def front(self, view: View) -> None:
        """Draw what is between the people and the lens."""

    def marks(self, view: View, frames: int) -> tuple[list[Mark], list[Mark], list[Mark]]:
        """Events, ignored spans and nuisances that this effect adds to the ground truth."""
        return [], [], []


Effect = Callable[["View", int], Run]  # a frozen dataclass with __call__(view, seed): its settings


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything about a scene but its seed and the size of its picture."""

    seconds: float | None = None  # None: endless
    light: Light = Light.DAY
    visits: tuple[Visit, ...] = ()
    every_s: float | None = None  # a new visitor this often, besides `visits`; only for endless demos
    effects: tuple[Effect, ...] = ()
    sensor: Sensor = field(default_factory=Sensor)
    exposure: AutoExposure = field(default_factory=AutoExposure)
    content: int | None = None  # patterns, faces, door; None: from the seed
    what: str = "a front porch"

    def __post_init__(self) -> None:
        if self.seconds is not None:
            check("seconds", self.seconds, 0.1, 86_400.0)
        if self.every_s is not None:
            check("every_s", self.every_s, 5.0, 3600.0)
        if self.content is not None:
            check("content", self.content, 0, 2**31)
        if not isinstance(self.light, Light):
            raise TypeError(f"light is {self.light!r}: must be one of {[light.name for light in Light]}")
        for visit in self.visits:
            if not isinstance(visit, Visit):
                raise TypeError(f"visits holds {visit!r}: must be Visit")
            if self.seconds is not None and not visit.at_s <= self.seconds:
                raise ValueError(f"a visit at {visit.at_s} s is after the scene's end, {self.seconds} s")
        for effect in self.effects:
            if not callable(effect):
                raise TypeError(f"effects holds {effect!r}: must be an effect")
