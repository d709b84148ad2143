"""What the next step of an instance is decided by, and the steps there are."""

from enum import StrEnum

from pydantic import BaseModel

from domain.instances.phases import Desired, InstanceStatus
from domain.lifecycles import Lifecycle
from domain.machines.phases import LeaseOutcome, LeaseState, Power


class LeaseFacts(BaseModel):
    """An instance's present lease."""

    id: str
    state: LeaseState
    wanted: bool
    outcome: LeaseOutcome
    reason: str = ""
    gpu_name: str = ""
    price_usd_per_hour: float = 0.0
    power: Power = Power.RUNNING
    start_refused: str | None = None
    is_saved: bool = False
    """Whether the newest snapshot holds all that its machine has written."""


class NewestSnapshot(BaseModel):
    """The newest state of an instance's files outside its machine."""

    id: str
    is_verified: bool = False
    is_whole: bool = True
    """Whether it is of all that persists today."""
    paths: list[str] = []
    later_part: "LaterPart | None" = None
    lacks_files_put_back: bool = False
    """Files were put on the machine after it was taken, and are in no snapshot of the instance's own."""

    @property
    def caveat(self) -> str:
        """What its owner has to know when it is all that is left of the files; empty: nothing."""
        told = []
        if not self.is_whole:
            told.append(
                f"Only a part of its files is in the vault: snapshot {self.id} holds {', '.join(self.paths)}. "
                "What else was on its machine is lost."
            )
        if not self.is_verified:
            told.append(f"Snapshot {self.id} was never verified: a wake shows whether all of its files come back.")
        if self.later_part is not None:
            part = self.later_part
            told.append(
                f"Snapshot {part.id} ({', '.join(part.paths)}) came after {self.id} and is not in it: restore it too, "
                "once the instance runs."
            )
        elif self.lacks_files_put_back:
            told.append(f"What was put back after {self.id} was taken is not in it.")
        return " ".join(told)


class LaterPart(BaseModel):
    """A snapshot of a part of the files that was put back, or taken, after the newest one of all of them."""

    id: str
    paths: list[str]


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
    lifecycle: Lifecycle = Lifecycle()
    data_lease_id: str | None = None
    """The lease whose machine has the files; open or not."""
    data_lease_is_open: bool = False
    others_held: bool = False
    """Another machine than the present one is still held for it."""
    snapshot: NewestSnapshot | None = None
    restore_requested: str | None = None
    """A snapshot that its owner wants on the machine."""
    restores_part: bool = False
    """That one is not of all that persists."""
    wakes_left: int = 1

    @property
    def is_on_data_machine(self) -> bool:
        return self.lease is not None and self.lease.id == self.data_lease_id

    @property
    def restorable(self) -> str | None:
        """The snapshot that its machine is given next. A part is put over the rest of the files, which come first."""
        if self.snapshot is None or self.restore_requested is None:
            return self.restore_requested or (None if self.snapshot is None else self.snapshot.id)
        rest_first = self.restores_part and self.snapshot.is_whole and not self.is_on_data_machine
        return self.snapshot.id if rest_first else self.restore_requested


class Step(StrEnum):
    RESERVE = "reserve"
    WAIT_FOR_MACHINE = "wait_for_machine"
    WAIT_FOR_RELEASE = "wait_for_release"
    RECORD_RUNNING = "record_running"
    STAY = "stay"
    REQUEST_RELEASE = "request_release"
    RECORD_DATA_MACHINE = "record_data_machine"
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


WORTHLESS = frozenset({LeaseOutcome.OFFER_GONE})
"""Outcomes that do not count as an attempt: the offer was simply gone."""
