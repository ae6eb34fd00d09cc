"""When motion starts and when it ends: the episode, as a table.

Rule 1: every MOTION_STARTED is followed by MOTION_ENDED before the next one.
Rule 2: only the table says what is told; the detector only names what it has noticed.
"""

from __future__ import annotations

import enum

from device.messages import SeeToTell


class Stage(enum.Enum):
    """Where the detector is."""

    LEARNING = "the first seconds: getting to know the noise"
    CALM = "watching, nothing moves"
    MOVING = "an episode is on"


class Notice(enum.Enum):
    """What the detector has noticed in a frame."""

    NOTHING = "nothing that matters here"
    LEARNT = "the noise is known now"
    BODY = "something the size of a body moves"
    ANOTHER = "who moved has gone out, and somebody else moves far from there"
    STILL = "nothing has moved for the hold time"
    LOST = "the picture has another size, or frames were missing: learn anew"


_ON, _OFF = SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED

NEXT: dict[Stage, dict[Notice, tuple[Stage, tuple[SeeToTell, ...]]]] = {
    Stage.LEARNING: {
        Notice.NOTHING: (Stage.LEARNING, ()),
        Notice.LEARNT: (Stage.CALM, ()),
        Notice.BODY: (Stage.LEARNING, ()),
        Notice.ANOTHER: (Stage.LEARNING, ()),
        Notice.STILL: (Stage.LEARNING, ()),
        Notice.LOST: (Stage.LEARNING, ()),
    },
    Stage.CALM: {
        Notice.NOTHING: (Stage.CALM, ()),
        Notice.LEARNT: (Stage.CALM, ()),
        Notice.BODY: (Stage.MOVING, (_ON,)),
        Notice.ANOTHER: (Stage.CALM, ()),
        Notice.STILL: (Stage.CALM, ()),
        Notice.LOST: (Stage.LEARNING, ()),
    },
    Stage.MOVING: {
        Notice.NOTHING: (Stage.MOVING, ()),
        Notice.LEARNT: (Stage.MOVING, ()),
        Notice.BODY: (Stage.MOVING, ()),
        Notice.ANOTHER: (Stage.MOVING, (_OFF, _ON)),
        Notice.STILL: (Stage.CALM, (_OFF,)),
        Notice.LOST: (Stage.LEARNING, (_OFF,)),
    },
}
