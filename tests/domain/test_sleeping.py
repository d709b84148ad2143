"""The decisions for an instance that sleeps and wakes, as a table and as rules over every situation."""

from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.instances.decisions import decide
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.instances.steps import InstanceFacts, LeaseFacts, NewestSnapshot, Step
from domain.lifecycles import LIFECYCLES
from domain.machines.phases import LeaseOutcome, LeaseState, Power

S, D, L, P = InstanceStatus, Desired, LeaseState, Power
HOME = "lease_home"
SNAPSHOT = NewestSnapshot(id="snap_1", is_verified=True)


def lease(state: LeaseState, power: Power = P.RUNNING, *, id: str = HOME, **more: Any) -> LeaseFacts:
    plain = {"id": id, "state": state, "power": power, "wanted": True, "outcome": LeaseOutcome.PENDING}
    return LeaseFacts.model_validate(plain | more)


def facts(desired: Desired, status: InstanceStatus, present: LeaseFacts | None, **facts: Any) -> InstanceFacts:
    is_open = present is not None and present.state is not L.CLOSED
    plain: dict[str, Any] = {
        "desired": desired,
        "status": status,
        "lease": present,
        "lifecycle": LIFECYCLES[InstanceKind.INTERACTIVE],
        "data_lease_id": HOME,
        "data_lease_is_open": is_open,
        "open_leases": int(is_open),
    }
    return InstanceFacts.model_validate(plain | facts)


NEW = "lease_new"
FIRST: dict[str, Any] = {"data_lease_id": None, "data_lease_is_open": False}
MOVING: dict[str, Any] = {"data_lease_is_open": True, "others_held": True, "open_leases": 2}
SAVED: dict[str, Any] = {"is_saved": True}


@pytest.mark.parametrize(
    ("desired", "status", "present", "given", "step"),
    [
        # the first machine
        (D.RUNNING, S.PROVISIONING, None, FIRST, Step.RESERVE),
        (D.RUNNING, S.PROVISIONING, lease(L.RENTED), FIRST, Step.WAIT_FOR_MACHINE),
        (D.RUNNING, S.STARTING, lease(L.RUNNING), FIRST, Step.RECORD_DATA_MACHINE),
        (D.RUNNING, S.STARTING, lease(L.RUNNING), FIRST | {"restore_requested": "snap_9"}, Step.RESTORE),
        (D.RUNNING, S.STARTING, lease(L.RUNNING), {}, Step.RECORD_RUNNING),
        (D.RUNNING, S.RUNNING, lease(L.RUNNING), {}, Step.STAY),
        (D.RUNNING, S.PROVISIONING, lease(L.CLOSED), FIRST | {"attempts": 5}, Step.CONCLUDE_FAILED),
        # falling asleep
        (D.PAUSED, S.RUNNING, lease(L.RUNNING), {}, Step.PAUSE),
        (D.PAUSED, S.PAUSING, lease(L.RUNNING), {}, Step.PAUSE),
        (D.PAUSED, S.PAUSING, lease(L.RUNNING, P.STOPPED), {}, Step.STAY),
        (D.PAUSED, S.PAUSING, lease(L.STOPPING, P.STOPPED), {}, Step.STAY),
        (D.PAUSED, S.PAUSING, lease(L.STOPPED, P.STOPPED), {}, Step.RECORD_PAUSED),
        (D.PAUSED, S.RESUMING, lease(L.STARTING), {}, Step.POWER_OFF),
        (D.PAUSED, S.PAUSED, lease(L.STOPPED, P.STOPPED), {}, Step.SLEEP),
        (
            *(D.PAUSED, S.PAUSED, lease(L.STOPPED, P.STOPPED, **SAVED)),
            *({"snapshot": NewestSnapshot(id="snap_1")}, Step.VERIFY),
        ),
        # a wish to run in the middle of it
        (D.RUNNING, S.PAUSING, lease(L.RUNNING), {}, Step.RECORD_RUNNING),
        (D.RUNNING, S.PAUSING, lease(L.RUNNING, P.STOPPED), {}, Step.POWER_ON),
        (D.RUNNING, S.PAUSING, lease(L.STOPPING, P.STOPPED), {}, Step.POWER_ON),
        # hibernation
        (
            *(D.HIBERNATED, S.PAUSED, lease(L.STOPPED, P.STOPPED, **SAVED)),
            *({"snapshot": SNAPSHOT}, Step.HIBERNATE),
        ),
        (D.HIBERNATED, S.PAUSED, lease(L.STOPPED, P.STOPPED), {"snapshot": SNAPSHOT}, Step.KEEP_PAUSED),
        (D.HIBERNATED, S.RUNNING, lease(L.RUNNING), {"snapshot": SNAPSHOT}, Step.PAUSE),
        (
            *(D.HIBERNATED, S.HIBERNATING, lease(L.RELEASING, P.STOPPED, wanted=False)),
            *({"snapshot": SNAPSHOT}, Step.WAIT_FOR_RELEASE),
        ),
        (
            *(D.HIBERNATED, S.HIBERNATING, lease(L.CLOSED, P.STOPPED, wanted=False)),
            *({"snapshot": SNAPSHOT}, Step.RECORD_HIBERNATED),
        ),
        (
            *(D.HIBERNATED, S.HIBERNATED, lease(L.CLOSED, P.STOPPED, wanted=False)),
            *({"snapshot": SNAPSHOT}, Step.SLEEP),
        ),
        # waking
        (D.RUNNING, S.PAUSED, lease(L.STOPPED, P.STOPPED), {}, Step.POWER_ON),
        (D.RUNNING, S.RESUMING, lease(L.STOPPED), {}, Step.STAY),
        (D.RUNNING, S.RESUMING, lease(L.STARTING), {}, Step.STAY),
        (D.RUNNING, S.RESUMING, lease(L.RUNNING), {}, Step.RECORD_RUNNING),
        (D.RUNNING, S.RESUMING, lease(L.STOPPED, start_refused="taken"), {}, Step.GIVE_UP_WAKE),
        (
            *(D.RUNNING, S.RESUMING, lease(L.STOPPED, start_refused="taken")),
            *({"snapshot": SNAPSHOT, "restore_requested": "snap_9"}, Step.GIVE_UP_WAKE),
        ),
        (
            *(D.RUNNING, S.RESUMING, lease(L.STOPPED, start_refused="taken", **SAVED)),
            *({"snapshot": SNAPSHOT}, Step.RESERVE),
        ),
        (
            *(D.RUNNING, S.RESUMING, lease(L.STOPPED, start_refused="taken", **SAVED)),
            *({"snapshot": SNAPSHOT, "wakes_left": 0}, Step.GIVE_UP_WAKE),
        ),
        (D.RUNNING, S.PAUSED, lease(L.STOPPED, P.STOPPED, start_refused="taken, before"), {}, Step.POWER_ON),
        (D.RUNNING, S.RESUMING, lease(L.RENTED, id=NEW), MOVING | {"snapshot": SNAPSHOT}, Step.WAIT_FOR_MACHINE),
        (D.RUNNING, S.RESUMING, lease(L.RUNNING, id=NEW), MOVING | {"snapshot": SNAPSHOT}, Step.RESTORE),
        (D.RUNNING, S.RESUMING, lease(L.RUNNING), {"others_held": True}, Step.RELEASE_OTHERS),
        (D.RUNNING, S.HIBERNATED, lease(L.CLOSED, wanted=False), {"snapshot": SNAPSHOT}, Step.RESERVE),
        (
            *(D.RUNNING, S.RESUMING, lease(L.CLOSED, wanted=False)),
            *({"snapshot": SNAPSHOT, "gave_up": True}, Step.GIVE_UP_WAKE),
        ),
        # a move that does not work out, or is not wanted any more
        (
            D.RUNNING,
            S.RESUMING,
            lease(L.RELEASING, id=NEW, wanted=False),
            MOVING | {"snapshot": SNAPSHOT},
            Step.RESERVE,
        ),
        (
            *(D.RUNNING, S.RESUMING, lease(L.CLOSED, id=NEW, wanted=False)),
            *(MOVING | {"snapshot": SNAPSHOT, "gave_up": True}, Step.RETURN_TO_DATA_MACHINE),
        ),
        (D.PAUSED, S.RESUMING, lease(L.RENTED, id=NEW), MOVING | {"snapshot": SNAPSHOT}, Step.RETURN_TO_DATA_MACHINE),
        # a restore in place
        (D.RUNNING, S.RUNNING, lease(L.RUNNING), {"restore_requested": "snap_9"}, Step.RESTORE),
        # stopped or lost under its user's hands
        (D.RUNNING, S.RUNNING, lease(L.STOPPED, P.STOPPED), {}, Step.FALL_ASLEEP),
        (D.RUNNING, S.RUNNING, lease(L.CLOSED, wanted=False), {"snapshot": SNAPSHOT}, Step.FALL_ASLEEP),
        (D.RUNNING, S.RUNNING, lease(L.CLOSED, wanted=False), {}, Step.CONCLUDE_FAILED),
        (D.RUNNING, S.RUNNING, lease(L.RELEASING, wanted=False), {}, Step.WAIT_FOR_RELEASE),
        (D.PAUSED, S.PAUSED, lease(L.CLOSED, wanted=False), {"snapshot": SNAPSHOT}, Step.RECORD_HIBERNATED),
        # the end
        (D.DESTROYED, S.PAUSED, lease(L.STOPPED, P.STOPPED), {}, Step.REQUEST_RELEASE),
        (D.DESTROYED, S.DESTROYING, lease(L.RELEASING, wanted=False), MOVING, Step.RELEASE_OTHERS),
        (D.DESTROYED, S.HIBERNATED, lease(L.CLOSED, wanted=False), {}, Step.CONCLUDE_DESTROYED),
    ],
)
def test_the_next_step_follows_from_the_rows(
    desired: Desired, status: InstanceStatus, present: LeaseFacts | None, given: dict[str, Any], step: Step
) -> None:
    assert decide(facts(desired, status, present, **given)) is step


leases = st.builds(
    lease,
    st.sampled_from(list(LeaseState)),
    st.sampled_from(list(Power)),
    id=st.sampled_from([HOME, NEW]),
    wanted=st.booleans(),
    is_saved=st.booleans(),
    start_refused=st.sampled_from([None, "taken"]),
)
situations = st.builds(
    facts,
    st.sampled_from(list(Desired)),
    st.sampled_from(list(InstanceStatus)),
    st.none() | leases,
    data_lease_id=st.sampled_from([None, HOME]),
    data_lease_is_open=st.booleans(),
    others_held=st.booleans(),
    open_leases=st.integers(0, 2),
    snapshot=st.none() | st.builds(NewestSnapshot, id=st.just("snap_1"), is_verified=st.booleans()),
    restore_requested=st.none() | st.just("snap_9"),
    gave_up=st.booleans(),
    attempts=st.integers(0, 6),
    wakes_left=st.integers(-1, 3),
)


@given(situations)
def test_a_machine_is_given_back_for_sleep_only_when_its_files_are_safe(given_: InstanceFacts) -> None:
    if decide(given_) is Step.HIBERNATE:
        assert given_.lease is not None
        assert given_.lease.is_saved
        assert given_.snapshot is not None
        assert given_.snapshot.is_verified
        assert given_.desired is Desired.HIBERNATED


@given(situations)
def test_the_machine_that_the_files_came_from_is_kept_until_they_run_elsewhere(given_: InstanceFacts) -> None:
    if decide(given_) is Step.RELEASE_OTHERS and given_.desired is not Desired.DESTROYED:
        assume(given_.status is not InstanceStatus.DESTROYING)
        assert given_.is_on_data_machine


@given(situations)
def test_it_leaves_a_disk_that_is_there_only_when_a_snapshot_holds_all_of_it(given_: InstanceFacts) -> None:
    """Also where its owner named another snapshot to restore. (A move that has begun is carried through.)"""
    lease = given_.lease
    if decide(given_) is Step.RESERVE and given_.is_on_data_machine and lease is not None:
        assert lease.is_saved or not lease.wanted or lease.state in (L.RELEASING, L.CLOSED)


@given(situations)
def test_nothing_is_rented_for_what_nobody_wants_running(given_: InstanceFacts) -> None:
    if decide(given_) is Step.RESERVE and given_.data_lease_id is not None:
        assert given_.desired is Desired.RUNNING


@given(situations)
def test_it_fails_only_without_a_machine_and_without_a_copy(given_: InstanceFacts) -> None:
    if decide(given_) is Step.CONCLUDE_FAILED:
        assert given_.open_leases == 0
        assert given_.restorable is None or given_.data_lease_id is None


@given(situations)
def test_steps_that_need_a_machine_are_decided_with_one(given_: InstanceFacts) -> None:
    needing = {
        Step.PAUSE,
        Step.POWER_OFF,
        Step.POWER_ON,
        Step.RESTORE,
        Step.RECORD_DATA_MACHINE,
        Step.RECORD_RUNNING,
        Step.HIBERNATE,
    }
    if decide(given_) in needing:
        assert given_.lease is not None
        assert given_.lease.wanted


BEGUN = [
    (L.RUNNING, L.STOPPING, P.STOPPED),
    (L.STARTING, L.STOPPING, P.STOPPED),
    (L.STOPPING, L.STARTING, P.RUNNING),
    (L.STOPPED, L.STARTING, P.RUNNING),
]


@pytest.mark.parametrize("kind", list(InstanceKind))
@pytest.mark.parametrize(("before", "after", "power"), BEGUN)
def test_that_a_stop_or_a_start_began_changes_no_decision(
    kind: InstanceKind, before: LeaseState, after: LeaseState, power: Power
) -> None:
    """So nobody is told of it. (What runs again though it was stopped is stopped again: of that its holder is told.)"""
    verified = [None, *(NewestSnapshot(id="snap_1", is_verified=each) for each in (True, False))]
    both = (True, False)
    for desired, status, home, data, others, snapshot, saved, restore in product(
        Desired, InstanceStatus, (HOME, NEW), (None, HOME), both, verified, both, (None, "snap_9")
    ):
        given_: dict[str, Any] = {"data_lease_id": data, "others_held": others, "snapshot": snapshot}
        given_ |= {"restore_requested": restore, "lifecycle": LIFECYCLES[kind]}
        shown = [lease(state, power, id=home, is_saved=saved) for state in (before, after)]
        assert len({decide(facts(desired, status, each, **given_)) for each in shown}) == 1
