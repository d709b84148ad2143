"""Hearing of NOTIFY: one connection a process, and whoever waits for an instance is woken when its row changed."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg import Notify

from db.notify import INSTANCES_CHANNEL
from db.session import Database

RECONNECT_SECONDS = 0.5
log = logging.getLogger(__name__)


async def heard(database: Database, *channels: str) -> AsyncIterator[Notify | None]:
    """What is told on these channels, on a connection of its own. None at the beginning: what was told before is lost.

    Raises:
        psycopg.Error, OSError: the database is away; listen again in a moment.
    """
    address = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    options: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5}
    async with await psycopg.AsyncConnection.connect(address, autocommit=True, **options) as connection:
        await connection.execute("; ".join(f"LISTEN {channel}" for channel in channels))
        yield None
        async for notice in connection.notifies():
            yield notice


class ChangeListener:
    """Tells waiters that an instance's row may have changed. A hint only: what is missed is found by looking again."""

    def __init__(self, database: Database, channel: str = INSTANCES_CHANNEL) -> None:
        self._database = database
        self._channel = channel
        self._waiting: dict[int, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Listen until cancelled. While the database is away nobody is woken, and everybody looks by himself."""
        while True:
            try:
                async for notice in heard(self._database, self._channel):
                    if notice is not None:
                        self._tell(int(notice.payload) if notice.payload.isdigit() else None)
            except (psycopg.Error, OSError) as error:
                log.info("nothing is heard from the database (%s)", type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    def _tell(self, instance_id: int | None) -> None:
        told = [instance_id] if instance_id is not None else list(self._waiting)
        for each in told:
            for event in self._waiting.get(each, ()):
                event.set()

    async def wait(self, instance_id: int, seconds: float) -> None:
        """Until something is heard of the instance, or the time is over."""
        event = asyncio.Event()
        self._waiting[instance_id].add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            self._waiting[instance_id].discard(event)
            if not self._waiting[instance_id]:
                del self._waiting[instance_id]
