"""Everything that the next step of an instance depends on, read in one transaction."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from db.instances.tables import Instance
from db.machines.leases import leases_of_instance
from db.machines.tables import Lease
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.instances.steps import WORTHLESS, InstanceFacts, LaterPart, LeaseFacts, NewestSnapshot
from domain.lifecycles import LIFECYCLES
from domain.machines.machines import MachineSeen, Seen
from domain.machines.phases import LeaseOutcome, LeaseState
from domain.snapshots import snapshots as rules
from domain.snapshots.snapshots import Disk

_WORKED = (LeaseOutcome.WORKING, LeaseOutcome.SERVED)


async def instance_facts(
    session: AsyncSession, instance: Instance, *, attempts_allowed: int, wakes_allowed: int
) -> InstanceFacts:
    tried = await leases_of_instance(session, instance.id)
    present = next((each for each in tried if each.id == instance.lease_id), None)
    data = next((each for each in tried if each.id == instance.data_lease_id), None)
    lifecycle = LIFECYCLES[instance.kind]
    taken = await snapshots.of_instance(session, instance.id) if lifecycle.keeps_files else []
    snapshot = snapshots.newest_of(taken, instance)
    return InstanceFacts(
        desired=instance.desired,
        status=instance.status,
        lease=None if present is None else _facts(present, holds_all(snapshot, present, instance)),
        attempts=_failed_lately(tried),
        attempts_allowed=attempts_allowed,
        open_leases=sum(each.state.is_open for each in tried),
        was_running=instance.running_at is not None,
        lifecycle=lifecycle,
        data_lease_id=instance.data_lease_id,
        data_lease_is_open=data is not None and data.state.is_open,
        others_held=any(each.wanted and each.state.is_open for each in tried if each is not present),
        snapshot=None if snapshot is None else _newest(snapshot, taken, instance),
        restore_requested=instance.restore_snapshot_id,
        restores_part=lifecycle.keeps_files and await _restores_part(session, instance),
        wakes_left=wakes_allowed - instance.failed_wakes,
    )


def _newest(row: Snapshot, taken: Sequence[Snapshot], instance: Instance) -> NewestSnapshot:
    latest = rules.latest([snapshots.facts(each) for each in taken])
    later = None if latest is None or latest.id == row.id else LaterPart(id=latest.id, paths=latest.paths)
    return NewestSnapshot(
        id=row.id,
        is_verified=row.verified,
        is_whole=rules.covers(row.paths, snapshots.persisting(instance)),
        paths=row.paths,
        later_part=later,
        lacks_files_put_back=row.epoch < instance.epoch,
    )


async def _restores_part(session: AsyncSession, instance: Instance) -> bool:
    """Whether the snapshot that shall be put on its machine is of less than what persists."""
    if instance.restore_snapshot_id is None:
        return False
    requested = await session.get(Snapshot, instance.restore_snapshot_id)
    return requested is not None and not rules.covers(requested.paths, snapshots.persisting(instance))


def holds_all(snapshot: Snapshot | None, lease: Lease, instance: Instance) -> bool:
    """Whether the snapshot has all that must outlive the lease's machine: the one predicate, asked of the rows."""
    disk = Disk(
        lease_id=lease.id,
        is_stopped=lease.state is LeaseState.STOPPED and not _looks_up(lease),
        ran_until=lease.ran_until,
        stopped_at=lease.stopped_at,
    )
    persist = snapshots.persisting(instance)
    return snapshot is not None and rules.holds_all(snapshots.facts(snapshot), persist, disk)


def _looks_up(lease: Lease) -> bool:
    """Whether it was seen running last, though we stopped it: somebody may have started it."""
    return MachineSeen.model_validate(lease.seen).state is Seen.UP


def _failed_lately(tried: Sequence[Lease]) -> int:
    """Attempts since the last machine that worked. Earlier ones do not count against the limit."""
    failed = 0
    for each in tried:
        worked = each.outcome in _WORKED or each.running_at is not None
        failed = 0 if worked else failed + (each.outcome not in WORTHLESS)
    return failed


def _facts(lease: Lease, is_saved: bool) -> LeaseFacts:
    return LeaseFacts(
        id=lease.id,
        state=lease.state,
        wanted=lease.wanted,
        outcome=lease.outcome,
        reason=lease.reason,
        gpu_name=lease.gpu_name,
        price_usd_per_hour=float(lease.price_usd_per_hour),
        power=lease.power,
        start_refused=lease.start_refused,
        is_saved=is_saved,
    )
