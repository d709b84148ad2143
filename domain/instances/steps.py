"""What to do next for an instance: one pure decision over what its rows say, taken again after every change.

Nothing is remembered from earlier decisions, so a workflow that is started anew goes on where the last one was.
"""

from enum import StrEnum

from pydantic import BaseModel

from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseOutcome, LeaseState, Power


class LeaseFacts(BaseModel):
    """An instance's present lease."""

    id: str
    state: LeaseState
    wanted: bool
    outcome: LeaseOutcome
    reason: str = ""
    gpu_name: str = ""
    dph_total: float = 0.0
    power: Power = Power.RUNNING
    start_refused: str | None = None
    is_saved: bool = False
    """Whether the newest snapshot holds all that its machine has written."""


class NewestSnapshot(BaseModel):
    """The newest state of an instance's files outside its machine."""

    id: str
    is_verified: bool = False


class InstanceFacts(BaseModel):
    """Everything that the next step of an instance depends on."""

    desired: Desired
    status: InstanceStatus
    lease: LeaseFacts | None = None
    attempts: int = 0
    attempts_allowed: int = 5
    open_leases: int = 0
    was_running: bool = False
    gave_up: bool = False
    """No offer could be reserved: it only remains to see everything released."""
    keeps_files: bool = False
    """An instance that somebody works on: it sleeps and wakes, and its files outlive its machines."""
    data_lease_id: str | None = None
    """The lease whose machine has the files; open or not."""
    data_lease_is_open: bool = False
    others_held: bool = False
    """Another machine than the present one is still held for it."""
    snapshot: NewestSnapshot | None = None
    restore_requested: str | None = None
    """A snapshot that its owner wants on the machine."""
    wakes_left: int = 1

    @property
    def is_on_data_machine(self) -> bool:
        return self.lease is not None and self.lease.id == self.data_lease_id

    @property
    def restorable(self) -> str | None:
        """The snapshot that a new machine would be given."""
        return self.restore_requested or (None if self.snapshot is None else self.snapshot.id)


class Step(StrEnum):
    RESERVE = "reserve"
    WAIT_FOR_MACHINE = "wait_for_machine"
    WAIT_FOR_RELEASE = "wait_for_release"
    RECORD_RUNNING = "record_running"
    STAY = "stay"
    REQUEST_RELEASE = "request_release"
    RECORD_DATA_MACHINE = "settle"
    PAUSE = "pause"
    POWER_OFF = "power_off"
    RECORD_PAUSED = "record_paused"
    VERIFY = "verify"
    HIBERNATE = "hibernate"
    RECORD_HIBERNATED = "record_hibernated"
    SLEEP = "sleep"
    POWER_ON = "power_on"
    RESTORE = "restore"
    RELEASE_OTHERS = "release_others"
    RETURN_TO_DATA_MACHINE = "return_to_data_machine"
    KEEP_PAUSED = "keep_paused"
    GIVE_UP_WAKE = "give_up_wake"
    FALL_ASLEEP = "fall_asleep"
    CONCLUDE_DESTROYED = "conclude_destroyed"
    CONCLUDE_FAILED = "conclude_failed"
    NOTHING = "nothing"


_ASIDE = (LeaseState.STOPPING, LeaseState.STOPPED, LeaseState.STARTING)
"""Of a job's machine that waits for its files to be fetched: its job says when it runs."""

WORTHLESS = frozenset({LeaseOutcome.OFFER_GONE})
"""Outcomes that do not count as an attempt: the offer was simply gone."""


def next_step(facts: InstanceFacts) -> Step:
    if facts.status.is_over:
        return Step.NOTHING
    if facts.desired is Desired.DESTROYED or facts.status is InstanceStatus.DESTROYING:
        return _towards_destroyed(facts)
    return _towards_running(facts)


def _towards_destroyed(facts: InstanceFacts) -> Step:
    lease = facts.lease
    if lease is not None and lease.state.is_open and lease.wanted:
        return Step.REQUEST_RELEASE
    if facts.others_held:
        return Step.RELEASE_OTHERS
    return Step.WAIT_FOR_RELEASE if facts.open_leases else Step.CONCLUDE_DESTROYED


def _towards_running(facts: InstanceFacts) -> Step:
    lease = facts.lease
    if lease is None:
        return _concluded(facts) if facts.gave_up else Step.RESERVE
    if lease.state in (LeaseState.RELEASING, LeaseState.CLOSED) or not lease.wanted:
        return _after_a_failure(facts)
    if lease.state in _ASIDE:
        stopped = lease.state is LeaseState.STOPPED and facts.status is not InstanceStatus.PAUSED
        return Step.RECORD_PAUSED if stopped else Step.STAY
    if lease.state is not LeaseState.RUNNING:
        return Step.WAIT_FOR_MACHINE
    return Step.STAY if facts.status is InstanceStatus.RUNNING else Step.RECORD_RUNNING


def _after_a_failure(facts: InstanceFacts) -> Step:
    """The next offer, unless the machine was in use already (its files were on it) or enough were tried.

    Only here does it matter that no offer was found: a reservation may come of an attempt that was given up.
    """
    if facts.gave_up or facts.was_running or facts.attempts >= facts.attempts_allowed:
        return _concluded(facts)
    return Step.RESERVE


def _concluded(facts: InstanceFacts) -> Step:
    return Step.WAIT_FOR_RELEASE if facts.open_leases else Step.CONCLUDE_FAILED
