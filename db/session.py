"""The database as a room sees it: one engine a process, one transaction a `begin()`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

ANSWER_SECONDS = 5.0
"""A database that begins no transaction within this time counts as away, even if it accepts connections."""

_NETWORK = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10, "keepalives_interval": 5}
"""For libpq: a host that vanished is noticed within seconds instead of minutes."""


class Database:
    """A pool of connections. Cheap to pass around, made once by each entry point."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        # errors must not contain values: a path or a token is as good as a key
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=20,
            pool_timeout=ANSWER_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=_NETWORK,
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends well, rolled back when it raises.

        Raises:
            PoolTimeout: the database does not answer, though it may take connections.
        """
        async with self._sessions.begin() as session:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await session.connection()
            except TimeoutError:
                raise PoolTimeout("the database takes no transaction") from None
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


async def now(session: AsyncSession) -> datetime:
    """The time by the database's clock, which rows are dated by."""
    moment: datetime = (await session.scalars(select(func.clock_timestamp()))).one()
    return moment
