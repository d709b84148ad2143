"""Heartbeats of processes that have no HTTP health check."""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.tables import ProcessHeartbeat

EVERY = timedelta(seconds=3)
MISSED_AFTER = timedelta(seconds=10)
FORGOTTEN = timedelta(days=1)


async def beat(session: AsyncSession, process: str) -> None:
    """Record that `process` is alive now."""
    now = func.clock_timestamp()
    await session.execute(
        insert(ProcessHeartbeat)
        .values(process=process, at=now)
        .on_conflict_do_update(index_elements=[ProcessHeartbeat.process], set_={"at": now})
    )


async def forget_dead(session: AsyncSession) -> None:
    """Delete the rows of those dead for long."""
    await session.execute(delete(ProcessHeartbeat).where(ProcessHeartbeat.at < func.clock_timestamp() - FORGOTTEN))


async def is_alive(session: AsyncSession, kind: str) -> bool:
    """Whether any process of this kind (`worker` of `worker-host-123`) was alive lately."""
    lately = func.clock_timestamp() - MISSED_AFTER
    found = await session.scalar(
        select(ProcessHeartbeat.process).where(
            ProcessHeartbeat.process.startswith(f"{kind}-"), ProcessHeartbeat.at > lately
        )
    )
    return found is not None


async def ended(session: AsyncSession, process: str) -> None:
    """`process` ended in order."""
    await session.execute(delete(ProcessHeartbeat).where(ProcessHeartbeat.process == process))
