"""When each instance was last used over SSH. Bytes of its users count; open connections and keepalives do not."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from sqlalchemy import func, update

from db.instances.tables import Instance
from db.session import Database
from gateway.route_feed import DATABASE_ERRORS

NOTED_EVERY_SECONDS = 3.0

log = logging.getLogger(__name__)


class Traffic:
    """Remembers which instances had traffic, and writes the time for all of them at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._active: set[int] = set()

    def note_of(self, instance_id: int) -> Callable[[], None]:
        """A function to call for every piece of data. It only adds to a set."""
        return partial(self._active.add, instance_id)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(NOTED_EVERY_SECONDS)
            await self.write_down()

    async def write_down(self) -> None:
        """Write the times, in one statement. While the database is away they wait for the next call."""
        if not self._active:
            return
        active = list(self._active)
        self._active.clear()
        try:
            async with self._database.begin() as session:
                used = update(Instance).where(Instance.id.in_(active))
                await session.execute(used.values(traffic_at=func.clock_timestamp()))
        except DATABASE_ERRORS as error:
            self._active.update(active)
            log.debug("traffic is not noted now: %s", type(error).__name__)
