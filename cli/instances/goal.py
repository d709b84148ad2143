"""When a change of an instance is over, and whether it came out as wished. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from cli.instances.answers import Instance
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
    """`anew`: it may be there already and has to come back to it (a restore in place)."""

    status: InstanceStatus
    anew: bool = False


def is_reached(goal: Goal, instance: Instance, happened: Callable[[str], bool]) -> bool | None:
    """True: as wished. False: it came to rest otherwise. None: under way.

    `happened`: whether the timeline has an event of that kind since the wish.
    """
    if instance.status is goal.status and (not goal.anew or happened(goal.status)):
        return not (goal.anew and happened("warning"))
    if instance.status is goal.status:
        return False if happened("warning") else None
    if goal.status is _S.HIBERNATED and instance.status is _S.PAUSED:
        return False if happened("warning") else None  # paused on the way; a warning says what keeps it there
    return None if instance.status in MOVING else False
