"""Keeps the SSH table current: it is read again at each NOTIFY, and every few seconds in case one was missed.

While the database is away, the instances known so far go on being served.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from db.listening import heard
from db.notify import INSTANCES_CHANNEL
from db.session import Database
from gateway.route_feed import DATABASE_ERRORS, READ_DEADLINE_SECONDS, RECONNECT_SECONDS
from gateway.ssh.instances import SshTable
from gateway.ssh.rows import InstanceReader, read_ports

COOLDOWN_CHANNEL = "ssh_cooldown"
"""On it gateways tell each other which clients were connected when an instance was paused."""

REREAD_SECONDS = 5.0
SOONER_SECONDS = 1.0
"""`soon` has no effect within this time after a reading."""

GATHER_SECONDS = 0.02
"""Notices come in bunches: one reading serves all that arrive within this time."""

log = logging.getLogger(__name__)


class SshFeed:
    """Reads everything into the table. `run` goes on until cancelled."""

    def __init__(
        self, database: Database, table: SshTable, shard: str, on_cooldown: Callable[[str], None] = lambda _: None
    ) -> None:
        self._database, self._table, self._shard = database, table, shard
        self._on_cooldown = on_cooldown
        self._reader = InstanceReader()
        self._one_at_a_time = asyncio.Lock()
        self._stale = asyncio.Event()
        self._away = False
        self._read_at = 0.0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen_for_ever())
            tasks.create_task(self._reread_for_ever())

    async def refresh(self) -> bool:
        """Read everything now; a reading that began before this call does not count. False: the database is away."""
        try:
            async with self._one_at_a_time:
                await self._read()
        except DATABASE_ERRORS as error:
            self._note_away(error)
            return False
        return True

    def soon(self) -> None:
        """Read again: a caller found that the table is out of date."""
        if time.monotonic() - self._read_at > SOONER_SECONDS:
            self._stale.set()

    async def _reread_for_ever(self) -> None:
        while True:
            self._stale.clear()
            await self.refresh()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                async with asyncio.timeout(REREAD_SECONDS):
                    await self._stale.wait()
            except TimeoutError:
                continue

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async for notice in heard(self._database, INSTANCES_CHANNEL, COOLDOWN_CHANNEL):
                    if notice is not None and notice.channel == COOLDOWN_CHANNEL:
                        self._on_cooldown(notice.payload)
                    else:
                        self._stale.set()
            except DATABASE_ERRORS as error:
                self._note_away(error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _read(self) -> None:
        async with asyncio.timeout(READ_DEADLINE_SECONDS), self._database.begin() as session:
            instances = await self._reader.read(session)
            ports = await read_ports(session, self._shard)
        self._read_at = time.monotonic()
        self._table.replace_all(instances, ports)
        if self._away:
            log.warning("the database is back; %d instances", len(instances))
            self._away = False

    def _note_away(self, error: BaseException) -> None:
        if not self._away:
            known = len(self._table.instances)
            log.warning("the database is away (%s); serving the %d instances known", type(error).__name__, known)
        self._away = True
