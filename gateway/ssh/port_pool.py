"""Spare SSH ports, bound before they are needed: a new instance gets a port that is open already."""

import asyncio
import logging

from db.alarms import close_alarms, raise_alarm
from db.instances.ssh_ports import keep_spare, next_spare, rest_port
from db.session import Database
from gateway.route_feed import DATABASE_ERRORS
from gateway.ssh.instances import SshTable
from gateway.ssh.listeners import Listeners

SPARES = 4
LOOK_SECONDS = 2.0
ALARM = "ssh_port"

log = logging.getLogger(__name__)


class PortPool:
    """Keeps the number of the shard's spare ports up, and raises alarms for ports that another program has."""

    def __init__(self, database: Database, table: SshTable, listeners: Listeners, shard: str, ports: range) -> None:
        self._database, self._table, self._listeners = database, table, listeners
        self._shard, self._ports = shard, ports
        self._said: set[int] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if self._table.loaded:
                    await self._fill()
                    await self.report()
            except DATABASE_ERRORS as error:
                log.debug("no spare ports can be made now: %s", type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def _fill(self) -> None:
        """Add ports until there are enough. Asks the database only when the table shows too few."""
        spare = sum(whose is None and port in self._ports for port, whose in self._table.ports.items())
        while spare < SPARES and await self.add_one():
            continue

    async def add_one(self) -> bool:
        """Bind one more port and record it, as resting if it cannot be bound. False: enough, or none is left."""
        async with self._database.begin() as session:
            port = await next_spare(session, self._shard, self._ports, SPARES)
            if port is None:
                return False
            usable = self._listeners.try_to_bind(port)
            await keep_spare(session, self._shard, port, usable=usable)
        return True

    async def report(self) -> None:
        """Raise an alarm for each port of an instance that cannot be bound; a spare one rests instead."""
        refused = {port: why for port, why in self._listeners.refused.items() if port in self._table.ports}
        if not refused and not self._said:
            return
        async with self._database.begin() as session:
            for port in self._said - refused.keys():
                await close_alarms(session, ALARM, _text(port))
            for port in refused:
                if self._table.ports[port] is None:
                    await rest_port(session, self._shard, port)
                elif port not in self._said:
                    await raise_alarm(session, ALARM, _text(port))
        self._said = {port for port in refused if self._table.ports.get(port) is not None}


def _text(port: int) -> str:
    return (
        f"The SSH gateway cannot listen on port {port}, which belongs to an instance: another program has it. Until it "
        "ends, use the shared port."
    )
