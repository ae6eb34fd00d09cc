"""The walk test's state, and what a frame makes of it.

Rule 1: pure: no clock, no I/O; time is the frame's, and what is to be done outside is a wish.
Rule 2: of a frame there is only where it changed, and what the detector makes of it; never how bright it is.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.config import Config
from device.messages import SeeToTell
from device.see.detector import Reason
from device.see.mask import MASKED

WATCHED = "."
PACE_FRAMES = 20  # frames/s is the mean over these: 2 s at the usual rate
TOLD_MOST = 8  # more than any screen shows
NEVER_S = -math.inf


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the walk test can change. mask: always MASK_ROWS rows of MASK_COLUMNS."""

    mask: tuple[str, ...]
    sensitivity: int

    @classmethod
    def of(cls, config: Config) -> Settings:
        """Return those of a configuration, whose empty mask is one that masks nothing."""
        return cls(config.camera.mask or (WATCHED * MASK_COLUMNS,) * MASK_ROWS, config.detector.sensitivity)

    @property
    def written(self) -> tuple[str, ...]:
        """The mask as doorstep.toml has it: nothing, where nothing is masked."""
        return self.mask if self.masked else ()

    @property
    def masked(self) -> int:
        """How many cells are masked."""
        return "".join(self.mask).count(MASKED)


class Seeing(Protocol):
    """What is read of a detector after a step."""

    @property
    def changed(self) -> npt.NDArray[np.bool_] | None: ...  # noqa: D102  # (rows, columns); None before the first look
    @property
    def noise_levels(self) -> float: ...  # noqa: D102  # as the detector says
    evidence: float
    reason: Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a frame comes to. changed: numbers of mask cells, row by row from the top left."""

    t_s: float  # the frame's
    at_s: float  # when it was looked at, by a steady clock; for the pace only
    changed: frozenset[int]
    evidence: float  # share of what is enough, 0 to 1
    noise_levels: float
    reason: Reason
    told: tuple[SeeToTell, ...]

    @classmethod
    def of(cls, detector: Seeing, told: tuple[SeeToTell, ...], t_s: float, at_s: float) -> Verdict:
        """Read a detector that has just looked at the frame of t_s."""
        changed = detector.changed
        cells = frozenset[int]() if changed is None else mask_cells(changed)
        return cls(t_s, at_s, cells, detector.evidence, detector.noise_levels, detector.reason, told)


def mask_cells(changed: npt.NDArray[np.bool_]) -> frozenset[int]:
    """Return which mask cells hold any of the `changed` cells of a finer grid of the same picture."""
    rows, columns = changed.shape
    row, column = np.nonzero(changed)
    cells = row * MASK_ROWS // rows * MASK_COLUMNS + column * MASK_COLUMNS // columns
    return frozenset(np.unique(cells).tolist())


class Mode(enum.Enum):
    """What the keys mean just now."""

    WATCHING = "the grid"
    HELP = "the page of keys"
    ASKING = "quit, though something is not saved?"


class Wish(enum.Enum):
    """What is to be done outside."""

    NOTHING = "go on"
    SAVE = "save"
    SAVE_AND_QUIT = "save, and quit if that worked"
    QUIT = "quit"


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Everything that is on the screen, and what undoing needs."""

    settings: Settings
    saved: Settings
    place: str
    source: str
    mode: Mode = Mode.WATCHING
    wish: Wish = Wish.NOTHING
    row: int = MASK_ROWS // 2
    column: int = MASK_COLUMNS // 2
    undo: tuple[Settings, ...] = ()
    note: str = ""
    last: Verdict | None = None
    seen_s: tuple[float, ...] = (NEVER_S,) * (MASK_ROWS * MASK_COLUMNS)  # when each cell changed last
    looked_at_s: tuple[float, ...] = ()
    told: tuple[tuple[SeeToTell, float], ...] = ()  # newest first
    over: str = ""  # why no more frames come
    done: str = ""  # what was saved last, in words

    @property
    def unsaved(self) -> bool:
        """Whether quitting would lose something."""
        return self.settings != self.saved

    @property
    def frames_per_s(self) -> float | None:
        """The pace of the last frames; None before there is one."""
        took_s = self.looked_at_s[-1] - self.looked_at_s[0] if self.looked_at_s else 0.0
        return (len(self.looked_at_s) - 1) / took_s if took_s > 0 else None

    @property
    def farewell(self) -> str:
        """What became of it all, for the line below the prompt."""
        return "What was changed last was not saved." if self.unsaved else self.done or "Nothing was changed."

    def ago_s(self, cell: int) -> float:
        """How long ago a cell changed: 0 is now."""
        return self.last.t_s - self.seen_s[cell] if self.last else math.inf


def take_frame(state: State, verdict: Verdict) -> State:
    """Return the state after one more frame."""
    seen_s = tuple(verdict.t_s if cell in verdict.changed else s for cell, s in enumerate(state.seen_s))
    told = tuple((word, verdict.t_s) for word in reversed(verdict.told)) + state.told
    looked_at_s = (*state.looked_at_s, verdict.at_s)[-PACE_FRAMES:]
    return dataclasses.replace(state, last=verdict, seen_s=seen_s, told=told[:TOLD_MOST], looked_at_s=looked_at_s)


def take_save(state: State, error: str, words: str) -> State:
    """Return the state after saving: `error` says why it failed, or is empty; what was changed stays changed."""
    if error:
        return dataclasses.replace(state, wish=Wish.NOTHING, note=f"NOT SAVED: {error}")
    wish = Wish.QUIT if state.wish is Wish.SAVE_AND_QUIT else Wish.NOTHING
    return dataclasses.replace(state, wish=wish, saved=state.settings, note=words, done=words)
