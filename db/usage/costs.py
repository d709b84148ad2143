"""What leases cost: their hourly price from rent to end, and only their disk's for as long as they were stopped."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.tables import Lease
from domain.machines.phases import LeaseState


async def committed_usd(session: AsyncSession, user_id: int, window: timedelta = timedelta(hours=24)) -> float:
    """What a user's leases cost in the window up to now, and the next hour of those that are open.

    Reserved ones count, for they are about to; what was stopped counts as if it had been within the window.
    """
    since, now, is_open = func.now() - window, func.now(), Lease.state != LeaseState.CLOSED
    began = func.greatest(func.coalesce(Lease.rented_at, Lease.created_at), since)
    ended = func.coalesce(Lease.closed_at, now)
    seconds = func.greatest(func.extract("epoch", ended - began), 0)
    stopped = Lease.stopped_seconds + func.extract("epoch", ended - func.coalesce(Lease.stopped_at, ended))
    saved = func.least(func.greatest(stopped, 0), seconds) * (Lease.price_usd_per_hour - Lease.storage_usd_per_hour)
    spent = case((Lease.asked_at.is_not(None), (seconds * Lease.price_usd_per_hour - saved) / 3600), else_=0)
    next_hour = case((Lease.state == LeaseState.STOPPED, Lease.storage_usd_per_hour), else_=Lease.price_usd_per_hour)
    total = await session.scalar(
        select(func.sum(spent + case((is_open, next_hour), else_=0))).where(Lease.user_id == user_id, ended > since)
    )
    return float(total or 0.0)


def cost_of(lease: Lease, now: datetime | None = None) -> float:
    """USD, from the rent to the end or to now. The same rule as the spending cap's."""
    if lease.rented_at is None:
        return 0.0
    ended = lease.closed_at or now or datetime.now(UTC)
    seconds = max(0.0, (ended - lease.rented_at).total_seconds())
    stopped = lease.stopped_seconds
    if lease.stopped_at is not None:
        stopped += max(0.0, (ended - lease.stopped_at).total_seconds())
    stopped = min(stopped, seconds)
    return ((seconds - stopped) * float(lease.price_usd_per_hour) + stopped * float(lease.storage_usd_per_hour)) / 3600


def hourly_of(lease: Lease) -> float:
    """USD/h that it costs as it is now."""
    return float(lease.storage_usd_per_hour if lease.state is LeaseState.STOPPED else lease.price_usd_per_hour)
