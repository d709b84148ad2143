"""When a change of an instance is over, and whether it succeeded. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from cli.instances.schemas import InstanceView
from domain.instances.phases import InstanceStatus

_S = InstanceStatus
MOVING = frozenset(
    {
        *(_S.PROVISIONING, _S.STARTING, _S.PAUSING, _S.RESUMING),
        *(_S.HIBERNATING, _S.FAILING_OVER, _S.DESTROYING),
    }
)


@dataclass(frozen=True)
class Goal:
    """The status to reach. `anew`: the instance may be in it already and must reach it again (a restore in place)."""

    status: InstanceStatus
    anew: bool = False


def is_reached(goal: Goal, instance: InstanceView, happened: Callable[[str], bool]) -> bool | None:
    """True: reached. False: the change ended otherwise. None: under way.

    `happened`: whether the timeline has an event of that kind since the request.
    """
    if instance.status is goal.status and (not goal.anew or happened(goal.status)):
        return not (goal.anew and happened("warning"))
    if instance.status is goal.status:
        return False if happened("warning") else None
    if goal.status is _S.HIBERNATED and instance.status is _S.PAUSED:
        return False if happened("warning") else None  # paused on the way; a warning says what keeps it there
    return None if instance.status in MOVING else False
