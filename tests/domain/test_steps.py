"""The instance's decisions, as a table."""

import pytest

from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceFacts, LeaseFacts, Step, next_step
from domain.machines.phases import LeaseOutcome, LeaseState


def lease(state: LeaseState, *, wanted: bool = True) -> LeaseFacts:
    return LeaseFacts(id="lease_1", state=state, wanted=wanted, outcome=LeaseOutcome.PENDING)


def facts(**facts: object) -> InstanceFacts:
    plain = {"desired": Desired.RUNNING, "status": InstanceStatus.PROVISIONING, "open_leases": 0}
    return InstanceFacts.model_validate(plain | facts)


@pytest.mark.parametrize(
    ("given", "step"),
    [
        ({}, Step.RESERVE),
        ({"lease": lease(LeaseState.RESERVED), "open_leases": 1}, Step.WAIT_FOR_MACHINE),
        ({"lease": lease(LeaseState.RENTED), "open_leases": 1}, Step.WAIT_FOR_MACHINE),
        ({"lease": lease(LeaseState.RUNNING), "open_leases": 1}, Step.RECORD_RUNNING),
        ({"lease": lease(LeaseState.RUNNING), "open_leases": 1, "status": InstanceStatus.RUNNING}, Step.STAY),
        ({"lease": lease(LeaseState.STOPPING), "open_leases": 1, "status": InstanceStatus.RUNNING}, Step.STAY),
        ({"lease": lease(LeaseState.STOPPED), "open_leases": 1, "status": InstanceStatus.RUNNING}, Step.RECORD_PAUSED),
        ({"lease": lease(LeaseState.STOPPED), "open_leases": 1, "status": InstanceStatus.PAUSED}, Step.STAY),
        ({"lease": lease(LeaseState.STARTING), "open_leases": 1, "status": InstanceStatus.PAUSED}, Step.STAY),
        ({"lease": lease(LeaseState.RUNNING), "open_leases": 1, "status": InstanceStatus.PAUSED}, Step.RECORD_RUNNING),
        ({"lease": lease(LeaseState.RELEASING), "open_leases": 1, "attempts": 1}, Step.RESERVE),
        ({"lease": lease(LeaseState.RELEASING), "open_leases": 1, "attempts": 5}, Step.WAIT_FOR_RELEASE),
        ({"lease": lease(LeaseState.CLOSED), "attempts": 5}, Step.CONCLUDE_FAILED),
        ({"lease": lease(LeaseState.CLOSED), "attempts": 1, "was_running": True}, Step.CONCLUDE_FAILED),
        ({"gave_up": True, "open_leases": 1}, Step.WAIT_FOR_RELEASE),
        ({"gave_up": True}, Step.CONCLUDE_FAILED),
        ({"gave_up": True, "lease": lease(LeaseState.RESERVED), "open_leases": 1}, Step.WAIT_FOR_MACHINE),
        ({"gave_up": True, "lease": lease(LeaseState.RUNNING), "open_leases": 1}, Step.RECORD_RUNNING),
        ({"gave_up": True, "lease": lease(LeaseState.CLOSED)}, Step.CONCLUDE_FAILED),
        ({"desired": Desired.DESTROYED, "lease": lease(LeaseState.RENTED), "open_leases": 1}, Step.REQUEST_RELEASE),
        ({"desired": Desired.DESTROYED, "lease": lease(LeaseState.RUNNING), "open_leases": 1}, Step.REQUEST_RELEASE),
        (
            {"desired": Desired.DESTROYED, "lease": lease(LeaseState.RENTED, wanted=False), "open_leases": 1},
            Step.WAIT_FOR_RELEASE,
        ),
        ({"desired": Desired.DESTROYED, "lease": lease(LeaseState.CLOSED), "open_leases": 1}, Step.WAIT_FOR_RELEASE),
        ({"desired": Desired.DESTROYED}, Step.CONCLUDE_DESTROYED),
        ({"status": InstanceStatus.FAILED}, Step.NOTHING),
        ({"status": InstanceStatus.DESTROYED, "desired": Desired.DESTROYED}, Step.NOTHING),
    ],
)
def test_the_next_step_follows_from_the_rows(given: dict[str, object], step: Step) -> None:
    assert next_step(facts(**given)) is step


@pytest.mark.parametrize("state", list(LeaseState))
@pytest.mark.parametrize("desired", list(Desired))
def test_nothing_is_concluded_while_a_lease_is_open(state: LeaseState, desired: Desired) -> None:
    step = next_step(facts(desired=desired, lease=lease(state), open_leases=1, attempts=5, was_running=True))
    assert step not in (Step.CONCLUDE_DESTROYED, Step.CONCLUDE_FAILED)
