"""Snapshots' rows. Only snapshots with a row exist; what else a repository holds is deleted when it is tidied."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.events import record_event
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.snapshots.tables import Snapshot, VaultRepository
from domain.instances.instances import DEFAULT_PERSIST
from domain.instances.phases import InstanceStatus
from domain.lifecycles import LIFECYCLES
from domain.snapshots import snapshots as rules
from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.snapshots import OWN_TAGS, NothingRuns, SnapshotFacts, SnapshotInUse, Whereabouts

_OVER = [InstanceStatus.DESTROYED, InstanceStatus.FAILED]


def facts(row: Snapshot) -> SnapshotFacts:
    return SnapshotFacts(
        id=row.id,
        epoch=row.epoch,
        lease_id=row.lease_id,
        paths=row.paths,
        status=row.status,
        verified=row.verified,
        final=row.final,
        label=row.label,
        taken_at=row.taken_at,
        ended_at=row.ended_at,
    )


def persisting(instance: Instance) -> list[str]:
    """The paths that must outlive its machine, as of today."""
    return list(instance.persist or DEFAULT_PERSIST)


async def of_instance(session: AsyncSession, instance_id: int, *, lock: bool = False) -> Sequence[Snapshot]:
    """All that exist, the oldest first. `lock`: and stay as they are until the transaction ends.

    Who locks snapshots and their instance locks the instance first.
    """
    mine = select(Snapshot).where(Snapshot.instance_id == instance_id, Snapshot.deleted_at.is_(None))
    mine = mine.order_by(Snapshot.created_at, Snapshot.id)
    if lock:
        mine = mine.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(mine)).all()


async def held(session: AsyncSession, snapshot_id: str) -> Snapshot | None:
    """One as it is now, and stays until the transaction ends; None: it was deleted."""
    row = await session.get(Snapshot, snapshot_id, with_for_update=True, populate_existing=True)
    return None if row is None or row.deleted_at is not None else row


async def newest(session: AsyncSession, instance: Instance, *, lock: bool = False) -> Snapshot | None:
    """The newest state of the instance's files: the last ready one, if possible of all that persists."""
    return newest_of(await of_instance(session, instance.id, lock=lock), instance)


def newest_of(taken: Sequence[Snapshot], instance: Instance) -> Snapshot | None:
    found = rules.newest([facts(row) for row in taken], persisting(instance))
    return None if found is None else next(row for row in taken if row.id == found.id)


async def begin(
    session: AsyncSession,
    snapshot_id: str,
    instance: Instance,
    *,
    label: str | None = None,
    paths: Sequence[str] = (),
    tags: Sequence[str] = (),
    final: bool = False,
) -> Snapshot:
    """Write the row of a snapshot to take now, unless it is there already.

    Raises:
        NothingRuns: no machine holds the instance's files.
    """
    row = await session.get(Snapshot, snapshot_id)
    if row is not None:
        return row
    lease_id = instance.data_lease_id or instance.lease_id
    if lease_id is None:
        last = await newest(session, instance)
        raise NothingRuns(instance.status, None if last is None else last.id)
    row = Snapshot(
        id=snapshot_id,
        user_id=instance.user_id,
        instance_id=instance.id,
        lease_id=lease_id,
        epoch=instance.epoch,
        label=label,
        paths=list(paths) or persisting(instance),
        tags=list(tags),
        final=final,
    )
    if OWN_TAGS.intersection(tags):
        await _give_up_earlier(session, row)
    session.add(row)
    await session.flush()
    return row


async def _give_up_earlier(session: AsyncSession, row: Snapshot) -> None:
    """Fail snapshots that the instance's workflow began before it was terminated: nobody finishes them."""
    for each in await of_instance(session, row.instance_id):
        if each.status is SnapshotStatus.CREATING and OWN_TAGS.intersection(each.tags):
            await mark_failed(session, each.id, "Given up with the flow that took it; another was begun.")


async def mark_begun(session: AsyncSession, snapshot_id: str) -> None:
    """Record that its files are read from now on. Called once, before the machine is asked."""
    now = func.clock_timestamp()
    await session.execute(
        update(Snapshot)
        .where(Snapshot.id == snapshot_id, Snapshot.taken_at.is_(None))
        .values(taken_at=now, progressed_at=now)
    )


async def mark_progress(session: AsyncSession, snapshot_id: str, bytes_done: int, message: str) -> None:
    await session.execute(
        update(Snapshot)
        .where(Snapshot.id == snapshot_id, Snapshot.status == SnapshotStatus.CREATING)
        .values(bytes_done=bytes_done, message=message, progressed_at=func.clock_timestamp())
    )


async def mark_ready(
    session: AsyncSession, row: Snapshot, restic_id: str, *, size: int, added: int, files: int
) -> bool:
    """Record that it is whole. False: it failed or was cancelled meanwhile; its data is deleted later."""
    marked = await session.execute(
        update(Snapshot)
        .where(Snapshot.id == row.id, Snapshot.status == SnapshotStatus.CREATING, Snapshot.deleted_at.is_(None))
        .values(
            status=SnapshotStatus.READY,
            restic_id=restic_id,
            size_bytes=size,
            data_added_bytes=added,
            files=files,
            bytes_done=size,
            message="",
            ended_at=func.clock_timestamp(),
        )
        .returning(Snapshot.id)
    )
    return marked.scalar() is not None


async def mark_verified(session: AsyncSession, snapshot_id: str) -> None:
    await session.execute(
        update(Snapshot)
        .where(Snapshot.id == snapshot_id, Snapshot.status == SnapshotStatus.READY)
        .values(verified=True)
    )


async def mark_failed(session: AsyncSession, snapshot_id: str, message: str) -> None:
    """Record that it failed. One that was verified stays ready."""
    failed = await session.execute(
        update(Snapshot)
        .where(Snapshot.id == snapshot_id, Snapshot.status != SnapshotStatus.FAILED, ~Snapshot.verified)
        .values(status=SnapshotStatus.FAILED, message=message, ended_at=func.clock_timestamp())
        .returning(Snapshot.user_id, Snapshot.instance_id)
    )
    if row := failed.one_or_none():
        await record_event(session, row.user_id, f"instance:{row.instance_id}", "snapshot_failed", message)


async def delete(session: AsyncSession, row: Snapshot, instance: Instance, *, force: bool) -> None:
    """Delete it; one that is being taken is cancelled. Its data is deleted when the vault is tidied.

    The caller holds the instance's row, so its machine is not given up meanwhile.

    Raises:
        SnapshotInUse
    """
    alive = [facts(each) for each in await of_instance(session, instance.id, lock=True)]
    where = await _whereabouts(session, instance)
    if not force and rules.is_only_copy(row.id, alive, persisting(instance), where):
        raise SnapshotInUse(instance.status)
    if row.status is SnapshotStatus.CREATING:
        row.status, row.message, row.ended_at = SnapshotStatus.FAILED, "cancelled by its owner", func.clock_timestamp()
    row.deleted_at = func.clock_timestamp()


async def _whereabouts(session: AsyncSession, instance: Instance) -> Whereabouts:
    data = None if instance.data_lease_id is None else await session.get(Lease, instance.data_lease_id)
    return Whereabouts(
        lifecycle=LIFECYCLES[instance.kind],
        status=instance.status,
        desired=instance.desired,
        data_lease=None if data is None else data.state,
        data_lease_wanted=data is not None and data.wanted,
        is_moving=instance.lease_id != instance.data_lease_id,
    )


async def delete_all(session: AsyncSession, instance_id: int) -> None:
    """Delete every snapshot of an instance. The repository follows when the instance is over."""
    await session.execute(select(Instance.id).where(Instance.id == instance_id).with_for_update())
    now = func.clock_timestamp()
    mine = (Snapshot.instance_id == instance_id, Snapshot.deleted_at.is_(None))
    await session.execute(
        update(Snapshot)
        .where(*mine, Snapshot.status == SnapshotStatus.CREATING)
        .values(status=SnapshotStatus.FAILED, message="its instance was destroyed", ended_at=now)
    )
    await session.execute(update(Snapshot).where(*mine).values(deleted_at=now))


async def restic_ids(session: AsyncSession, instance_id: int, *, but: str) -> set[str]:
    """The ids in the repository of all snapshots of an instance, deleted ones too, `but` one."""
    others = select(Snapshot.restic_id).where(Snapshot.instance_id == instance_id, Snapshot.id != but)
    return {each for each in await session.scalars(others) if each is not None}


async def deleted_ids(session: AsyncSession, instance_id: int) -> set[str]:
    """The repository's ids of deleted snapshots, whose data is still there."""
    gone = select(Snapshot.restic_id).where(Snapshot.instance_id == instance_id, Snapshot.deleted_at.is_not(None))
    return {each for each in await session.scalars(gone) if each is not None}


async def source_of(session: AsyncSession, instance: Instance) -> int | None:
    """The instance whose repository this one restores from now, if any; of the same user, or none."""
    if instance.restore_snapshot_id is None:
        return None
    row = await session.get(Snapshot, instance.restore_snapshot_id)
    return row.instance_id if row is not None and row.user_id == instance.user_id else None


async def being_restored(session: AsyncSession, instance_id: int) -> frozenset[str]:
    """Snapshots of this instance that some instance has to have on its machine before it runs."""
    wanted = select(Instance.restore_snapshot_id).join(Snapshot, Snapshot.id == Instance.restore_snapshot_id)
    rows = await session.scalars(wanted.where(Snapshot.instance_id == instance_id, Instance.status.not_in(_OVER)))
    return frozenset(each for each in rows if each is not None)


async def being_taken(session: AsyncSession, instance_id: int) -> int:
    """How many are being taken."""
    creating = (Snapshot.instance_id == instance_id, Snapshot.status == SnapshotStatus.CREATING)
    return await session.scalar(select(func.count()).select_from(Snapshot).where(*creating)) or 0


async def left_to_take(session: AsyncSession) -> Sequence[Snapshot]:
    """Those that a SnapshotWorkflow of their own has to take; a pause takes its own."""
    creating = await session.scalars(select(Snapshot).where(Snapshot.status == SnapshotStatus.CREATING))
    return [row for row in creating if not OWN_TAGS.intersection(row.tags)]


async def left_to_remove(session: AsyncSession) -> Sequence[int]:
    """Instances that are over, whose snapshots were deleted, and whose repositories are still there."""
    alive = select(Snapshot.id).where(
        Snapshot.instance_id == VaultRepository.instance_id, Snapshot.deleted_at.is_(None)
    )
    deleted = select(Snapshot.id).where(Snapshot.instance_id == VaultRepository.instance_id)
    found = select(VaultRepository.instance_id).join(Instance, Instance.id == VaultRepository.instance_id)
    return (
        await session.scalars(found.where(Instance.status.not_in([*_ALIVE]), ~alive.exists(), deleted.exists()))
    ).all()


_ALIVE = [status for status in InstanceStatus if not status.is_over]
