"""Connections to the machines of running instances. Each client gets one of its own, and one more is always ready.

Clients do not share a connection: a machine's sshd takes ten sessions on one (MaxSessions), and a request to an SSH
agent does not say which session it comes from. A connection on which a client left nothing is used again.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

import asyncssh

from clients.ssh import HostKeyChanged, SshError, SshUnreachable
from db.sealing import Sealer
from gateway.http.tunnels import LOGINS_AT_ONCE, LONGEST_PAUSE_SECONDS, REQUEST_PAUSE_SECONDS, log_in
from gateway.routes import LeaseAddress

LOGINS_PER_MACHINE = 4
"""At a time; an sshd drops some of those beyond ten (MaxStartups)."""

IDLE_KEPT = 2

Connection = asyncssh.SSHClientConnection

log = logging.getLogger(__name__)


class ConnectionPool:
    """Connections to one lease's machine."""

    def __init__(self, address: LeaseAddress, sealer: Sealer, logins: asyncio.Semaphore) -> None:
        self.address = address
        self._sealer = sealer
        self._logins = logins
        self._own_logins = asyncio.Semaphore(LOGINS_PER_MACHINE)
        self._idle: list[Connection] = []
        self._ahead: asyncio.Task[Connection] | None = None
        self._failure: SshError | None = None
        self._failed_at = 0.0
        self._pause = REQUEST_PAUSE_SECONDS

    async def take(self) -> Connection:
        """A connection for one client alone: one that is ready or being opened, else a new one.

        Raises:
            SshError: the machine cannot be reached, or could not be a moment ago.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                self._go_ahead()
                return connection
        if self._failure is not None and self._failed_within(REQUEST_PAUSE_SECONDS):
            raise self._failure
        attempt, self._ahead = self._ahead or self._attempt(), None
        try:
            connection = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            attempt.add_done_callback(self._keep)
            raise
        self._go_ahead()
        return connection

    async def take_with_agent(self, agent_path: str) -> Connection:
        """A new connection whose sessions may ask the SSH agent at this socket of ours.

        Raises:
            SshError
        """
        return await self._open(agent_path)

    def give_back(self, connection: Connection) -> None:
        """A client has gone and left nothing on the connection."""
        if len(self._idle) < IDLE_KEPT and not connection.is_closed():
            self._idle.append(connection)
        else:
            connection.close()

    def moved_to(self, address: LeaseAddress) -> None:
        """Use this address from now on, and open a connection ahead."""
        if address.host is not None and address != self.address:
            self.address, self._failure = address, None
            self._drop_idle()
        self._go_ahead()

    def close(self) -> None:
        """Close what no client has."""
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
        self._drop_idle()

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _go_ahead(self) -> None:
        self._idle = [each for each in self._idle if not each.is_closed()]
        if not self._idle and self._ahead is None and not self._failed_within(self._pause):
            self._ahead = self._attempt()
            self._ahead.add_done_callback(self._keep_ahead)

    def _failed_within(self, seconds: float) -> bool:
        return self._failure is not None and time.monotonic() < self._failed_at + seconds

    def _attempt(self) -> asyncio.Task[Connection]:
        return asyncio.create_task(self._open(), name=f"ssh-pool-{self.address.lease_id}")

    async def _open(self, agent_path: str | None = None) -> Connection:
        try:
            async with self._own_logins, self._logins:
                connection = await log_in(self.address, self._sealer, agent_path=agent_path)
        except SshError as error:
            self._note_failure(error)
            raise
        self._failure, self._pause = None, REQUEST_PAUSE_SECONDS
        return connection

    def _note_failure(self, error: SshError) -> None:
        if self._failure is None or type(error) is not type(self._failure):
            level = logging.ERROR if isinstance(error, HostKeyChanged) else logging.WARNING
            log.log(level, "lease %s: %s: %s", self.address.lease_id, type(error).__name__, error)
        self._failure, self._failed_at = error, time.monotonic()
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _keep_ahead(self, attempt: asyncio.Task[Connection]) -> None:
        if self._ahead is attempt:  # otherwise a client took it while it was being opened
            self._ahead = None
            self._keep(attempt)

    def _keep(self, attempt: asyncio.Task[Connection]) -> None:
        if not attempt.cancelled() and attempt.exception() is None:
            self.give_back(attempt.result())


class ConnectionPools:
    """The pools of all running instances, by lease."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._pools: dict[str, ConnectionPool] = {}
        self._logins = asyncio.Semaphore(LOGINS_AT_ONCE)

    def pool(self, lease_id: str) -> ConnectionPool:
        """
        Raises:
            SshUnreachable: no instance runs there any more.
        """
        if (pool := self._pools.get(lease_id)) is None:
            raise SshUnreachable("no instance runs on this machine any more")
        return pool

    def follow(self, addresses: Iterable[LeaseAddress]) -> None:
        """Keep a connection ready to each of these machines, and to no others."""
        wanted = {address.lease_id: address for address in addresses}
        for lease_id in self._pools.keys() - wanted.keys():
            self._pools.pop(lease_id).close()
        for lease_id, address in wanted.items():
            if lease_id not in self._pools:
                self._pools[lease_id] = ConnectionPool(address, self._sealer, self._logins)
            self._pools[lease_id].moved_to(address)

    def close(self) -> None:
        self.follow([])
