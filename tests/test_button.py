"""What the owner is told of the record button. Pure, so hours pass in no time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.config import Alerts, Config
from device.errors import ConfigError
from device.messages import KeepToTell, SeeToTell
from device.tell.button import FAULT_LASTS_S, HAPPENS, PRESSES_MOST, SAYS, START_MOST_S, TOLD, Button
from device.tell.lasting import FAULT_AGAIN_AFTER_S, Lasting
from device.tell.outbox import MOST
from device.tell.policy import Policy
from device.tell.words import ENGLISH, PAYLOAD_MOST_BYTES, Alert, Status, Words

R, E, F, G = KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING_FAILED, KeepToTell.RECORDING
P, Q, S, X, K = KeepToTell.PAUSED, KeepToTell.RESUMED, KeepToTell.STORAGE_LOW, KeepToTell.FAULT, KeepToTell.ALIVE
A, L, M, B = SeeToTell.ALIVE, SeeToTell.CAMERA_LOST, SeeToTell.MOTION_STARTED, SeeToTell.VIEW_BLOCKED

AGAIN, PAUSED, RECORDING = Alert.WATCHING_AGAIN, Alert.WATCHING_PAUSED, Alert.RECORDING
FAILED, LOW, POSSIBLE = Alert.RECORDING_FAILED, Alert.STORAGE_LOW, Alert.RECORDING_POSSIBLE
NO_BUTTON, BACK, NO_RECORDING = Alert.NO_BUTTON, Alert.BUTTON_BACK, Alert.NO_RECORDING

Message = SeeToTell | KeepToTell
ANYTHING = st.lists(st.tuples(st.sampled_from([*SeeToTell, *KeepToTell]), st.floats(0, 30)), max_size=80)


def linked(*messages: Message, at_s: float = 0.0) -> Policy:
    """A policy with a button, started at zero, that was told `messages` in one moment."""
    policy = Policy(Alerts(), 0.0, Button(0.0))
    for message in messages:
        policy.on(message, at_s)
    return policy


def live(policy: Policy, from_s: int, to_s: int, *signs: Message) -> list[tuple[int, Alert]]:
    """Let the clock tick each second, with these signs of life before each tick and nothing else."""
    found = []
    for second in range(from_s, to_s):
        for sign in signs:
            found += [(second, alert) for alert in policy.on(sign, float(second))]
        found += [(second, alert) for alert in policy.tick(float(second))]
    return found


def recording() -> Policy:
    return linked(A, K, R)


def paused() -> Policy:
    return linked(A, K, P)


def at_fault() -> Policy:
    policy = linked(A, K)
    assert live(policy, 0, 35, A, X) == [(FAULT_LASTS_S, NO_RECORDING)]
    return policy


def lost() -> Policy:
    policy = linked(A, K)
    assert NO_BUTTON in [alert for _, alert in live(policy, 0, 8, A)]
    return policy


# What every message makes the owner hear in every state; a message that is not named tells nothing.
HEARD: dict[str, tuple[Policy, dict[KeepToTell, list[Alert]]]] = {
    "just started": (linked(), {R: [RECORDING], G: [RECORDING], F: [FAILED], P: [PAUSED], S: [LOW]}),
    "ready": (linked(A, K), {R: [RECORDING], G: [RECORDING], F: [FAILED], P: [PAUSED], S: [LOW]}),
    "recording": (recording(), {F: [FAILED], P: [PAUSED], S: [LOW]}),
    "paused": (paused(), {R: [AGAIN, RECORDING], G: [AGAIN, RECORDING], F: [FAILED], S: [LOW], Q: [AGAIN], X: [AGAIN],
                          K: [AGAIN]}),
    "at fault": (at_fault(), {R: [RECORDING, POSSIBLE], G: [RECORDING, POSSIBLE], F: [FAILED], P: [PAUSED], S: [LOW],
                              K: [POSSIBLE]}),
    "lost": (lost(), {R: [BACK, RECORDING], G: [BACK, RECORDING], F: [BACK, FAILED], P: [BACK, PAUSED], S: [BACK, LOW],
                      E: [BACK], Q: [BACK], X: [BACK], K: [BACK]}),
}


@pytest.mark.parametrize("message", KeepToTell, ids=lambda message: message.name)
@pytest.mark.parametrize("state", HEARD)
def test_every_message_in_every_state_says_what_the_table_says(state: str, message: KeepToTell) -> None:
    """No combination may surprise the owner, and a recording that goes on may never look like none."""
    import copy

    before, heard = HEARD[state]
    policy = copy.deepcopy(before)
    assert policy.on(message, 40.0) == heard.get(message, [])
    assert bool(policy.recording) is (message in (R, G) or (message in (Q, S) and state == "recording"))
    assert (policy.status is Status.PAUSED) is (message is P or (message in (E, F, S) and state == "paused"))


def test_the_tables_are_complete() -> None:
    """Every message has a meaning; every alert of the button has its words, its end and its limit."""
    assert set(SAYS) == set(KeepToTell)
    told = set(TOLD) | {end for end, _ in TOLD.values() if end}
    assert told == {*Alert} - {Alert.MOTION, Alert.MOTION_KEEPS_ON, Alert.NO_CAMERA, Alert.CAMERA_BACK,
                               Alert.VIEW_BLOCKED, Alert.VIEW_CLEAR}
    assert set(HAPPENS.values()) <= set(TOLD)
    assert [says for says in SAYS.values() if says.recording and (says.paused or says.fault)] == []


def test_a_sign_of_life_says_the_whole_state() -> None:
    """So whatever a full socket has cost is mended within a second; only of a fault a pause says nothing."""
    for sign in (G, P, X, K):
        assert SAYS[sign] == (sign is G, sign is P, None if sign is P else sign is X)


@given(ANYTHING)
def test_no_sequence_leaves_recording_on_when_keep_is_silent(words: list[tuple[Message, float]]) -> None:
    """No input makes a recording look as if it went on for ever: the gate closes with keep."""
    policy, now_s = linked(K), 0.0
    for word, gap_s in words:
        now_s += gap_s
        policy.on(word, now_s)
        policy.tick(now_s)
    for later_s in range(7):  # only `see` is alive
        policy.on(A, now_s + later_s)
        policy.tick(now_s + later_s)
    assert policy.recording is False
    policy.on(A, now_s + 7)
    assert policy.status is Status.WATCHING  # nor does a pause go on


@given(ANYTHING)
def test_no_sequence_makes_a_pause_look_like_a_dead_camera(words: list[tuple[Message, float]]) -> None:
    """No input of `see` makes the owner run to a camera that is closed on purpose."""
    policy, now_s = linked(), 0.0
    for word, gap_s in words:
        now_s += gap_s
        paused = policy.button.paused
        alerts = policy.on(word, now_s) + policy.tick(now_s)
        if paused and policy.button.paused:
            assert not {Alert.NO_CAMERA, Alert.CAMERA_BACK, Alert.VIEW_BLOCKED, Alert.VIEW_CLEAR} & set(alerts)
            assert policy.status is Status.PAUSED
            assert not policy.moving


@given(ANYTHING, st.text(min_size=1, max_size=60))
def test_no_sequence_leaves_the_closed_vocabulary(words: list[tuple[Message, float]], place: str) -> None:
    """No input gets a word out of the house that is not on the list, nor one that is too long."""
    try:
        say = Words("front-door", Config(place=place).place)
    except ConfigError:
        return
    policy, now_s = linked(), 0.0
    for word, gap_s in words:
        now_s += gap_s
        for alert in policy.on(word, now_s) + policy.tick(now_s):
            assert say.alert(alert, 0).payload == ENGLISH.phrases[alert].format(place=place)
        assert policy.status in {*Status, None}
        assert policy.recording in {True, False, None}


def test_the_longest_place_fits_into_every_alert_however_late() -> None:
    """The limit is the contract's; the configuration must not be able to break it."""
    place = Config(place="ä" * 30).place
    for alert in Alert:
        for publish in (Words("d", place).alert(alert, 59), Words("d", place).event(alert, 59)):
            assert len(publish.payload.encode()) <= PAYLOAD_MOST_BYTES


def crowd(told: list[tuple[float, Alert]]) -> int:
    """The most alerts of one kind within ten minutes."""
    return max((Counter(alert for at_s, alert in told if from_s <= at_s < from_s + FAULT_AGAIN_AFTER_S).most_common(1)[0][1]
                for from_s, _ in told), default=0)


def test_the_count_of_a_crowd_can_be_too_high() -> None:
    """The check below is able to fail."""
    assert crowd([]) == 0
    assert crowd([(float(n), Alert.RECORDING) for n in range(9)]) == 9
    assert crowd([(0.0, Alert.RECORDING), (600.0, Alert.RECORDING), (1.0, Alert.NO_BUTTON)]) == 1


@given(st.lists(st.tuples(st.sampled_from(list(KeepToTell)), st.floats(0, 12)), max_size=200))
@example([(word, 0.25) for _ in range(100) for word in (P, Q)])
@example([(word, 0.25) for _ in range(100) for word in (R, F)])
@example([(S, 0.25)] * 200)
def test_no_sequence_of_keep_tells_more_than_the_bound(words: list[tuple[KeepToTell, float]]) -> None:
    """No input of a taken `keep` fills the outbox: what `see` has to say must keep its place."""
    policy, now_s, told = linked(), 0.0, []
    for word, gap_s in words:
        now_s += gap_s
        told += [(now_s, alert) for alert in policy.on(word, now_s) + policy.on(A, now_s) + policy.tick(now_s)]
    assert crowd(told) <= PRESSES_MOST
    assert 2 * sum(most for _, most in TOLD.values()) < MOST  # each with its end, and room for motion


def test_a_recording_is_told_once_and_its_state_follows_it() -> None:
    """The one case in which video exists."""
    policy = linked(A, K)
    assert policy.recording is False
    assert policy.on(R, 1.0) == [RECORDING]
    assert live(policy, 2, 40, A, G) == []
    assert policy.recording is True
    assert policy.on(E, 40.0) == []
    assert policy.recording is False
    assert policy.status is Status.WATCHING


def test_a_recording_whose_beginning_was_lost_is_told_by_its_sign_of_life() -> None:
    """A full socket must not make a recording secret."""
    assert linked(A, K).on(G, 1.0) == [RECORDING]


def test_the_seventh_recording_in_ten_minutes_is_seen_and_not_told_and_a_pause_still_is() -> None:
    """A child plays with the button: patience has an end; but it must not hide a pause behind it."""
    policy = linked(A, K)
    told = [alert for n in range(9) for word in (R, E) for alert in policy.on(word, 1.0 + n)]
    assert told == [RECORDING] * PRESSES_MOST
    policy.on(R, 20.0)
    assert policy.recording is True
    assert policy.on(P, 30.0) == [PAUSED]


def test_a_recording_that_lasts_is_told_when_the_limit_allows_it() -> None:
    """Nobody gets a long recording untold by pressing often before it."""
    policy = linked(A, K)
    for n in range(PRESSES_MOST):
        policy.on(R, float(n))
        policy.on(E, float(n))
    assert live(policy, 10, 700, A, G) == [(600, RECORDING)]


def test_a_failed_recording_is_told_at_each_press_and_a_lasting_fault_once() -> None:
    """Who pressed must learn that there is no clip; who did not, that there would be none."""
    policy = linked(A, K)
    assert [policy.on(F, at_s) for at_s in (1.0, 1.0, 2.0)] == [[FAILED]] * 3
    assert live(policy, 3, 100, A, X) == [(3 + FAULT_LASTS_S, NO_RECORDING)]
    assert policy.recording is False
    assert live(policy, 100, 103, A, K) == [(100, POSSIBLE)]
    assert live(policy, 103, 1000, A, X) == [(3 + FAULT_LASTS_S + 600, NO_RECORDING)]


def test_the_fault_that_follows_a_failed_recording_is_not_told_beside_it() -> None:
    """`keep` shows it for a while so that it can be seen; it was told already, and the next press may well succeed."""
    policy = linked(A, K)
    told = policy.on(F, 0.0)
    for second in range(0, 200, 40):
        told += [alert for _, alert in live(policy, second, second + 20, A, X)]
        told += [alert for _, alert in live(policy, second + 20, second + 40, A, K)]
    assert told == [FAILED]


def test_low_storage_is_told_at_most_once_in_ten_minutes() -> None:
    """It is no emergency, and every clip makes it lower."""
    policy = linked(A, K)
    told = [at_s for at_s in range(0, 1300, 10) for alert in policy.on(S, float(at_s)) if alert is LOW]
    assert told == [0, 600, 1200]


def test_a_keep_that_falls_silent_is_told_and_so_is_its_return() -> None:
    """A button that does nothing is found out by the alert, not by the burglary."""
    policy = recording()
    told = live(policy, 1, 60, A)
    assert told == [(6, NO_BUTTON)]
    assert policy.recording is False
    assert policy.on(K, 61.0) == [BACK]
    assert live(policy, 62, 120, A, K) == []


def test_a_keep_that_never_speaks_is_told_after_ten_seconds_and_one_that_there_is_not_never() -> None:
    """It is started after us, so it has a little longer; a door without a button misses nothing."""
    assert live(linked(), 0, 60, A) == [(START_MOST_S + 1, NO_BUTTON)]
    policy = linked(K)
    assert live(policy, 1, 60, A) == [(6, NO_BUTTON)]
    without = Policy(Alerts(), 0.0)
    assert live(without, 0, 60, A) == []
    assert without.recording is None


def test_our_own_absence_is_not_keeps() -> None:
    """A suspended machine wakes up to a keep that has had no time to say a word."""
    policy = linked(A, K)
    live(policy, 0, 3, A, K)
    assert live(policy, 100, 105, A) == []
    assert live(policy, 105, 120, A) == [(106, NO_BUTTON)]


def test_a_keep_that_comes_back_with_a_fault_says_so_again() -> None:
    """The owner's last word must not be that the button works."""
    policy = at_fault()
    assert live(policy, 35, 60, A) == [(40, NO_BUTTON)]
    assert live(policy, 60, 100, A, X) == [(60, BACK), (60 + FAULT_LASTS_S, NO_RECORDING)]


def test_a_pause_is_no_dead_camera_and_ends_motion() -> None:
    """The camera is closed because the owner wants it so."""
    policy = linked(A, K)
    policy.on(M, 1.0)
    assert policy.on(P, 2.0) == [PAUSED]
    assert not policy.moving
    assert live(policy, 3, 3600, P) == []
    assert policy.status is Status.PAUSED
    assert policy.on(Q, 3600.0) == [AGAIN]
    assert policy.on(A, 3602.0) == []
    assert policy.status is Status.WATCHING


@pytest.mark.parametrize("word", [L, B, A])
def test_what_the_eye_says_of_itself_in_a_pause_counts_for_nothing(word: SeeToTell) -> None:
    """A camera that is being closed may well look lost or covered."""
    policy = paused()
    assert policy.on(word, 1.0) == []
    assert policy.status is Status.PAUSED
    assert live(policy, 1, 100, P) == []
    assert live(policy, 100, 110, K, A) == [(100, AGAIN)]


def test_motion_in_a_pause_is_told() -> None:
    """A camera that is open though it should be closed is the last thing to be silent about."""
    policy = paused()
    assert policy.on(M, 1.0) == [Alert.MOTION]
    assert not policy.moving


@pytest.mark.parametrize("end", [Q, K], ids=["resumed", "its sign of life"])
@pytest.mark.parametrize("before", [(), (L,), (B,)], ids=["seeing", "lost", "blocked"])
def test_a_pause_hides_no_dead_camera(before: tuple[SeeToTell, ...], end: KeepToTell) -> None:
    """After it the eye has five seconds; a camera that died meanwhile is told, though it was told before the pause."""
    policy = linked(A, K, *before, P)
    assert live(policy, 1, 100, P) == []
    assert policy.on(end, 100.0) == [AGAIN]
    assert policy.status is None  # "paused" stands until somebody knows better
    assert live(policy, 100, 130, K) == [(106, Alert.NO_CAMERA)]
    assert policy.status is Status.NO_CAMERA


def test_a_pause_that_nobody_vouches_for_is_none() -> None:
    """A keep that died in a pause must not hide for ever whether anybody watches."""
    policy = paused()
    assert live(policy, 1, 60) == [(6, NO_BUTTON), (12, Alert.NO_CAMERA)]
    assert policy.status is Status.NO_CAMERA
    policy = paused()
    assert live(policy, 1, 8) == [(6, NO_BUTTON)]
    assert live(policy, 8, 60, A) == []
    assert policy.status is Status.WATCHING


def test_a_crowded_pause_is_told_later_while_it_lasts() -> None:
    """Nobody hides a pause by pausing often."""
    policy = linked(A, K)
    told = [alert for n in range(7) for word in (P, Q) for alert in policy.on(word, float(n))]
    assert told == [PAUSED, AGAIN] * PRESSES_MOST
    assert live(policy, 7, 1000, P) == [(600, PAUSED)]


def test_what_lasts_is_told_once_its_end_only_if_known() -> None:
    """The owner's last word must be the truth."""
    fault = Lasting(Alert.NO_BUTTON, Alert.BUTTON_BACK)
    assert fault.now(False, 0.0) == []
    assert [fault.now(True, at_s) for at_s in (0.0, 1.0, 700.0)] == [[Alert.NO_BUTTON], [], []]
    assert fault.now(None, 701.0) == []
    assert fault.now(False, 702.0) == []
    assert fault.now(True, 703.0) == [Alert.NO_BUTTON]
    assert fault.now(False, 704.0) == [Alert.BUTTON_BACK]
    assert fault.now(True, 705.0) == []
    assert fault.now(False, 706.0) == []
