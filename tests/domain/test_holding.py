"""What is done next with a machine that keeps files, as a table and as rules over everything that can be seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.machines.machines import MachineSeen, Seen, believed_at
from domain.machines.phases import LeaseState, Power
from domain.machines.power import PowerStep, next_power_step, overdue_at

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATIENCE, STALL = timedelta(seconds=60), timedelta(minutes=3)
L, P = LeaseState, Power
HELD = [L.RUNNING, L.STOPPING, L.STOPPED, L.STARTING]


def next_of(
    state: LeaseState,
    power: Power,
    seen: Seen,
    *,
    ago: float = 1.0,
    moved_ago: float = 1.0,
    start_refused: bool = False,
) -> PowerStep:
    return next_power_step(
        state,
        power,
        MachineSeen(state=seen, since=NOW - timedelta(seconds=ago)),
        now=NOW,
        patience=PATIENCE,
        moved_at=NOW - timedelta(seconds=moved_ago),
        stall=STALL,
        start_refused=start_refused,
    )


@pytest.mark.parametrize(
    ("state", "power", "seen", "more", "holding"),
    [
        (L.RUNNING, P.RUNNING, Seen.UP, {}, PowerStep.WAIT),
        (L.RUNNING, P.STOPPED, Seen.UP, {}, PowerStep.SWITCH_OFF),
        (L.RUNNING, P.RUNNING, Seen.STOPPED, {}, PowerStep.WAIT),
        (L.RUNNING, P.RUNNING, Seen.STOPPED, {"ago": 61}, PowerStep.FOUND_STOPPED),
        (L.RUNNING, P.RUNNING, Seen.OFFLINE, {"ago": 9999}, PowerStep.WAIT),
        (L.RUNNING, P.RUNNING, Seen.ABSENT, {"ago": 61}, PowerStep.LOST),
        (L.STOPPING, P.STOPPED, Seen.UP, {}, PowerStep.WAIT),
        (L.STOPPING, P.STOPPED, Seen.UP, {"moved_ago": 61}, PowerStep.SWITCH_OFF),
        (L.STOPPING, P.STOPPED, Seen.STOPPING, {"moved_ago": 179}, PowerStep.WAIT),
        (L.STOPPING, P.STOPPED, Seen.STOPPING, {"moved_ago": 180}, PowerStep.SWITCH_OFF),
        (L.STOPPING, P.RUNNING, Seen.STOPPING, {"moved_ago": 180}, PowerStep.SWITCH_ON),
        (L.STOPPING, P.STOPPED, Seen.STOPPED, {}, PowerStep.RECORD_STOPPED),
        (L.STOPPING, P.RUNNING, Seen.STOPPED, {}, PowerStep.RECORD_STOPPED),
        (L.STOPPED, P.STOPPED, Seen.STOPPED, {"ago": 9999}, PowerStep.WAIT),
        (L.STOPPED, P.STOPPED, Seen.UP, {}, PowerStep.WAIT),
        (L.STOPPED, P.STOPPED, Seen.UP, {"ago": 61}, PowerStep.FOUND_RUNNING),
        (L.STOPPED, P.STOPPED, Seen.UP, {"start_refused": True}, PowerStep.SWITCH_OFF),
        (L.STOPPED, P.STOPPED, Seen.ABSENT, {"ago": 61}, PowerStep.LOST),
        (L.STOPPED, P.RUNNING, Seen.STOPPED, {}, PowerStep.SWITCH_ON),
        (L.STOPPED, P.RUNNING, Seen.STOPPED, {"start_refused": True}, PowerStep.WAIT),
        (L.STARTING, P.RUNNING, Seen.STOPPED, {}, PowerStep.WAIT),
        (L.STARTING, P.RUNNING, Seen.BOOTING, {"moved_ago": 179}, PowerStep.WAIT),
        (L.STARTING, P.RUNNING, Seen.STOPPED, {"moved_ago": 180}, PowerStep.GIVE_UP_START),
        (L.STARTING, P.RUNNING, Seen.UP, {"moved_ago": 9999}, PowerStep.PROBE),
        (L.STARTING, P.STOPPED, Seen.BOOTING, {}, PowerStep.SWITCH_OFF),
    ],
)
def test_the_next_thing_follows_from_the_lease_and_the_look(
    state: LeaseState, power: Power, seen: Seen, more: dict[str, Any], holding: PowerStep
) -> None:
    assert next_of(state, power, seen, **more) is holding


looks = st.fixed_dictionaries(
    {
        "state": st.sampled_from(HELD),
        "power": st.sampled_from(list(Power)),
        "seen": st.sampled_from(list(Seen)),
        "ago": st.floats(0, 10_000),
        "moved_ago": st.floats(0, 10_000),
        "start_refused": st.booleans(),
    }
)


@given(looks)
def test_a_machine_with_files_is_lost_only_when_it_is_gone_for_long(look: dict[str, Any]) -> None:
    lost = next_of(**look) is PowerStep.LOST
    assert lost == (look["seen"] is Seen.ABSENT and look["ago"] >= PATIENCE.total_seconds())


@given(looks)
def test_one_look_is_no_proof_that_a_person_started_or_stopped_it(look: dict[str, Any]) -> None:
    if next_of(**look) in (PowerStep.FOUND_RUNNING, PowerStep.FOUND_STOPPED):
        assert look["ago"] >= PATIENCE.total_seconds()


@given(looks)
def test_what_is_waited_for_to_be_believed_is_decided_then(look: dict[str, Any]) -> None:
    """No look is forgotten: where its age alone would change the decision, that moment is known."""
    young = next_of(**look | {"ago": 0.0})
    old = next_of(**look | {"ago": PATIENCE.total_seconds()})
    seen = MachineSeen(state=look["seen"], since=NOW)
    if young is not old:
        assert believed_at(seen, PATIENCE, is_stopped=look["state"] is L.STOPPED) == NOW + PATIENCE


@given(looks)
def test_no_stop_and_no_start_is_waited_for_for_ever(look: dict[str, Any]) -> None:
    """After the moment that is waited for something is done; what is lost by then, or surely up, is no wait either."""
    state, seen = look["state"], MachineSeen(state=look["seen"])
    due = overdue_at(state, seen, patience=PATIENCE, moved_at=NOW, stall=STALL)
    if due is not None and seen.state is not Seen.ABSENT:
        late = next_of(**look | {"moved_ago": (due - NOW).total_seconds()})
        assert late is not PowerStep.WAIT


@given(looks)
def test_nothing_is_started_that_shall_be_stopped(look: dict[str, Any]) -> None:
    if look["power"] is Power.STOPPED:
        assert next_of(**look) not in (PowerStep.SWITCH_ON, PowerStep.PROBE)


@given(looks)
def test_a_start_that_was_given_up_is_not_made_again_by_itself(look: dict[str, Any]) -> None:
    if look["start_refused"] and look["state"] is L.STOPPED:
        assert next_of(**look) not in (PowerStep.SWITCH_ON, PowerStep.FOUND_RUNNING)
