"""What an instance's flow remembers between two decisions is no verdict over a later wish."""

from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import NewestSnapshot, Step
from domain.machines.phases import LeaseState
from domain.workflow_contracts import InstanceInput
from tests.domain.test_sleeping import HOME, facts, lease
from workflows.instance import InstanceWorkflow


def test_a_search_that_found_nothing_for_a_wish_called_off_fails_no_later_wake() -> None:
    flow = InstanceWorkflow(InstanceInput(instance_id=1))
    gone = lease(LeaseState.CLOSED, id=HOME, wanted=False)
    snapshot = NewestSnapshot(id="snap_1", is_verified=True)
    flow._state.gave_up = "no offers"
    asleep = facts(Desired.HIBERNATED, InstanceStatus.HIBERNATED, gone, snapshot=snapshot)
    assert flow._decide(asleep) is Step.SLEEP
    waking = facts(Desired.RUNNING, InstanceStatus.HIBERNATED, gone, snapshot=snapshot)
    assert flow._decide(waking) is Step.RESERVE
