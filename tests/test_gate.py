"""The gate: only a finger opens it, whatever else happens, and every state has its light."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.keep.gate import (
    ALIVE,
    FIRST_BYTE_MOST_S,
    LAST_BYTE_MOST_S,
    LIGHT,
    NEXT,
    RECORDS,
    STALL_MOST_S,
    Gate,
    Light,
    Signal,
    Times,
    told,
)
from device.messages import KeepToTell


def test_the_table_is_complete() -> None:
    """A state that forgets a signal would be decided by chance."""
    assert set(NEXT) == set(LIGHT) == set(ALIVE) == set(Gate)
    for gate, steps in NEXT.items():
        assert set(steps) == set(Signal), gate


def test_inv_button_opens_the_gate_and_nothing_else_does() -> None:
    """The promise, in one line of the table."""
    opens = {(gate, signal) for gate in Gate for signal in Signal if NEXT[gate][signal] is Gate.OPEN and gate is not Gate.OPEN}
    assert opens == {(Gate.CLOSED, Signal.PRESS), (Gate.FAULT, Signal.PRESS)}


@given(st.lists(st.sampled_from([signal for signal in Signal if signal is not Signal.PRESS])))
def test_inv_button_opens_the_gate_no_sequence_without_a_press_records(signals: list[Signal]) -> None:
    """Whatever happens to the device, in whatever order: without a finger there is no video."""
    gate = Gate.CLOSED
    for signal in signals:
        gate = NEXT[gate][signal]
        assert gate not in RECORDS


@given(st.lists(st.sampled_from(list(Signal))))
def test_inv_closed_at_boot_every_recording_had_a_press_of_its_own(signals: list[Signal]) -> None:
    """One press, one recording: an error in between never leads back into it."""
    gate, recordings = Gate.CLOSED, 0
    for signal in signals:
        before, gate = gate, NEXT[gate][signal]
        recordings += gate is Gate.OPEN and before is not Gate.OPEN
        if before in RECORDS and signal in (Signal.BROKEN, Signal.HOLD):
            assert gate not in RECORDS
    assert recordings <= signals.count(Signal.PRESS)


def test_inv_light_tells_the_truth_of_every_state() -> None:
    """Whoever stands at the door can see whether they are recorded: the light is on then, and only then."""
    for gate in Gate:
        assert (LIGHT[gate] is Light.ON) is (gate in RECORDS)
        assert (ALIVE[gate] is KeepToTell.RECORDING) is (gate in RECORDS)
    assert len({LIGHT[gate] for gate in Gate if gate not in RECORDS}) == len(Gate) - len(RECORDS)


@given(st.lists(st.sampled_from(list(Signal))))
def test_every_recording_that_was_told_to_start_is_told_to_end(signals: list[Signal]) -> None:
    """A phone that shows "recording" for ever is believed once."""
    gate, on, paused = Gate.CLOSED, False, False
    for signal in signals:
        before, gate = gate, NEXT[gate][signal]
        for word in told(before, signal, gate):
            if word in (KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED):
                assert on is not (word is KeepToTell.RECORDING_STARTED)
                on = word is KeepToTell.RECORDING_STARTED
            if word in (KeepToTell.PAUSED, KeepToTell.RESUMED):
                assert paused is not (word is KeepToTell.PAUSED)
                paused = word is KeepToTell.PAUSED
        assert on is (gate in RECORDS)
        assert paused is (gate is Gate.PAUSED)


@pytest.mark.parametrize("gate", list(Gate))
def test_a_press_that_leads_to_nothing_is_told(gate: Gate) -> None:
    """The finger is gone by the time the light blinks; the phone is not."""
    after = NEXT[gate][Signal.REFUSED]
    assert (KeepToTell.RECORDING_FAILED in told(gate, Signal.REFUSED, after)) is (after is Gate.FAULT)


@pytest.mark.parametrize(("gate", "times", "now_s", "signal"), [
    (Gate.OPEN, Times(0), FIRST_BYTE_MOST_S - 0.1, None),
    (Gate.OPEN, Times(0), FIRST_BYTE_MOST_S, Signal.BROKEN),
    (Gate.OPEN, Times(0, 1, 1 + 0.5), 1.5 + STALL_MOST_S - 0.1, None),
    (Gate.OPEN, Times(0, 1, 1 + 0.5), 1.5 + STALL_MOST_S, Signal.BROKEN),
    (Gate.OPEN, Times(0, 1, 60.9), 60.9, None),
    (Gate.OPEN, Times(0, 1, 61), 61, Signal.TIME_UP),
    (Gate.ENDING, Times(0, 1, 61), LAST_BYTE_MOST_S - 0.1, None),
    (Gate.ENDING, Times(0, 1, 61), LAST_BYTE_MOST_S, Signal.TIME_UP),
    *((gate, Times(0), 1e9, None) for gate in Gate if gate not in RECORDS),
])
def test_time_ends_a_recording_and_never_begins_one(gate: Gate, times: Times, now_s: float, signal: Signal | None) -> None:
    """The longest clip is 60 s unless configured; a stream that falls silent is over."""
    assert times.overdue(gate, now_s, 60) is signal


def test_inv_closed_at_boot_the_gate_is_left_from_every_state_that_records() -> None:
    """No state that records can last: press, time and stream each lead out of it."""
    for gate, signal in itertools.product(RECORDS, (Signal.STREAM_END, Signal.BROKEN, Signal.HOLD)):
        assert NEXT[gate][signal] not in RECORDS
