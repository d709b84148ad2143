"""Snapshots as they are shown."""

from api.schemas import Answer, Time
from db.snapshots.tables import Snapshot
from domain.instances.phases import InstanceStatus
from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.snapshots import PAUSE_TAG
from domain.workflow_contracts import snapshot_workflow_id

SHORT = 8


class SnapshotAnswer(Answer):
    """`time`: what was written later is not in it. `data_added_bytes`: what it took in the vault. Sizes in bytes."""

    id: str
    snapshot_id: str
    short_id: str | None
    instance_id: int
    time: Time
    created_at: Time
    label: str | None
    tags: list[str]
    paths: list[str]
    size_bytes: int | None
    data_added_bytes: int | None
    files: int | None
    status: SnapshotStatus
    verified: bool
    message: str
    bytes_done: int
    workflow_id: str | None


class SnapshotsAnswer(Answer):
    snapshots: list[SnapshotAnswer]
    count: int
    total: int
    next_cursor: str | None


class RestoreAnswer(Answer):
    """`instance_id`: the new one, or the one given."""

    id: int
    instance_id: int
    snapshot_id: str
    status: InstanceStatus
    ssh_host: str | None
    ssh_port: int | None
    workflow_id: str


def shown_snapshot(row: Snapshot) -> SnapshotAnswer:
    return SnapshotAnswer(
        id=row.id,
        snapshot_id=row.id,
        short_id=row.restic_id[:SHORT] if row.restic_id else None,
        instance_id=row.instance_id,
        time=row.taken_at or row.created_at,
        created_at=row.created_at,
        label=row.label,
        tags=row.tags,
        paths=row.paths,
        size_bytes=row.size_bytes,
        data_added_bytes=row.data_added_bytes,
        files=row.files,
        status=row.status,
        verified=row.verified,
        message=row.message,
        bytes_done=row.bytes_done,
        workflow_id=None if PAUSE_TAG in row.tags else snapshot_workflow_id(row.id),
    )
