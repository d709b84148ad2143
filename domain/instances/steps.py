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


class SnapshotFacts(BaseModel):
    """The newest state of an instance's files outside its machine."""

    id: str
    is_verified: bool = False


class InstanceSituation(BaseModel):
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
    home_lease_id: str | None = None
    """The lease whose machine has the files; open or not."""
    home_is_open: bool = False
    others_held: bool = False
    """Another machine than the present one is still held for it."""
    snapshot: SnapshotFacts | None = None
    restore_wished: str | None = None
    """A snapshot that its owner wants on the machine."""
    wakes_left: int = 1

    @property
    def is_at_home(self) -> bool:
        return self.lease is not None and self.lease.id == self.home_lease_id

    @property
    def restorable(self) -> str | None:
        """The snapshot that a new machine would be given."""
        return self.restore_wished or (None if self.snapshot is None else self.snapshot.id)


class Step(StrEnum):
    RESERVE = "reserve"
    WAIT_FOR_MACHINE = "wait_for_machine"
    WAIT_FOR_RELEASE = "wait_for_release"
    RECORD_RUNNING = "record_running"
    STAY = "stay"
    LET_GO = "let_go"
    SETTLE = "settle"
    PAUSE = "pause"
    POWER_OFF = "power_off"
    RECORD_PAUSED = "record_paused"
    VERIFY = "verify"
    HIBERNATE = "hibernate"
    RECORD_HIBERNATED = "record_hibernated"
    SLEEP = "sleep"
    POWER_ON = "power_on"
    RESTORE = "restore"
    LET_GO_OTHERS = "let_go_others"
    RETURN_HOME = "return_home"
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


def next_step(situation: InstanceSituation) -> Step:
    if situation.status.is_over:
        return Step.NOTHING
    if situation.desired is Desired.DESTROYED or situation.status is InstanceStatus.DESTROYING:
        return _towards_destroyed(situation)
    return _towards_running(situation)


def _towards_destroyed(situation: InstanceSituation) -> Step:
    lease = situation.lease
    if lease is not None and lease.state.is_open and lease.wanted:
        return Step.LET_GO
    if situation.others_held:
        return Step.LET_GO_OTHERS
    return Step.WAIT_FOR_RELEASE if situation.open_leases else Step.CONCLUDE_DESTROYED


def _towards_running(situation: InstanceSituation) -> Step:
    lease = situation.lease
    if lease is None:
        return _concluded(situation) if situation.gave_up else Step.RESERVE
    if lease.state in (LeaseState.RELEASING, LeaseState.CLOSED) or not lease.wanted:
        return _after_a_failure(situation)
    if lease.state in _ASIDE:
        stopped = lease.state is LeaseState.STOPPED and situation.status is not InstanceStatus.PAUSED
        return Step.RECORD_PAUSED if stopped else Step.STAY
    if lease.state is not LeaseState.RUNNING:
        return Step.WAIT_FOR_MACHINE
    return Step.STAY if situation.status is InstanceStatus.RUNNING else Step.RECORD_RUNNING


def _after_a_failure(situation: InstanceSituation) -> Step:
    """The next offer, unless the machine was in use already (its files were on it) or enough were tried.

    Only here does it matter that no offer was found: a reservation may come of an attempt that was given up.
    """
    if situation.gave_up or situation.was_running or situation.attempts >= situation.attempts_allowed:
        return _concluded(situation)
    return Step.RESERVE


def _concluded(situation: InstanceSituation) -> Step:
    return Step.WAIT_FOR_RELEASE if situation.open_leases else Step.CONCLUDE_FAILED
