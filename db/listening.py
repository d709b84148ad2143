"""LISTEN: one connection a process. It wakes those who wait for an instance when the instance's row changes."""

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
LOOK_ANYWAY_SECONDS = 10.0
log = logging.getLogger(__name__)


async def heard(database: Database, *channels: str) -> AsyncIterator[Notify | None]:
    """Notifications of these channels, on a connection of their own. Yields None first: earlier ones were missed.

    Raises:
        psycopg.Error, OSError: the database is away; listen again in a moment.
    """
    address = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    options: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5}
    async with await psycopg.AsyncConnection.connect(address, autocommit=True, **options) as connection:
        await connection.execute("; ".join(f"LISTEN {channel}" for channel in channels))
        yield None
        while True:
            async for notice in connection.notifies(timeout=0):
                yield notice
            await _readable(connection.fileno())


async def _readable(fileno: int) -> None:
    """Until there is something to read. psycopg itself looks ten times a second, in every process, all day.

    Not for ever: TLS may have read from the socket already what libpq has not seen yet.
    """
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fileno, readable.set)
    try:
        async with asyncio.timeout(LOOK_ANYWAY_SECONDS):
            await readable.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(fileno)


class ChangeListener:
    """Wakes waiters when an instance's row may have changed. Only a hint: waiters also look again by themselves."""

    def __init__(self, database: Database, channel: str = INSTANCES_CHANNEL) -> None:
        self._database = database
        self._channel = channel
        self._waiting: dict[int, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Listen until cancelled. While the database is away nobody is woken; waiters look again by themselves."""
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
        """Wait until the instance may have changed, or for at most `seconds`."""
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
