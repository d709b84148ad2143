"""What to do next for an instance that somebody works on: it runs, sleeps and wakes, and its files come along.

As in `domain/instances/steps.py`, one pure decision over what the rows say, taken again after every change. Three
things are told apart all the time: the *present* lease (what the instance lives on, or is moving to), its *home* (the
machine that has the files as they are now), and the newest *snapshot*. A machine that is home is only given back when
a verified snapshot holds all that it has written, or when it is gone anyway.
"""

from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceSituation, LeaseFacts, Step, next_step
from domain.machines.phases import LeaseState, Power

_COMING = (LeaseState.RESERVED, LeaseState.ASKED, LeaseState.RENTED)
_GOING = (LeaseState.RELEASING, LeaseState.CLOSED)


def decide(situation: InstanceSituation) -> Step:
    """The next step of any instance, whatever it is for."""
    ending = situation.status.is_over or situation.desired is Desired.DESTROYED
    if ending or situation.status is InstanceStatus.DESTROYING or not situation.keeps_files:
        return next_step(situation)
    lease = situation.lease
    if lease is None or lease.state in _GOING or not lease.wanted:
        return _without_machine(situation)
    if situation.desired is Desired.RUNNING:
        return _towards_running(situation, lease)
    if not situation.is_at_home:
        # it was moving to this machine when it was wished asleep; its files are where they were
        return Step.RETURN_HOME if situation.home_lease_id is not None else Step.WAIT_FOR_MACHINE
    return _towards_sleep(situation, lease)


def _without_machine(situation: InstanceSituation) -> Step:
    """There is no present machine (any more): never had one, gave it back, or lost it."""
    if situation.home_is_open and not situation.is_at_home:
        return _moving_failed(situation)
    if situation.home_lease_id is None:
        return _first_machine(situation)
    if situation.restorable is None:
        return Step.WAIT_FOR_RELEASE if situation.open_leases else Step.CONCLUDE_FAILED
    if situation.desired is Desired.RUNNING:
        if situation.status in (InstanceStatus.RUNNING, InstanceStatus.PAUSING):
            return Step.FALL_ASLEEP  # lost while in use: what was saved waits for the next wake, at no cost
        return _another_machine(situation)
    if situation.open_leases:
        return Step.WAIT_FOR_RELEASE
    return Step.SLEEP if situation.status is InstanceStatus.HIBERNATED else Step.RECORD_HIBERNATED


def _first_machine(situation: InstanceSituation) -> Step:
    tried = situation.gave_up or situation.attempts >= situation.attempts_allowed
    if not tried:
        return Step.RESERVE
    return Step.WAIT_FOR_RELEASE if situation.open_leases else Step.CONCLUDE_FAILED


def _another_machine(situation: InstanceSituation) -> Step:
    """The next offer for its files, unless enough were tried."""
    if situation.gave_up or situation.attempts >= situation.attempts_allowed or situation.wakes_left <= 0:
        return Step.GIVE_UP_WAKE
    return Step.RESERVE


def _moving_failed(situation: InstanceSituation) -> Step:
    """A machine to move to did not work out; the old one is still held."""
    if situation.desired is not Desired.RUNNING:
        return Step.RETURN_HOME
    step = _another_machine(situation)
    return step if step is Step.RESERVE else Step.RETURN_HOME


def _towards_running(situation: InstanceSituation, lease: LeaseFacts) -> Step:
    if lease.state in _COMING:
        return Step.WAIT_FOR_MACHINE
    if lease.power is Power.STOPPED:
        # stopped under its user's hands, not by us: starting it at once might fight whoever did that at the provider
        return Step.FALL_ASLEEP if situation.status is InstanceStatus.RUNNING else Step.POWER_ON
    if lease.state is LeaseState.RUNNING:
        return _on_a_running_machine(situation)
    if lease.state is LeaseState.STOPPED and lease.start_refused is not None:
        return _start_refused(situation, lease)
    return Step.STAY


def _on_a_running_machine(situation: InstanceSituation) -> Step:
    if not situation.is_at_home:
        return Step.RESTORE if situation.restorable is not None else Step.SETTLE
    if situation.restore_wished is not None:
        return Step.RESTORE
    if situation.others_held:
        return Step.LET_GO_OTHERS
    return Step.STAY if situation.status is InstanceStatus.RUNNING else Step.RECORD_RUNNING


def _start_refused(situation: InstanceSituation, lease: LeaseFacts) -> Step:
    """Its GPU is gone. Elsewhere, if a snapshot holds all that the machine has written or its owner names one."""
    if situation.restore_wished is None and not (lease.is_saved and situation.snapshot is not None):
        return Step.GIVE_UP_WAKE
    return _another_machine(situation)


def _towards_sleep(situation: InstanceSituation, lease: LeaseFacts) -> Step:
    if lease.state is not LeaseState.STOPPED:
        if lease.power is Power.STOPPED:
            return Step.STAY
        return Step.PAUSE if lease.state is LeaseState.RUNNING else Step.POWER_OFF
    if lease.power is Power.RUNNING:
        return Step.POWER_OFF
    if situation.others_held:
        return Step.LET_GO_OTHERS
    if situation.status not in (InstanceStatus.PAUSED, InstanceStatus.HIBERNATING):
        return Step.RECORD_PAUSED
    if lease.is_saved and situation.snapshot is not None and not situation.snapshot.is_verified:
        return Step.VERIFY
    if situation.desired is Desired.PAUSED:
        return Step.SLEEP if situation.status is InstanceStatus.PAUSED else Step.RECORD_PAUSED
    return Step.HIBERNATE if lease.is_saved else Step.KEEP_PAUSED
