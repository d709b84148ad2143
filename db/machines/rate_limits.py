"""The limiter that all processes share: one row per account and endpoint, taken by one statement.

It is GCRA: `free_at` is when the next request would be on time, and a caller may be early by `burst - 1` spacings.
"""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.tables import RequestSlot


async def push_back(session: AsyncSession, account_id: int, endpoint: str, pause: timedelta) -> None:
    """The cloud refused a request as too early: send none to this endpoint before the pause is over."""
    later = func.clock_timestamp() + pause
    await session.execute(
        insert(RequestSlot)
        .values(account_id=account_id, endpoint=endpoint, free_at=later)
        .on_conflict_do_update(
            index_elements=[RequestSlot.account_id, RequestSlot.endpoint],
            set_={"free_at": func.greatest(RequestSlot.free_at, later)},
        )
    )


async def take_slot(
    session: AsyncSession,
    account_id: int,
    endpoint: str,
    spacing: timedelta,
    burst: int = 1,
    idle: timedelta = timedelta(0),
) -> float:
    """Take the next request to an endpoint. Returns 0.0 when taken, else the seconds to wait before trying again.

    `idle`: for how long it must have been free before this caller takes it.
    """
    now = func.clock_timestamp()
    early = spacing * (burst - 1)
    taken = await session.scalar(
        insert(RequestSlot)
        .values(account_id=account_id, endpoint=endpoint, free_at=now + spacing)
        .on_conflict_do_update(
            index_elements=[RequestSlot.account_id, RequestSlot.endpoint],
            set_={"free_at": func.greatest(RequestSlot.free_at, now) + spacing},
            where=RequestSlot.free_at - early + idle <= now,
        )
        .returning(RequestSlot.free_at)
    )
    if taken is not None:
        return 0.0
    wait = await session.scalar(
        select(func.extract("epoch", RequestSlot.free_at - early + idle - now)).where(
            RequestSlot.account_id == account_id, RequestSlot.endpoint == endpoint
        )
    )
    return max(0.05, float(wait or 0.0))
