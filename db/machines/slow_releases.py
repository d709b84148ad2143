"""Alarms for machines that the cloud takes long to release: they cost money meanwhile."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.alarms import close_alarms, raise_alarm
from db.machines.tables import Lease

SLOW_ALARM = "release_slow"


async def tell_if_slow(session: AsyncSession, lease: Lease, after_seconds: float) -> None:
    """Raise the alarm once the release has taken longer than `after`, by the database's clock."""
    age = func.extract("epoch", func.clock_timestamp() - Lease.releasing_at)
    seconds = await session.scalar(select(age).where(Lease.id == lease.id))
    if seconds is not None and float(seconds) > after_seconds:
        await raise_alarm(session, SLOW_ALARM, _words(lease), user_id=lease.user_id)


async def no_longer_slow(session: AsyncSession, lease: Lease) -> None:
    """The machine is gone: close its alarm."""
    await close_alarms(session, SLOW_ALARM, _words(lease))


def _words(lease: Lease) -> str:
    """The text stays the same in each attempt, so that there is one alarm."""
    return (
        f"The machine labelled {lease.label} was to be given back, and the cloud does not say that it is gone. It may "
        f"cost up to {lease.dph_total:.3f} USD/h. The cloud is asked again and again; look in its own console too."
    )
