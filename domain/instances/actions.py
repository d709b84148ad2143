"""What an owner may ask of an instance, and what comes of it: one table, whoever asks and by whatever way."""

from enum import StrEnum

from domain.instances.phases import Desired, InstancePurpose, InstanceStatus
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
    """Only an instance that somebody works on sleeps, wakes and has files brought back."""

    code = "wrong_state"

    def __init__(self, purpose: InstancePurpose) -> None:
        super().__init__(f"This instance {_SERVES[purpose]}")
        self.purpose = purpose


_SERVES = {
    InstancePurpose.MODEL: "serves a model: it does not sleep and wake, and no files are brought back to it. Stop the "
    "model, or destroy the instance, when it is not needed.",
    InstancePurpose.JOB: "runs a job: it does not sleep and wake, and it has no snapshots. What the job leaves is "
    "collected as its artifacts; POST /api/jobs/{id}/cancel ends it.",
}

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


def check_sleeps(purpose: InstancePurpose) -> None:
    """Raises NotForSleeping for all but those that somebody works on."""
    if purpose is not InstancePurpose.INTERACTIVE:
        raise NotForSleeping(purpose)


def wanted_by(action: InstanceAction, status: InstanceStatus, desired: Desired) -> Desired:
    """What the instance shall be from now on; `desired` itself when that was wished already.

    Raises:
        WrongState: the wish makes no sense as things are, or a stronger one stands (it is being destroyed).
    """
    wanted = _WANTS[action]
    if desired is wanted:
        return desired
    if desired is Desired.DESTROYED:
        raise WrongState(action, InstanceStatus.DESTROYING)
    if status not in _FROM[action] | _IS_ALREADY[action]:
        raise WrongState(action, status)
    return wanted
