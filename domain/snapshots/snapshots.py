"""Snapshots as decisions: which one is the newest state, what may go, what must never."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from pydantic import BaseModel

from domain.instances.phases import Desired, InstanceStatus
from domain.lifecycles import Lifecycle
from domain.machines.phases import LeaseState
from domain.refusals import Refusal
from domain.snapshots.phases import SnapshotStatus

PAUSE_TAG = "pause"
"""Taken by the instance's own workflow on its way to sleep."""

BEFORE_RESTORE_TAG = "before-restore"
"""Taken by it before other files are put over those that are there."""

CHECKPOINT_TAG = "checkpoint"
"""Of a job, while its script runs."""

WORKSPACE = "/workspace"

OWN_TAGS = frozenset({PAUSE_TAG, BEFORE_RESTORE_TAG})
"""Of snapshots that the instance's own workflow takes: nobody else works on them."""

FORGETS_PER_PRUNE = 5
ORPHAN_AGE = timedelta(days=1)
"""What the repository holds and our rows do not know may be a snapshot that is being recorded just now."""


STOP_LANDS_WITHIN = timedelta(seconds=60)
"""A machine that was seen stopped only so long after its last snapshot had ended may have been written on meanwhile."""


class SnapshotInUse(Refusal):
    """It is, or is about to be, all that there is of an instance's newest files."""

    code = "snapshot_in_use"

    def __init__(self, status: InstanceStatus) -> None:
        asleep = status is InstanceStatus.HIBERNATED
        why = "The instance is hibernated" if asleep else "No machine is sure to keep the instance's files"
        super().__init__(f"{why}, and this is the last snapshot of its files. ?force=true deletes it anyway.")


class NothingRuns(Refusal):
    """There is no machine to take a snapshot of."""

    code = "wrong_state"

    def __init__(self, status: InstanceStatus, newest: str | None) -> None:
        has_it = f"; snapshot {newest} has its files" if newest else ""
        super().__init__(f"The instance is {status.value}: only a running one can be snapshotted{has_it}.")


class SnapshotFacts(BaseModel):
    """What is decided by. `taken_at`, `ended_at`: when its reading began and it was whole, by our clock."""

    id: str
    epoch: int
    lease_id: str = ""
    paths: list[str] = []
    status: SnapshotStatus = SnapshotStatus.READY
    verified: bool = True
    final: bool = False
    label: str | None = None
    taken_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_ready(self) -> bool:
        return self.status is SnapshotStatus.READY and self.taken_at is not None


class Disk(BaseModel):
    """A machine's disk, by its lease. `ran_until`: when it last ran, as far as we know; `stopped_at`: seen stopped."""

    lease_id: str
    is_stopped: bool
    ran_until: datetime | None
    stopped_at: datetime | None


def holds_all(snapshot: SnapshotFacts, persist: Sequence[str], disk: Disk) -> bool:
    """Whether the snapshot has everything that must outlive the machine: the one predicate of what is saved.

    It is final (no program wrote while it was read), has all that persists today, and was taken of this machine after
    it last ran. A stop that landed late makes the disk unsaved again: nobody knows what was written until then.
    """
    if not (snapshot.is_ready and snapshot.final and covers(snapshot.paths, persist)):
        return False
    if snapshot.lease_id != disk.lease_id or not disk.is_stopped or disk.ran_until is None:
        return False
    return _taken(snapshot) >= disk.ran_until and _stopped_in_time(snapshot, disk)


def covers(paths: Sequence[str], persist: Sequence[str]) -> bool:
    """Whether each path that persists is one of these, or lies below one."""
    there = [PurePosixPath(path) for path in paths]
    return all(any(PurePosixPath(each).is_relative_to(path) for path in there) for each in persist)


def _stopped_in_time(snapshot: SnapshotFacts, disk: Disk) -> bool:
    if snapshot.ended_at is None or disk.stopped_at is None:
        return False
    return disk.stopped_at - snapshot.ended_at <= STOP_LANDS_WITHIN


class Whereabouts(BaseModel):
    """An instance, and the machine that has its files as they are now, by its lease; None: it never had one.

    `is_moving`: it lives on another machine than that, or is about to.
    """

    lifecycle: Lifecycle
    status: InstanceStatus
    desired: Desired
    data_lease: LeaseState | None
    data_lease_wanted: bool
    is_moving: bool

    @property
    def is_over(self) -> bool:
        """Nobody wakes it any more."""
        return self.desired is Desired.DESTROYED or self.status is InstanceStatus.DESTROYING or self.status.is_over

    @property
    def keeps_its_machine(self) -> bool:
        """Whether a machine has the files, and is not about to be given up for a hibernation or for another machine."""
        held = self.data_lease is not None and self.data_lease.is_held and self.data_lease_wanted
        hibernates = self.desired is Desired.HIBERNATED or self.status is InstanceStatus.HIBERNATING
        return held and not hibernates and not self.is_moving


def is_only_copy(
    snapshot_id: str, snapshots: Sequence[SnapshotFacts], persist: Sequence[str], instance: Whereabouts
) -> bool:
    """Whether this is, or is about to be, all that there is of a living instance's newest files.

    That goes by where the files are and not by what the instance is called: a wake from hibernation, for one, has no
    machine with them until they are restored.
    """
    if not instance.lifecycle.keeps_files or instance.is_over or instance.keeps_its_machine:
        return False
    return any(each.id == snapshot_id for each in (newest(snapshots, persist), latest(snapshots)) if each is not None)


def newest(snapshots: Sequence[SnapshotFacts], persist: Sequence[str] = ()) -> SnapshotFacts | None:
    """The newest state of an instance: what a new machine is given.

    One of all that persists goes before later ones of less, of whatever epoch: what was put back in part lies over the
    files that were there, which were saved before that under the epoch before.
    """
    ready = [each for each in snapshots if each.is_ready]
    whole = [each for each in ready if covers(each.paths, persist)]
    return max(whole or ready, key=_order, default=None)


def latest(snapshots: Sequence[SnapshotFacts]) -> SnapshotFacts | None:
    """The last one, though it may be of less than all that persists: some of its files may be nowhere else."""
    return max((each for each in snapshots if each.is_ready), key=_order, default=None)


def to_forget(snapshots: Sequence[SnapshotFacts], kept: int, persist: Sequence[str] = ()) -> list[str]:
    """The ids of those beyond the `kept` newest; the failed ones hold nothing and are not among them.

    Never: labelled ones, the newest state, the newest verified one, the latest of all. So the last snapshot of a
    hibernated instance stays, whatever `kept` says.
    """
    ready = sorted((each for each in snapshots if each.is_ready), key=_taken, reverse=True)
    verified = newest([each for each in ready if each.verified], persist)
    never = {each.id for each in (verified, newest(ready, persist), latest(ready)) if each is not None}
    return [each.id for each in ready[kept:] if each.label is None and each.id not in never]


def prune_is_due(forgotten: int, forgotten_before: int) -> bool:
    """Room is made now and then only: it reads much of the repository."""
    return (forgotten_before + forgotten) // FORGETS_PER_PRUNE > forgotten_before // FORGETS_PER_PRUNE


def _taken(snapshot: SnapshotFacts) -> datetime:
    if snapshot.taken_at is None:
        raise ValueError("only ready snapshots were taken")
    return snapshot.taken_at


def _order(snapshot: SnapshotFacts) -> tuple[int, datetime]:
    """What was put back goes before what was taken under earlier epochs, though that was taken later."""
    return snapshot.epoch, _taken(snapshot)
