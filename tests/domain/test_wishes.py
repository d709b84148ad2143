"""What may be asked of an instance, as a table and as rules."""

import pytest

from domain.instances.actions import NotForSleeping, Verb, WrongState, check_sleeps, wanted_by
from domain.instances.phases import Desired, InstancePurpose, InstanceStatus

S, D = InstanceStatus, Desired


@pytest.mark.parametrize(
    ("verb", "status", "desired", "wanted"),
    [
        (Verb.PAUSE, S.RUNNING, D.RUNNING, D.PAUSED),
        (Verb.PAUSE, S.RESUMING, D.RUNNING, D.PAUSED),
        (Verb.PAUSE, S.PAUSED, D.PAUSED, D.PAUSED),
        (Verb.PAUSE, S.PAUSED, D.HIBERNATED, D.PAUSED),
        (Verb.PAUSE, S.PROVISIONING, D.RUNNING, None),
        (Verb.PAUSE, S.STARTING, D.RUNNING, None),
        (Verb.PAUSE, S.HIBERNATED, D.HIBERNATED, None),
        (Verb.PAUSE, S.FAILED, D.RUNNING, None),
        (Verb.RESUME, S.PAUSED, D.PAUSED, D.RUNNING),
        (Verb.RESUME, S.PAUSING, D.PAUSED, D.RUNNING),
        (Verb.RESUME, S.RUNNING, D.RUNNING, D.RUNNING),
        (Verb.RESUME, S.RUNNING, D.PAUSED, D.RUNNING),
        (Verb.RESUME, S.HIBERNATED, D.HIBERNATED, None),
        (Verb.RESUME, S.HIBERNATING, D.HIBERNATED, None),
        (Verb.WAKE, S.HIBERNATED, D.HIBERNATED, D.RUNNING),
        (Verb.WAKE, S.HIBERNATING, D.HIBERNATED, D.RUNNING),
        (Verb.WAKE, S.PAUSED, D.PAUSED, D.RUNNING),
        (Verb.WAKE, S.PROVISIONING, D.RUNNING, D.RUNNING),
        (Verb.WAKE, S.DESTROYED, D.DESTROYED, None),
        (Verb.HIBERNATE, S.RUNNING, D.RUNNING, D.HIBERNATED),
        (Verb.HIBERNATE, S.PAUSED, D.PAUSED, D.HIBERNATED),
        (Verb.HIBERNATE, S.PROVISIONING, D.RUNNING, None),
        (Verb.DESTROY, S.PROVISIONING, D.RUNNING, D.DESTROYED),
        (Verb.DESTROY, S.RESUMING, D.RUNNING, D.DESTROYED),
        (Verb.DESTROY, S.HIBERNATED, D.HIBERNATED, D.DESTROYED),
    ],
)
def test_what_comes_of_a_wish(verb: Verb, status: InstanceStatus, desired: Desired, wanted: Desired | None) -> None:
    if wanted is None:
        with pytest.raises(WrongState):
            wanted_by(verb, status, desired)
    else:
        assert wanted_by(verb, status, desired) is wanted


@pytest.mark.parametrize("status", list(InstanceStatus))
@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.DESTROY])
def test_nothing_takes_back_a_wish_to_be_destroyed(verb: Verb, status: InstanceStatus) -> None:
    with pytest.raises(WrongState):
        wanted_by(verb, status, Desired.DESTROYED)


@pytest.mark.parametrize("status", list(InstanceStatus))
@pytest.mark.parametrize("desired", list(Desired))
@pytest.mark.parametrize("verb", list(Verb))
def test_asking_twice_is_asking_once(verb: Verb, status: InstanceStatus, desired: Desired) -> None:
    try:
        once = wanted_by(verb, status, desired)
    except WrongState as refusal:
        assert status.value in str(refusal) or "destroying" in str(refusal)  # it says what the instance is  # noqa: PT017
    else:
        assert wanted_by(verb, status, once) is once


@pytest.mark.parametrize("purpose", list(InstancePurpose))
def test_only_what_somebody_works_on_sleeps(purpose: InstancePurpose) -> None:
    if purpose is InstancePurpose.INTERACTIVE:
        check_sleeps(purpose)
    else:
        with pytest.raises(NotForSleeping, match=purpose.value):
            check_sleeps(purpose)
