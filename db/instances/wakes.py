"""Makes the report of an instance's last wake from the rows that the wake wrote."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from db.instances.tables import Instance
from db.machines.leases import leases_of_instance
from db.machines.tables import Lease
from db.session import now
from db.usage.costs import cost_of
from domain.instances.wakes import WakeMethod, WakeReport, WakeTry
from domain.machines.phases import LeaseState


async def report_of(session: AsyncSession, instance: Instance, *, worked: bool, reason: str = "") -> WakeReport:
    present = await now(session)
    began = instance.requested_at or present
    every = await leases_of_instance(session, instance.id)
    rented = [lease for lease in every if lease.created_at >= began]
    resumed = [lease for lease in every if lease.created_at < began and _was_tried(lease)]
    return WakeReport(
        by=instance.requested_by,
        began_at=began,
        ended_at=present,
        seconds=round((present - began).total_seconds(), 3),
        worked=worked,
        method=_method(instance, rented) if worked else None,
        tries=[_try(lease, "start") for lease in resumed] + [_try(lease, "rent") for lease in rented],
        cost_usd=round(sum(cost_of(lease, present) for lease in rented), 6),
        reason=reason,
    )


def _was_tried(lease: Lease) -> bool:
    return lease.start_refused is not None or lease.state is LeaseState.RUNNING


def _method(instance: Instance, rented: Sequence[Lease]) -> WakeMethod:
    new = any(lease.id == instance.lease_id for lease in rented)
    return WakeMethod.RESTORE if new else WakeMethod.RESUME


def _try(lease: Lease, verb: str) -> WakeTry:
    machine = f"{lease.num_gpus}x {lease.gpu_name} at {lease.dph_total:.3f} USD/h, offer {lease.offer_id}"
    failure = lease.start_refused if verb == "start" else lease.reason
    return WakeTry(what=f"{verb} {machine}", worked=lease.state is LeaseState.RUNNING, reason=failure or "")
