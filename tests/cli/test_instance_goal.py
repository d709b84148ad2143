"""When a change of an instance is over."""

import pytest

from cli.instances.goal import MOVING, Goal, is_reached
from cli.instances.schemas import InstanceView
from domain.instances.phases import InstanceStatus

_S = InstanceStatus


def reached(goal: Goal, status: InstanceStatus, *kinds: str) -> bool | None:
    return is_reached(goal, InstanceView(id=1, status=status), lambda kind: kind in kinds)


@pytest.mark.parametrize("status", [_S.RUNNING, _S.PAUSED, _S.HIBERNATED, _S.DESTROYED])
def test_there_is_there_whatever_was_warned_of(status: InstanceStatus) -> None:
    assert reached(Goal(status), status) is True
    assert reached(Goal(status), status, "warning") is True


@pytest.mark.parametrize("status", sorted(MOVING))
def test_what_moves_is_waited_for(status: InstanceStatus) -> None:
    assert reached(Goal(_S.RUNNING), status, "warning") is None


@pytest.mark.parametrize(
    ("goal", "status"),
    [
        (_S.RUNNING, _S.PAUSED),  # woken in vain, and asleep again
        (_S.RUNNING, _S.FAILED),
        (_S.PAUSED, _S.RUNNING),  # a login called the pause off
        (_S.PAUSED, _S.FAILED),
        (_S.HIBERNATED, _S.RUNNING),
        (_S.DESTROYED, _S.RUNNING),
    ],
)
def test_at_rest_elsewhere_is_not_as_wished(goal: InstanceStatus, status: InstanceStatus) -> None:
    assert reached(Goal(goal), status) is False


def test_on_the_way_to_hibernation_it_is_paused_until_a_warning_says_that_it_stays_so() -> None:
    assert reached(Goal(_S.HIBERNATED), _S.PAUSED) is None
    assert reached(Goal(_S.HIBERNATED), _S.PAUSED, "warning") is False


def test_a_restore_in_place_begins_where_it_ends() -> None:
    goal = Goal(_S.RUNNING, anew=True)
    assert reached(goal, _S.RUNNING) is None
    assert reached(goal, _S.RUNNING, "restore") is None
    assert reached(goal, _S.RESUMING, "restore") is None
    assert reached(goal, _S.RUNNING, "running") is True
    assert reached(goal, _S.RUNNING, "running", "warning") is False
    assert reached(goal, _S.RUNNING, "warning") is False
