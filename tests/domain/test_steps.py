"""The decisions for instances that keep no files, as a table."""

from typing import Any

import pytest

from domain.instances.decisions import decide
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.instances.steps import InstanceFacts, LeaseFacts, Step
from domain.lifecycles import LIFECYCLES
from domain.machines.phases import LeaseOutcome, LeaseState, Power

JOB, MODEL = LIFECYCLES[InstanceKind.JOB], LIFECYCLES[InstanceKind.MODEL]
REFUSED: dict[str, Any] = {"start_refused": "its GPU is taken"}


def lease(state: LeaseState, power: Power = Power.RUNNING, *, wanted: bool = True, **more: Any) -> LeaseFacts:
    return LeaseFacts(id="lease_1", state=state, power=power, wanted=wanted, outcome=LeaseOutcome.PENDING, **more)


def facts(**facts: object) -> InstanceFacts:
    plain = {"desired": Desired.RUNNING, "status": InstanceStatus.PROVISIONING, "open_leases": 0, "lifecycle": JOB}
    return InstanceFacts.model_validate(plain | facts)


PARKED = {"desired": Desired.PAUSED, "open_leases": 1, "was_running": True}


@pytest.mark.parametrize(
    ("given", "step"),
    [
        ({}, Step.RESERVE),
        ({"lease": lease(LeaseState.RESERVED), "open_leases": 1}, Step.WAIT_FOR_MACHINE),
        ({"lease": lease(LeaseState.RENTED), "open_leases": 1}, Step.WAIT_FOR_MACHINE),
        ({"lease": lease(LeaseState.RUNNING), "open_leases": 1}, Step.RECORD_RUNNING),
        ({"lease": lease(LeaseState.RUNNING), "open_leases": 1, "status": InstanceStatus.RUNNING}, Step.STAY),
        # parked by the flow that it serves, and unparked
        (PARKED | {"lease": lease(LeaseState.RUNNING), "status": InstanceStatus.RUNNING}, Step.POWER_OFF),
        (PARKED | {"lease": lease(LeaseState.RUNNING, Power.STOPPED), "status": InstanceStatus.RUNNING}, Step.STAY),
        (PARKED | {"lease": lease(LeaseState.STOPPING, Power.STOPPED)}, Step.STAY),
        (PARKED | {"lease": lease(LeaseState.STOPPED, Power.STOPPED)}, Step.RECORD_PAUSED),
        (PARKED | {"lease": lease(LeaseState.STOPPED, Power.STOPPED), "status": InstanceStatus.PAUSED}, Step.SLEEP),
        (PARKED | {"lease": lease(LeaseState.STOPPED, **REFUSED), "status": InstanceStatus.RESUMING}, Step.POWER_OFF),
        (PARKED | {"lease": lease(LeaseState.RENTED)}, Step.WAIT_FOR_MACHINE),
        ({"lease": lease(LeaseState.STOPPED, Power.STOPPED), "status": InstanceStatus.PAUSED}, Step.POWER_ON),
        ({"lease": lease(LeaseState.STARTING), "status": InstanceStatus.RESUMING}, Step.STAY),
        ({"lease": lease(LeaseState.STOPPED, **REFUSED), "status": InstanceStatus.RESUMING}, Step.STAY),
        (
            {"lease": lease(LeaseState.RUNNING), "open_leases": 1, "status": InstanceStatus.RESUMING},
            Step.RECORD_RUNNING,
        ),
        ({"lease": lease(LeaseState.RELEASING), "open_leases": 1, "attempts": 1}, Step.RESERVE),
        ({"lease": lease(LeaseState.RELEASING), "open_leases": 1, "attempts": 5}, Step.WAIT_FOR_RELEASE),
        ({"lease": lease(LeaseState.CLOSED), "attempts": 5}, Step.CONCLUDE_FAILED),
        ({"lease": lease(LeaseState.CLOSED), "attempts": 1, "was_running": True}, Step.CONCLUDE_FAILED),
        ({"lease": lease(LeaseState.CLOSED), "was_running": True, "lifecycle": MODEL}, Step.RESERVE),
        (
            {"lease": lease(LeaseState.CLOSED), "was_running": True, "attempts": 5, "lifecycle": MODEL},
            Step.CONCLUDE_FAILED,
        ),
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
    assert decide(facts(**given)) is step


@pytest.mark.parametrize("state", list(LeaseState))
@pytest.mark.parametrize("desired", list(Desired))
def test_nothing_is_concluded_while_a_lease_is_open(state: LeaseState, desired: Desired) -> None:
    step = decide(facts(desired=desired, lease=lease(state), open_leases=1, attempts=5, was_running=True))
    assert step not in (Step.CONCLUDE_DESTROYED, Step.CONCLUDE_FAILED)
