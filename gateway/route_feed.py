"""Keeps the route table current: it is read at each NOTIFY, and every few seconds in case one was missed.

While the database is away, the routes known so far go on being served.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import psycopg
from psycopg import Notify
from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError

from db.accounts.users import REVOKED_CHANNEL
from db.endpoints.tables import Endpoint
from db.listening import heard
from db.session import Database
from gateway.http.rate import Bucket
from gateway.routes import Route, RouteTable, open_routes, route_of

CHANNEL = "routes"
REREAD_SECONDS = 5.0
RECONNECT_SECONDS = 0.5
READ_DEADLINE_SECONDS = 5.0
LOOK_UPS_PER_SECOND = 20.0
UNKNOWN_FOR_SECONDS = 1.0
UNKNOWN_KEPT = 10_000

DATABASE_ERRORS = (SQLAlchemyError, psycopg.Error, OSError)
"""What a database that is away raises; TimeoutError is among them, being an OSError."""

log = logging.getLogger(__name__)


class TooManyLookUps(Exception):
    """Too many look-ups of unknown paths. This keeps scanners from loading the database."""


class RouteFeed:
    """Reads routes into the table, and hears of revoked credentials. `run` goes on until cancelled."""

    def __init__(self, database: Database, table: RouteTable, on_revoked: Callable[[], None]) -> None:
        self._database = database
        self._table = table
        self._on_revoked = on_revoked
        self._one_at_a_time = asyncio.Lock()
        self._look_ups = Bucket(LOOK_UPS_PER_SECOND, LOOK_UPS_PER_SECOND)
        self._second_looks = Bucket(LOOK_UPS_PER_SECOND, LOOK_UPS_PER_SECOND)
        self._looking: dict[str, asyncio.Task[Route | None]] = {}
        self._unknown: dict[str, float] = {}
        self._away = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen_for_ever())
            tasks.create_task(self._reread_for_ever())

    async def find(self, path: str) -> Route | None:
        """The route of a path, looked up once when it is not in the table.

        Raises:
            SQLAlchemyError, OSError: the path is not known and the database is away.
            TooManyLookUps: the path is not known, and many others that are not were asked for just now.
        """
        route = self._table.find(path)
        if route is not None or self._unknown.get(path, 0.0) > time.monotonic():
            return route
        if path not in self._looking:
            if self._look_ups.take(time.monotonic()) > 0:
                raise TooManyLookUps
            self._looking[path] = asyncio.create_task(self._look_up(path), name="route-look-up")
            self._looking[path].add_done_callback(_noted)
        return await asyncio.shield(self._looking[path])

    async def look_again(self, route: Route) -> Route:
        """The route as its row is now, or as it was known when the database is away or is asked too often.

        For a caller who would be refused: another process has told them that the model is ready, and our NOTIFY of the
        same may come later than they do.
        """
        if self._away or self._second_looks.take(time.monotonic()) > 0:
            return route
        with contextlib.suppress(*DATABASE_ERRORS):
            await self._reread_one(route.id)
        return self._table.find(route.path) or route

    async def _look_up(self, path: str) -> Route | None:
        try:
            found = await self._read(Endpoint.path == path)
        finally:
            del self._looking[path]
        for route in found:
            self._table.put(route)
            return route
        if len(self._unknown) >= UNKNOWN_KEPT:
            self._unknown.clear()
        self._unknown[path] = time.monotonic() + UNKNOWN_FOR_SECONDS
        return None

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async for notice in heard(self._database, CHANNEL, REVOKED_CHANNEL):
                    await self._take(notice)
            except DATABASE_ERRORS as error:
                self._note_away(error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _take(self, notice: Notify | None) -> None:
        if notice is None or notice.channel == REVOKED_CHANNEL:
            self._on_revoked()
        if notice is None:
            await self._reread()
        elif notice.channel == CHANNEL:
            await self._reread_one(notice.payload)

    async def _reread_for_ever(self) -> None:
        while True:
            try:
                await self._reread()
            except DATABASE_ERRORS as error:
                self._note_away(error)
            await asyncio.sleep(REREAD_SECONDS)

    async def _reread(self) -> None:
        async with self._one_at_a_time:
            began = self._table.now  # a look-up does not wait, and may find what this reading is too old for
            self._table.replace_all(await self._read(), began)
        if self._away:
            log.warning("the database is back; %d routes", len(self._table))
            self._away = False

    async def _reread_one(self, endpoint_id: str) -> None:
        async with self._one_at_a_time:
            found = await self._read(Endpoint.id == endpoint_id)
            if found:
                self._table.put(found[0])
            else:
                self._table.drop(endpoint_id)

    async def _read(self, *conditions: ColumnElement[bool]) -> list[Route]:
        async with asyncio.timeout(READ_DEADLINE_SECONDS), self._database.begin() as session:
            rows = await session.execute(open_routes().where(*conditions))
            return [route for row in rows if (route := route_of(row[0], row[1])) is not None]

    def _note_away(self, error: BaseException) -> None:
        if not self._away:
            log.warning(
                "the database is away (%s); serving the %d routes known", type(error).__name__, len(self._table)
            )
        self._away = True


def _noted(task: asyncio.Task[Route | None]) -> None:
    """Retrieve the exception if no caller waits for it: asyncio would log it, with the path in it."""
    if not task.cancelled():
        task.exception()
