"""When the owner is told: cooldown, storms, faults. Pure, so hours pass in no time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from device.config import Alerts
from device.messages import DOWN_AFTER_S, SeeToTell
from device.tell.lasting import FAULT_AGAIN_AFTER_S
from device.tell.policy import CALM_AFTER_S, FAULT, MOVES, NEXT, STATUS, Eye, Policy
from device.tell.words import Alert, Status

S, E, A = SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED, SeeToTell.ALIVE
B, C, L, W = SeeToTell.VIEW_BLOCKED, SeeToTell.VIEW_CLEAR, SeeToTell.CAMERA_LOST, SeeToTell.MOVING


def ticked(policy: Policy, from_s: int, to_s: int) -> list[tuple[int, Alert]]:
    """Let the clock tick each second, and nothing else come."""
    return [(second, alert) for second in range(from_s, to_s) for alert in policy.tick(float(second))]


def told(policy: Policy, at_s: list[float], lasts_s: float = 1.0) -> list[tuple[float, Alert]]:
    """Let something move at each of these times, signs of life between; return what is told when."""
    found = []
    for start_s in at_s:
        found += [(start_s, alert) for alert in policy.on(S, start_s)]
        found += [(start_s, alert) for alert in policy.on(E, start_s + lasts_s)]
    return found


def fresh(settings: Alerts | None = None) -> Policy:
    policy = Policy(settings or Alerts(), 0.0)
    assert policy.on(A, 0.0) == []
    return policy


def test_the_first_motion_is_told_at_once() -> None:
    """That is what the product is for."""
    assert told(fresh(), [0.0]) == [(0.0, Alert.MOTION)]


def test_motion_within_the_cooldown_is_not_told_again_and_after_it_is() -> None:
    """One visitor fidgeting is one alert; the next visitor is another."""
    assert [at_s for at_s, _ in told(fresh(), [0, 10, 29, 31, 62])] == [0, 31, 62]


def test_a_storm_is_said_once_and_then_at_most_once_in_ten_minutes() -> None:
    """A flag in the wind must not empty the phone's battery."""
    hour = told(fresh(), [40.0 * n for n in range(90)])
    assert [alert for _, alert in hour[:7]] == [Alert.MOTION] * 6 + [Alert.MOTION_KEEPS_ON]
    rest = hour[6:]
    assert {alert for _, alert in rest} == {Alert.MOTION_KEEPS_ON}
    assert all(later[0] - earlier[0] >= 600 for earlier, later in pairwise(rest))
    assert len(rest) >= 5


def test_after_a_storm_has_calmed_the_next_visitor_is_told_at_once() -> None:
    """The burglar after the windy afternoon."""
    policy = fresh()
    told(policy, [40.0 * n for n in range(20)])
    calm_s = 40.0 * 19 + 1 + CALM_AFTER_S
    assert told(policy, [calm_s + 1]) == [(calm_s + 1, Alert.MOTION)]


def test_no_pattern_of_motion_tells_more_than_the_bound() -> None:
    """Seven alerts before each calm, and one in ten minutes besides, whatever moves."""

    @given(st.lists(st.floats(0, 400), min_size=1, max_size=300))
    def holds(gaps_s: list[float]) -> None:
        at_s, now_s = [], 0.0
        for gap_s in gaps_s:
            now_s += 1.5 + gap_s
            at_s.append(now_s)
        found = [at for at, _ in told(fresh(), at_s)]
        for start_s in found:
            assert sum(start_s <= at < start_s + 300 for at in found) <= 7
        assert found[0] == at_s[0]

    holds()


def test_every_motion_that_starts_ends() -> None:
    """No input leaves motion on without frames."""

    @given(st.lists(st.sampled_from(list(SeeToTell)), max_size=50))
    def holds(words: list[SeeToTell]) -> None:
        policy, now_s = Policy(Alerts(), 0.0), 0.0
        for now_s, word in enumerate(words):
            policy.on(word, float(now_s))
        ticked(policy, int(now_s), int(now_s + DOWN_AFTER_S) + 2)
        assert not policy.moving
        assert policy.status is Status.NO_CAMERA

    holds()


def test_silence_is_no_camera_after_five_seconds_and_not_before() -> None:
    """A dead camera that nobody noticed is the worst failure; a hiccup is none."""
    policy = fresh()
    assert ticked(policy, 0, 6) == []
    assert policy.status is Status.WATCHING
    assert ticked(policy, 6, 60) == [(6, Alert.NO_CAMERA)]
    assert policy.on(A, 61.0) == [Alert.CAMERA_BACK]
    assert policy.status is Status.WATCHING


def test_our_own_absence_is_not_the_cameras() -> None:
    """A suspended machine wakes up to a camera that has had no time to say a word."""
    policy = fresh()
    ticked(policy, 0, 3)
    assert ticked(policy, 100, 105) == []
    assert ticked(policy, 105, 120) == [(106, Alert.NO_CAMERA)]


def test_a_camera_that_dies_soon_after_its_last_fault_is_told_in_the_end() -> None:
    """The owner's last word must never be "camera back" of a camera that is dead."""
    policy = fresh()
    assert policy.on(L, 1.0) == [Alert.NO_CAMERA]
    assert policy.on(A, 30.0) == [Alert.CAMERA_BACK]
    assert policy.on(L, 40.0) == []
    assert ticked(policy, 41, 2000) == [(601, Alert.NO_CAMERA)]


def test_a_sign_of_life_mends_what_was_lost() -> None:
    """A full socket may have cost the end of a motion, its beginning, or a view's clearing."""
    policy = fresh()
    policy.on(S, 1.0)
    policy.on(A, 2.0)
    assert not policy.moving
    policy = fresh()
    assert policy.on(W, 1.0) == [Alert.MOTION]
    assert policy.moving
    assert policy.on(W, 2.0) == []
    policy = fresh()
    policy.on(B, 1.0)
    assert policy.on(A, 2.0) == [Alert.VIEW_CLEAR]
    assert policy.status is Status.WATCHING


def test_a_tell_that_starts_before_a_covered_lens_says_so() -> None:
    """Status must not be "watching" for ever because the word was said before our time."""
    policy = Policy(Alerts(), 100.0)
    assert policy.on(B, 101.0) == [Alert.VIEW_BLOCKED]
    assert policy.status is Status.VIEW_BLOCKED


def test_nobody_says_clear_of_a_view_that_was_only_lost() -> None:
    """A `see` that restarts under a spray can has forgotten how the view should look."""
    policy = fresh()
    policy.on(B, 1.0)
    assert policy.on(L, 2.0) == [Alert.NO_CAMERA]
    assert policy.on(A, 3.0) == [Alert.CAMERA_BACK]


def test_visits_that_waited_for_tell_are_apart_as_they_were() -> None:
    """What came minutes apart while `tell` was down is not one visit, nor a reason to be silent now."""
    policy = Policy(Alerts(), 1000.0)
    assert [policy.on(S, at_s) for at_s in (400.0, 990.0)] == [[Alert.MOTION], [Alert.MOTION]]
    policy.on(E, 991.0)
    assert policy.on(S, 1021.0) == [Alert.MOTION]


def test_a_lost_camera_is_told_at_once() -> None:
    """`see` knows it at once, so the owner does."""
    assert fresh().on(SeeToTell.CAMERA_LOST, 1.0) == [Alert.NO_CAMERA]


def test_a_camera_that_was_never_there_is_told() -> None:
    """After a power cut the ribbon may be loose; nothing must look well just because nothing came."""
    policy = Policy(Alerts(), 100.0)
    assert policy.status is None
    assert ticked(policy, 100, 110) == [(106, Alert.NO_CAMERA)]


def test_a_loose_ribbon_is_told_once_not_a_hundred_times() -> None:
    """At three in the morning one alert is enough; the status follows every change all the same."""
    policy, alerts = fresh(), []
    for n in range(100):
        alerts += policy.on(SeeToTell.CAMERA_LOST, 10.0 * n)
        assert policy.status is Status.NO_CAMERA
        alerts += policy.on(A, 10.0 * n + 5)
        assert policy.status is Status.WATCHING
    assert alerts == [Alert.NO_CAMERA, Alert.CAMERA_BACK] * 2
    assert FAULT_AGAIN_AFTER_S == 600


def test_a_blocked_view_is_told_and_so_is_its_end() -> None:
    """Somebody with a spray can."""
    policy = fresh()
    assert policy.on(SeeToTell.VIEW_BLOCKED, 1.0) == [Alert.VIEW_BLOCKED]
    assert policy.on(B, 2.0) == []
    assert policy.on(S, 2.5) == [Alert.MOTION]
    assert policy.status is Status.VIEW_BLOCKED
    assert policy.on(SeeToTell.VIEW_CLEAR, 3.0) == [Alert.VIEW_CLEAR]


def test_a_blocked_view_that_then_dies_is_both() -> None:
    """First the spray, then the wire."""
    policy = fresh()
    policy.on(SeeToTell.VIEW_BLOCKED, 1.0)
    assert policy.on(SeeToTell.CAMERA_LOST, 2.0) == [Alert.NO_CAMERA]
    assert policy.on(SeeToTell.VIEW_BLOCKED, 3.0) == [Alert.CAMERA_BACK]
    assert policy.on(SeeToTell.VIEW_CLEAR, 4.0) == [Alert.VIEW_CLEAR]


def test_the_tables_are_complete() -> None:
    """Every message has a meaning in every state, and every state a word."""
    assert set(NEXT) == set(STATUS) == set(Eye)
    assert set(MOVES) == set(SeeToTell)
    assert all(set(row) == set(SeeToTell) for row in NEXT.values())
    assert all(Eye.UNKNOWN not in row.values() for row in NEXT.values())
    assert set(FAULT) == {eye for eye in Eye if STATUS[eye] not in (None, Status.WATCHING)}
