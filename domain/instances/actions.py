"""What an owner may ask of an instance, and what comes of it: one table, whoever asks and by whatever way."""

from enum import StrEnum

from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.lifecycles import LIFECYCLES
from domain.refusals import Refusal


class InstanceAction(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    WAKE = "wake"
    HIBERNATE = "hibernate"
    DESTROY = "destroy"


class WrongState(Refusal):
    """As things are, this cannot be asked of the instance; the message says what it is."""

    code = "wrong_state"

    def __init__(self, action: InstanceAction, status: InstanceStatus) -> None:
        super().__init__(
            f"The instance is {status.value}: {_WHY.get((action, status), f'it cannot {action.value} now')}."
        )
        self.action, self.status = action, status


class NotForSleeping(Refusal):
    """Instances of this kind do not sleep and wake; the message says what they are for."""

    code = "wrong_state"

    def __init__(self, kind: InstanceKind) -> None:
        super().__init__(f"This instance {LIFECYCLES[kind].why_it_does_not_sleep}")
        self.kind = kind


_WHY: dict[tuple[InstanceAction, InstanceStatus], str] = {
    (InstanceAction.RESUME, InstanceStatus.HIBERNATED): "it has no machine to resume; wake restores it on a new one",
    (InstanceAction.RESUME, InstanceStatus.HIBERNATING): "it is giving its machine back; wake restores it on a new one",
}

_S = InstanceStatus
_ALIVE = frozenset({_S.STARTING, _S.RUNNING, _S.RESUMING})
_FROM: dict[InstanceAction, frozenset[InstanceStatus]] = {
    InstanceAction.PAUSE: frozenset({_S.RUNNING, _S.RESUMING, _S.PAUSING}),
    InstanceAction.HIBERNATE: frozenset({_S.RUNNING, _S.RESUMING, _S.PAUSING, _S.PAUSED, _S.HIBERNATING}),
    InstanceAction.RESUME: frozenset({_S.PAUSING, _S.PAUSED}),
    InstanceAction.WAKE: frozenset({_S.PAUSING, _S.PAUSED, _S.HIBERNATING, _S.HIBERNATED}),
    InstanceAction.DESTROY: frozenset(_S) - {_S.DESTROYED},
}
_WANTS: dict[InstanceAction, Desired] = {
    InstanceAction.PAUSE: Desired.PAUSED,
    InstanceAction.RESUME: Desired.RUNNING,
    InstanceAction.WAKE: Desired.RUNNING,
    InstanceAction.HIBERNATE: Desired.HIBERNATED,
    InstanceAction.DESTROY: Desired.DESTROYED,
}
_IS_ALREADY: dict[InstanceAction, frozenset[InstanceStatus]] = {
    InstanceAction.PAUSE: frozenset({_S.PAUSED}),
    InstanceAction.RESUME: _ALIVE,
    InstanceAction.WAKE: _ALIVE,
    InstanceAction.HIBERNATE: frozenset({_S.HIBERNATED}),
    InstanceAction.DESTROY: frozenset({_S.DESTROYED}),
}


def check_sleeps(kind: InstanceKind) -> None:
    """Raises NotForSleeping for the kinds that their owner cannot put to sleep."""
    if not LIFECYCLES[kind].sleeps_when_idle:
        raise NotForSleeping(kind)


def wanted_by(action: InstanceAction, status: InstanceStatus, desired: Desired) -> Desired:
    """What the instance shall be from now on; `desired` itself when that is wanted already.

    Raises:
        WrongState: the action makes no sense as things are, or a stronger one stands (it is being destroyed).
    """
    wanted = _WANTS[action]
    if desired is wanted:
        return desired
    if desired is Desired.DESTROYED:
        raise WrongState(action, InstanceStatus.DESTROYING)
    if status not in _FROM[action] | _IS_ALREADY[action]:
        raise WrongState(action, status)
    return wanted
