"""Snapshots as decisions: which one is the newest state, what may go, what must never."""

from collections.abc import Sequence
from datetime import datetime, timedelta

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
    """What is decided by. `taken_at`: when its reading began, by our clock."""

    id: str
    epoch: int
    status: SnapshotStatus = SnapshotStatus.READY
    verified: bool = True
    final: bool = False
    label: str | None = None
    taken_at: datetime | None = None

    @property
    def is_ready(self) -> bool:
        return self.status is SnapshotStatus.READY and self.taken_at is not None


def newest(snapshots: Sequence[SnapshotFacts], epoch: int) -> SnapshotFacts | None:
    """The newest state of an instance: the last ready one that was taken under its present epoch."""
    ready = [each for each in snapshots if each.is_ready and each.epoch == epoch]
    return max(ready, key=_taken, default=None)


def to_forget(snapshots: Sequence[SnapshotFacts], epoch: int, kept: int, spared: frozenset[str]) -> list[str]:
    """The ids of those beyond the `kept` newest; the failed ones hold nothing and are not among them.

    Never: labelled ones, the newest state, the newest verified one of the epoch, and those in `spared` (a restore reads
    them). So the last snapshot of a hibernated instance stays, whatever `kept` says.
    """
    ready = sorted((each for each in snapshots if each.is_ready), key=_taken, reverse=True)
    verified = newest([each for each in ready if each.verified], epoch)
    state = newest(ready, epoch) or (ready[0] if ready else None)
    never = {each.id for each in (verified, state) if each is not None} | spared
    return [each.id for each in ready[kept:] if each.label is None and each.id not in never]


def is_last(snapshot_id: str, snapshots: Sequence[SnapshotFacts], epoch: int) -> bool:
    """Whether this is the newest state, or the only one there is."""
    last = newest(snapshots, epoch) or max((each for each in snapshots if each.is_ready), key=_taken, default=None)
    return last is not None and last.id == snapshot_id


def prune_is_due(forgotten: int, forgotten_before: int) -> bool:
    """Room is made now and then only: it reads much of the repository."""
    return (forgotten_before + forgotten) // FORGETS_PER_PRUNE > forgotten_before // FORGETS_PER_PRUNE


def _taken(snapshot: SnapshotFacts) -> datetime:
    if snapshot.taken_at is None:
        raise ValueError("only ready snapshots were taken")
    return snapshot.taken_at
