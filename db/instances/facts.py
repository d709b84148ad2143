"""Everything that the next step of an instance depends on, read in one transaction."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from db.instances.tables import Instance
from db.machines.leases import leases_of_instance
from db.machines.tables import Lease
from db.snapshots.snapshots import newest
from db.snapshots.tables import Snapshot
from domain.instances.phases import InstancePurpose
from domain.instances.steps import WORTHLESS, InstanceFacts, LeaseFacts, NewestSnapshot
from domain.machines.phases import LeaseOutcome, LeaseState

_WORKED = (LeaseOutcome.WORKING, LeaseOutcome.SERVED)


async def instance_facts(
    session: AsyncSession, instance: Instance, *, attempts_allowed: int, wakes_allowed: int
) -> InstanceFacts:
    tried = await leases_of_instance(session, instance.id)
    present = next((each for each in tried if each.id == instance.lease_id), None)
    home = next((each for each in tried if each.id == instance.data_lease_id), None)
    keeps_files = instance.purpose is InstancePurpose.INTERACTIVE
    snapshot = await newest(session, instance) if keeps_files else None
    return InstanceFacts(
        desired=instance.desired,
        status=instance.status,
        lease=None if present is None else _facts(present, snapshot),
        attempts=_failed_lately(tried) if keeps_files else sum(each.outcome not in WORTHLESS for each in tried),
        attempts_allowed=attempts_allowed,
        open_leases=sum(each.state.is_open for each in tried),
        was_running=instance.running_at is not None,
        keeps_files=keeps_files,
        data_lease_id=instance.data_lease_id,
        data_lease_is_open=home is not None and home.state.is_open,
        others_held=any(each.wanted and each.state.is_open for each in tried if each is not present),
        snapshot=None if snapshot is None else NewestSnapshot(id=snapshot.id, is_verified=snapshot.verified),
        restore_requested=instance.restore_snapshot_id,
        wakes_left=wakes_allowed - instance.failed_wakes,
    )


def holds_all(snapshot: Snapshot | None, lease: Lease) -> bool:
    """Whether nothing was written on the machine since the snapshot was taken."""
    if snapshot is None or snapshot.taken_at is None or snapshot.lease_id != lease.id:
        return False
    return lease.state is LeaseState.STOPPED and lease.ran_until is not None and snapshot.taken_at >= lease.ran_until


def _failed_lately(tried: Sequence[Lease]) -> int:
    """Attempts since the last machine that worked: an old instance has many machines behind it."""
    failed = 0
    for each in tried:
        failed = 0 if each.outcome in _WORKED else failed + (each.outcome not in WORTHLESS)
    return failed


def _facts(lease: Lease, snapshot: Snapshot | None) -> LeaseFacts:
    return LeaseFacts(
        id=lease.id,
        state=lease.state,
        wanted=lease.wanted,
        outcome=lease.outcome,
        reason=lease.reason,
        gpu_name=lease.gpu_name,
        dph_total=float(lease.price_usd_per_hour),
        power=lease.power,
        start_refused=lease.start_refused,
        is_saved=holds_all(snapshot, lease),
    )
