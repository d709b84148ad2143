"""Signs of life of processes that nobody can ask over HTTP."""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.tables import ProcessHeartbeat

EVERY = timedelta(seconds=2)
MISSED_AFTER = timedelta(seconds=10)
FORGOTTEN = timedelta(days=1)


async def beat(session: AsyncSession, process: str) -> None:
    """`process` is alive now; the long dead are forgotten on the way."""
    now = func.clock_timestamp()
    await session.execute(delete(ProcessHeartbeat).where(ProcessHeartbeat.at < now - FORGOTTEN))
    await session.execute(
        insert(ProcessHeartbeat)
        .values(process=process, at=now)
        .on_conflict_do_update(index_elements=[ProcessHeartbeat.process], set_={"at": now})
    )


async def is_alive(session: AsyncSession, kind: str) -> bool:
    """Whether any process of this kind (`worker` of `worker-host-123`) gave a sign of life lately."""
    lately = func.clock_timestamp() - MISSED_AFTER
    found = await session.scalar(
        select(ProcessHeartbeat.process).where(
            ProcessHeartbeat.process.startswith(f"{kind}-"), ProcessHeartbeat.at > lately
        )
    )
    return found is not None


async def ended(session: AsyncSession, process: str) -> None:
    """`process` ends as it should."""
    await session.execute(delete(ProcessHeartbeat).where(ProcessHeartbeat.process == process))
