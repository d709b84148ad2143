"""The last report of each lease's agent. Times are ours."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.leases import holder_of, mark_seen
from db.machines.tables import AgentReport, Lease
from domain.machines.agents import AgentStatus, why_active
from domain.machines.machines import MachineSeen, Seen
from domain.machines.phases import LeaseState

AWAITED = (LeaseState.RENTED, LeaseState.STARTING)
"""In these states a workflow waits for the machine: the first report of a new boot shows that it is up."""


@dataclass(frozen=True)
class Recorded:
    """`seen`: what to signal to the lease's workflow, when a boot is waited for and this is its first report."""

    at: datetime
    in_use: bool
    seen: MachineSeen | None


async def record_report(session: AsyncSession, lease: Lease, status: AgentStatus) -> Recorded:
    """Keep a report. Two at once are kept one after the other; what it claims of time and identity is not used."""
    clock = func.clock_timestamp()
    made = await session.scalar(
        insert(AgentReport)
        .values(
            lease_id=lease.id,
            instance_id=holder_of(lease).instance_id or 0,
            first_at=clock,
            at=clock,
            why_active="",
            version="",
            body={},
        )
        .on_conflict_do_nothing()
        .returning(AgentReport.lease_id)
    )
    row = await session.get_one(AgentReport, lease.id, with_for_update=True)
    now = (await session.scalars(select(clock))).one()
    if made:
        row.first_at = now
    before = None if made else AgentStatus.model_validate(row.body)
    _fill(row, status, now, None if made else now - row.at)
    new_boot = before is None or before.boot_id != status.boot_id
    seen = await _arrived(session, lease, status, now) if new_boot and status.boot_id else None
    return Recorded(at=now, in_use=row.active_at == now, seen=seen)


def _fill(row: AgentReport, status: AgentStatus, now: datetime, gap: timedelta | None) -> None:
    why = why_active(status, gap)
    row.at, row.gpu_util, row.version = now, status.gpu_load, status.version
    row.body = status.model_dump(mode="json")
    if why:
        row.active_at, row.why_active = now, why[:500]


async def _arrived(session: AsyncSession, lease: Lease, status: AgentStatus, now: datetime) -> MachineSeen | None:
    """The machine is up, where it says. Only the address is written: the watch, too, will see it up and tell of it, so
    nothing is lost when we die before the workflow was told."""
    locked = await session.get_one(Lease, lease.id, with_for_update=True, populate_existing=True)
    if locked.state not in AWAITED:
        return None
    old = MachineSeen.model_validate(locked.seen)
    if (address := status.address()) is not None:
        old.public_ipaddr, old.ports = address
        await mark_seen(session, lease.id, old.model_dump(mode="json"))
    return old.model_copy(update={"state": Seen.UP, "since": now, "actual_status": "running", "message": ""})


async def report_of(session: AsyncSession, lease_id: str) -> AgentReport | None:
    """The last report of the lease's machine."""
    return await session.get(AgentReport, lease_id)


def status_of(report: AgentReport) -> AgentStatus:
    return AgentStatus.model_validate(report.body)
