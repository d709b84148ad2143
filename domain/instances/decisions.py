"""What to do next for an instance: one pure decision over what its rows say, taken again after every change.

Nothing is remembered from earlier decisions, so a workflow that is started anew goes on where the last one was.

Where files are kept, three things are told apart all the time: the *present* lease (what the instance lives on, or is
moving to), its *data lease* (the machine that has the files as they are now), and the newest *snapshot*. A data machine
is only given back when a verified snapshot holds all that it has written, or when it is gone anyway.
"""

from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceFacts, LeaseFacts, Step
from domain.machines.phases import LeaseState, Power

_COMING = (LeaseState.RESERVED, LeaseState.ASKED, LeaseState.RENTED)
_GOING = (LeaseState.RELEASING, LeaseState.CLOSED)


def decide(facts: InstanceFacts) -> Step:
    """The next step of any instance, whatever it is for."""
    if facts.status.is_over:
        return Step.NOTHING
    if facts.desired is Desired.DESTROYED or facts.status is InstanceStatus.DESTROYING:
        return _towards_destroyed(facts)
    lease = facts.lease
    if lease is None or lease.state in _GOING or not lease.wanted:
        return _without_machine_with_files(facts) if facts.lifecycle.keeps_files else _without_machine(facts)
    if facts.desired is Desired.RUNNING:
        return _towards_running(facts, lease)
    if not facts.lifecycle.keeps_files:
        return _towards_parked(facts, lease)
    if not facts.is_on_data_machine:
        # it was moving to this machine when it was asked to sleep; its files are where they were
        return Step.RETURN_TO_DATA_MACHINE if facts.data_lease_id is not None else Step.WAIT_FOR_MACHINE
    return _towards_sleep(facts, lease)


def _towards_destroyed(facts: InstanceFacts) -> Step:
    lease = facts.lease
    if lease is not None and lease.state.is_open and lease.wanted:
        return Step.REQUEST_RELEASE
    if facts.others_held:
        return Step.RELEASE_OTHERS
    return Step.WAIT_FOR_RELEASE if facts.open_leases else Step.CONCLUDE_DESTROYED


def _without_machine(facts: InstanceFacts) -> Step:
    """The next offer, unless the machine was lost in use and is not to be replaced, or enough were tried."""
    lost_in_use = facts.was_running and not facts.lifecycle.replaced_when_lost
    if facts.gave_up or lost_in_use or facts.attempts >= facts.attempts_allowed:
        return Step.WAIT_FOR_RELEASE if facts.open_leases else Step.CONCLUDE_FAILED
    return Step.RESERVE


def _without_machine_with_files(facts: InstanceFacts) -> Step:
    """There is no present machine (any more): never had one, gave it back, or lost it."""
    if facts.data_lease_is_open and not facts.is_on_data_machine:
        return _moving_failed(facts)
    if facts.data_lease_id is None:
        return _first_machine(facts)
    if facts.restorable is None:
        return Step.WAIT_FOR_RELEASE if facts.open_leases else Step.CONCLUDE_FAILED
    if facts.desired is Desired.RUNNING:
        if facts.status in (InstanceStatus.RUNNING, InstanceStatus.PAUSING):
            return Step.FALL_ASLEEP  # lost while in use: what was saved waits for the next wake, at no cost
        return _another_machine(facts)
    if facts.open_leases:
        return Step.WAIT_FOR_RELEASE
    return Step.SLEEP if facts.status is InstanceStatus.HIBERNATED else Step.RECORD_HIBERNATED


def _first_machine(facts: InstanceFacts) -> Step:
    if not (facts.gave_up or facts.attempts >= facts.attempts_allowed):
        return Step.RESERVE
    return Step.WAIT_FOR_RELEASE if facts.open_leases else Step.CONCLUDE_FAILED


def _another_machine(facts: InstanceFacts) -> Step:
    """The next offer for its files, unless enough were tried."""
    if facts.gave_up or facts.attempts >= facts.attempts_allowed or facts.wakes_left <= 0:
        return Step.GIVE_UP_WAKE
    return Step.RESERVE


def _moving_failed(facts: InstanceFacts) -> Step:
    """A machine to move to did not work out; the old one is still held."""
    if facts.desired is not Desired.RUNNING:
        return Step.RETURN_TO_DATA_MACHINE
    step = _another_machine(facts)
    return step if step is Step.RESERVE else Step.RETURN_TO_DATA_MACHINE


def _towards_running(facts: InstanceFacts, lease: LeaseFacts) -> Step:
    if lease.state in _COMING:
        return Step.WAIT_FOR_MACHINE
    if lease.power is Power.STOPPED:
        return _start(facts)
    if lease.state is LeaseState.RUNNING:
        return _on_a_running_machine(facts)
    refused = lease.state is LeaseState.STOPPED and lease.start_refused is not None
    return _start_refused(facts, lease) if refused and facts.lifecycle.keeps_files else Step.STAY


def _start(facts: InstanceFacts) -> Step:
    """Unless it was stopped under its user's hands, not by us: starting it might fight whoever did that."""
    stopped_in_use = facts.status is InstanceStatus.RUNNING and facts.lifecycle.keeps_files
    return Step.FALL_ASLEEP if stopped_in_use else Step.POWER_ON


def _on_a_running_machine(facts: InstanceFacts) -> Step:
    if facts.lifecycle.keeps_files:
        if not facts.is_on_data_machine:
            return Step.RESTORE if facts.restorable is not None else Step.RECORD_DATA_MACHINE
        if facts.restore_requested is not None:
            return Step.RESTORE
        if facts.others_held:
            return Step.RELEASE_OTHERS
    return Step.STAY if facts.status is InstanceStatus.RUNNING else Step.RECORD_RUNNING


def _start_refused(facts: InstanceFacts, lease: LeaseFacts) -> Step:
    """Its GPU is gone. Elsewhere, if a snapshot holds all that the machine has written.

    Also where its owner wants another one restored: they were told that what is there now is saved before.
    """
    if not (lease.is_saved and facts.snapshot is not None):
        return Step.GIVE_UP_WAKE
    return _another_machine(facts)


def _towards_parked(facts: InstanceFacts, lease: LeaseFacts) -> Step:
    """The flow that it serves wants its machine stopped for a while, its disk kept, and nothing else."""
    if lease.state in _COMING:
        return Step.WAIT_FOR_MACHINE
    if lease.power is Power.RUNNING:
        return Step.POWER_OFF
    if lease.state is not LeaseState.STOPPED:
        return Step.STAY
    return Step.SLEEP if facts.status is InstanceStatus.PAUSED else Step.RECORD_PAUSED


def _towards_sleep(facts: InstanceFacts, lease: LeaseFacts) -> Step:
    if lease.state is not LeaseState.STOPPED:
        if lease.power is Power.STOPPED:
            return Step.STAY
        return Step.PAUSE if lease.state is LeaseState.RUNNING else Step.POWER_OFF
    if lease.power is Power.RUNNING:
        return Step.POWER_OFF
    if facts.others_held:
        return Step.RELEASE_OTHERS
    if facts.status not in (InstanceStatus.PAUSED, InstanceStatus.HIBERNATING):
        return Step.RECORD_PAUSED
    if lease.is_saved and facts.snapshot is not None and not facts.snapshot.is_verified:
        return Step.VERIFY
    if facts.desired is Desired.PAUSED:
        return Step.SLEEP if facts.status is InstanceStatus.PAUSED else Step.RECORD_PAUSED
    return Step.HIBERNATE if lease.is_saved else Step.KEEP_PAUSED
