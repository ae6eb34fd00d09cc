"""What a press of the button does: a pure state machine from touches to a recording and its light.

Rule 1: only the button opens the gate. No message, no setting, no time and no restart can.
Rule 2: every state has a light, so what is happening is always to be seen.
Rule 3: it is closed at boot, after a crash and after every error.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from device.messages import KeepToTell

FIRST_BYTE_MOST_S = 10.0  # from START to the first byte; a Pi's camera needs about one second
STALL_MOST_S = 5.0  # a stream is written many times a second; five seconds of silence are the end of it
LAST_BYTE_MOST_S = 3.0  # from STOP to the end of the stream: the encoder's last frames
FAULT_LEAST_S = 10.0  # a refusal can be seen for at least so long


class Gate(enum.Enum):
    """Whether there is a recording."""

    CLOSED = "no recording; watching goes on"
    OPEN = "a recording is being made"
    ENDING = "asked to stop; the last frames are on their way to the disk"
    PAUSED = "no recording, and the camera is closed"
    FAULT = "no recording, and the last one failed, or none is possible"


class Signal(enum.Enum):
    """What can happen to the gate."""

    PRESS = "a finger pressed the button, and everything that a recording needs is there"
    REFUSED = "a finger pressed the button, but something is missing"
    HOLD = "a finger held the button"
    TIME_UP = "the longest clip is reached, or the last frames did not come in time"
    STREAM_END = "the stream from the camera has ended"
    BROKEN = "storage, key, light or stream failed"
    MENDED = "what stood in the way is gone"


class Light(enum.Enum):
    """What the light does."""

    OFF = "off"
    ON = "on"
    SLOW = "blinks slowly"
    FAST = "blinks fast"


LIGHT: dict[Gate, Light] = {
    Gate.CLOSED: Light.OFF,
    Gate.OPEN: Light.ON,
    Gate.ENDING: Light.ON,  # frames are still being written
    Gate.PAUSED: Light.SLOW,
    Gate.FAULT: Light.FAST,
}

WORDS: dict[Gate, str] = {  # for `doorstep status`
    Gate.CLOSED: "ready",
    Gate.OPEN: "recording",
    Gate.ENDING: "recording",
    Gate.PAUSED: "paused",
    Gate.FAULT: "no recording possible",
}

NEXT: dict[Gate, dict[Signal, Gate]] = {
    Gate.CLOSED: {
        Signal.PRESS: Gate.OPEN,
        Signal.REFUSED: Gate.FAULT,
        Signal.HOLD: Gate.PAUSED,
        Signal.TIME_UP: Gate.CLOSED,
        Signal.STREAM_END: Gate.CLOSED,
        Signal.BROKEN: Gate.FAULT,
        Signal.MENDED: Gate.CLOSED,
    },
    Gate.OPEN: {
        Signal.PRESS: Gate.ENDING,
        Signal.REFUSED: Gate.ENDING,  # a press ends a recording whatever is missing for a new one
        Signal.HOLD: Gate.PAUSED,  # at once: who holds the button wants the camera closed
        Signal.TIME_UP: Gate.ENDING,
        Signal.STREAM_END: Gate.FAULT,  # nobody asked for it
        Signal.BROKEN: Gate.FAULT,
        Signal.MENDED: Gate.OPEN,
    },
    Gate.ENDING: {
        Signal.PRESS: Gate.ENDING,
        Signal.REFUSED: Gate.ENDING,
        Signal.HOLD: Gate.PAUSED,
        Signal.TIME_UP: Gate.CLOSED,
        Signal.STREAM_END: Gate.CLOSED,
        Signal.BROKEN: Gate.FAULT,
        Signal.MENDED: Gate.ENDING,
    },
    Gate.PAUSED: {
        Signal.PRESS: Gate.PAUSED,  # the light says why: hold to resume
        Signal.REFUSED: Gate.PAUSED,
        Signal.HOLD: Gate.CLOSED,
        Signal.TIME_UP: Gate.PAUSED,
        Signal.STREAM_END: Gate.PAUSED,
        Signal.BROKEN: Gate.PAUSED,
        Signal.MENDED: Gate.PAUSED,
    },
    Gate.FAULT: {
        Signal.PRESS: Gate.OPEN,
        Signal.REFUSED: Gate.FAULT,
        Signal.HOLD: Gate.PAUSED,
        Signal.TIME_UP: Gate.FAULT,
        Signal.STREAM_END: Gate.FAULT,
        Signal.BROKEN: Gate.FAULT,
        Signal.MENDED: Gate.CLOSED,
    },
}

RECORDS = (Gate.OPEN, Gate.ENDING)  # the states in which video is taken

# A sign of life says the whole state.
ALIVE: dict[Gate, KeepToTell] = {
    Gate.CLOSED: KeepToTell.ALIVE,
    Gate.OPEN: KeepToTell.RECORDING,
    Gate.ENDING: KeepToTell.RECORDING,
    Gate.PAUSED: KeepToTell.PAUSED,
    Gate.FAULT: KeepToTell.FAULT,
}


def told(before: Gate, signal: Signal, after: Gate) -> list[KeepToTell]:
    """Return what the owner's phone is told of a step, in order."""
    words = []
    if before in RECORDS and after not in RECORDS:
        words.append(KeepToTell.RECORDING_ENDED)
    if before is Gate.PAUSED and after is not Gate.PAUSED:
        words.append(KeepToTell.RESUMED)
    if after is Gate.OPEN and before is not Gate.OPEN:
        words.append(KeepToTell.RECORDING_STARTED)
    if after is Gate.PAUSED and before is not Gate.PAUSED:
        words.append(KeepToTell.PAUSED)
    if after is Gate.FAULT and (before in RECORDS or signal is Signal.REFUSED):
        words.append(KeepToTell.RECORDING_FAILED)
    return words


@dataclass(slots=True)
class Times:
    """When things happened to the gate, in seconds of one clock that never goes back."""

    since_s: float  # the state was entered
    first_byte_s: float | None = None  # of the recording
    last_byte_s: float | None = None

    def overdue(self, gate: Gate, now_s: float, longest_s: float) -> Signal | None:
        """Return the signal that time itself gives, if any. None of these opens anything."""
        if gate is Gate.OPEN and self.first_byte_s is None:
            return Signal.BROKEN if now_s - self.since_s >= FIRST_BYTE_MOST_S else None
        if gate is Gate.OPEN and self.first_byte_s is not None and self.last_byte_s is not None:
            if now_s - self.first_byte_s >= longest_s:
                return Signal.TIME_UP
            return Signal.BROKEN if now_s - self.last_byte_s >= STALL_MOST_S else None
        if gate is Gate.ENDING:
            return Signal.TIME_UP if now_s - self.since_s >= LAST_BYTE_MOST_S else None
        return None
