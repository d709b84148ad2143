"""Snapshots as decisions: which one is the newest state, what may go, what must never."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from pydantic import BaseModel

from domain.instances.phases import InstanceStatus
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
    """The last one of a hibernated instance is all that there is of its files."""

    code = "snapshot_in_use"

    def __init__(self) -> None:
        super().__init__(
            "The instance is hibernated, and this is the last snapshot of its files. ?force=true deletes it anyway."
        )


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


def newest(snapshots: Sequence[SnapshotFacts], epoch: int, persist: Sequence[str] = ()) -> SnapshotFacts | None:
    """The newest state of an instance: the last ready one that was taken under its present epoch.

    One of all that persists goes before later ones of less.
    """
    ready = [each for each in snapshots if each.is_ready and each.epoch == epoch]
    whole = [each for each in ready if covers(each.paths, persist)]
    return max(whole or ready, key=_taken, default=None)


def to_forget(snapshots: Sequence[SnapshotFacts], epoch: int, kept: int, persist: Sequence[str] = ()) -> list[str]:
    """The ids of those beyond the `kept` newest; the failed ones hold nothing and are not among them.

    Never: labelled ones, the newest state, the newest verified one of the epoch. So the last snapshot of a hibernated
    instance stays, whatever `kept` says.
    """
    ready = sorted((each for each in snapshots if each.is_ready), key=_taken, reverse=True)
    verified = newest([each for each in ready if each.verified], epoch, persist)
    state = newest(ready, epoch, persist) or (ready[0] if ready else None)
    never = {each.id for each in (verified, state) if each is not None}
    return [each.id for each in ready[kept:] if each.label is None and each.id not in never]


def is_last(snapshot_id: str, snapshots: Sequence[SnapshotFacts], epoch: int, persist: Sequence[str] = ()) -> bool:
    """Whether this is the newest state, or the only one there is."""
    ready = [each for each in snapshots if each.is_ready]
    last = newest(ready, epoch, persist) or max(ready, key=_taken, default=None)
    return last is not None and last.id == snapshot_id


def prune_is_due(forgotten: int, forgotten_before: int) -> bool:
    """Room is made now and then only: it reads much of the repository."""
    return (forgotten_before + forgotten) // FORGETS_PER_PRUNE > forgotten_before // FORGETS_PER_PRUNE


def _taken(snapshot: SnapshotFacts) -> datetime:
    if snapshot.taken_at is None:
        raise ValueError("only ready snapshots were taken")
    return snapshot.taken_at
