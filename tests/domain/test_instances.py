"""What may be asked of an instance, as a table and as rules."""

import pytest

from domain.instances.actions import InstanceAction, NotForSleeping, WrongState, check_sleeps, wanted_by
from domain.instances.phases import Desired, InstanceKind, InstanceStatus

S, D = InstanceStatus, Desired


@pytest.mark.parametrize(
    ("action", "status", "desired", "wanted"),
    [
        (InstanceAction.PAUSE, S.RUNNING, D.RUNNING, D.PAUSED),
        (InstanceAction.PAUSE, S.RESUMING, D.RUNNING, D.PAUSED),
        (InstanceAction.PAUSE, S.PAUSED, D.PAUSED, D.PAUSED),
        (InstanceAction.PAUSE, S.PAUSED, D.HIBERNATED, D.PAUSED),
        (InstanceAction.PAUSE, S.PROVISIONING, D.RUNNING, None),
        (InstanceAction.PAUSE, S.STARTING, D.RUNNING, None),
        (InstanceAction.PAUSE, S.HIBERNATED, D.HIBERNATED, None),
        (InstanceAction.PAUSE, S.FAILED, D.RUNNING, None),
        (InstanceAction.RESUME, S.PAUSED, D.PAUSED, D.RUNNING),
        (InstanceAction.RESUME, S.PAUSING, D.PAUSED, D.RUNNING),
        (InstanceAction.RESUME, S.RUNNING, D.RUNNING, D.RUNNING),
        (InstanceAction.RESUME, S.RUNNING, D.PAUSED, D.RUNNING),
        (InstanceAction.RESUME, S.HIBERNATED, D.HIBERNATED, None),
        (InstanceAction.RESUME, S.HIBERNATING, D.HIBERNATED, None),
        (InstanceAction.WAKE, S.HIBERNATED, D.HIBERNATED, D.RUNNING),
        (InstanceAction.WAKE, S.HIBERNATING, D.HIBERNATED, D.RUNNING),
        (InstanceAction.WAKE, S.PAUSED, D.PAUSED, D.RUNNING),
        (InstanceAction.WAKE, S.PROVISIONING, D.RUNNING, D.RUNNING),
        (InstanceAction.WAKE, S.DESTROYED, D.DESTROYED, None),
        (InstanceAction.HIBERNATE, S.RUNNING, D.RUNNING, D.HIBERNATED),
        (InstanceAction.HIBERNATE, S.PAUSED, D.PAUSED, D.HIBERNATED),
        (InstanceAction.HIBERNATE, S.PROVISIONING, D.RUNNING, None),
        (InstanceAction.DESTROY, S.PROVISIONING, D.RUNNING, D.DESTROYED),
        (InstanceAction.DESTROY, S.RESUMING, D.RUNNING, D.DESTROYED),
        (InstanceAction.DESTROY, S.HIBERNATED, D.HIBERNATED, D.DESTROYED),
    ],
)
def test_what_comes_of_a_wish(
    action: InstanceAction, status: InstanceStatus, desired: Desired, wanted: Desired | None
) -> None:
    if wanted is None:
        with pytest.raises(WrongState):
            wanted_by(action, status, desired)
    else:
        assert wanted_by(action, status, desired) is wanted


@pytest.mark.parametrize("status", list(InstanceStatus))
@pytest.mark.parametrize("action", [action for action in InstanceAction if action is not InstanceAction.DESTROY])
def test_nothing_takes_back_a_wish_to_be_destroyed(action: InstanceAction, status: InstanceStatus) -> None:
    with pytest.raises(WrongState):
        wanted_by(action, status, Desired.DESTROYED)


@pytest.mark.parametrize("status", list(InstanceStatus))
@pytest.mark.parametrize("desired", list(Desired))
@pytest.mark.parametrize("action", list(InstanceAction))
def test_asking_twice_is_asking_once(action: InstanceAction, status: InstanceStatus, desired: Desired) -> None:
    try:
        once = wanted_by(action, status, desired)
    except WrongState as refusal:
        assert status.value in str(refusal) or "destroying" in str(refusal)  # it says what the instance is  # noqa: PT017
    else:
        assert wanted_by(action, status, once) is once


@pytest.mark.parametrize("purpose", list(InstanceKind))
def test_only_what_somebody_works_on_sleeps(purpose: InstanceKind) -> None:
    if purpose is InstanceKind.INTERACTIVE:
        check_sleeps(purpose)
    else:
        with pytest.raises(NotForSleeping, match=purpose.value):
            check_sleeps(purpose)
