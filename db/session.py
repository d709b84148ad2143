"""The database as a room sees it: one engine a process, one transaction a `begin()`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


class Database:
    """A pool of connections. Cheap to pass around, made once by each entry point."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        # an error never carries values: a path or a token is as good as a key
        self.engine = create_async_engine(
            url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True, hide_parameters=True
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends well, rolled back when it raises."""
        async with self._sessions.begin() as session:
            yield session

    async def close(self) -> None:
        await self.engine.dispose()
