"""What the walk test's tests share: states, keys that are pressed, and what is then on the screen."""

from __future__ import annotations

from device.checks import MASK_COLUMNS
from device.config import Config
from device.messages import SeeToTell
from device.see.detector import Reason
from device.walk_acts import take_key
from device.walk_keys import Key
from device.walk_model import Settings, State, Verdict
from device.walk_screen import lines

NOTHING = Settings.of(Config())
FRESH = State(NOTHING, NOTHING, "front door", "porch")
HERE = FRESH.row * MASK_COLUMNS + FRESH.column


def press(state: State, *keys: Key) -> State:
    for key in keys:
        state = take_key(state, key)
    return state


def seen(t_s: float, *cells: int, told: tuple[SeeToTell, ...] = (), reason: Reason = Reason.QUIET, evidence: float = 0.0) -> Verdict:
    return Verdict(t_s, t_s, frozenset(cells), evidence, 1.25, reason, told)


def text(state: State, columns: int = 80, rows: int = 24, *, plain: bool = False) -> str:
    return "\n".join(line.plain for line in lines(state, columns, rows, plain=plain))
