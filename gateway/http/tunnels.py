"""One SSH connection per lease, opened ahead when its endpoint is ready, kept, and opened again when lost.

The host key is pinned, so an address that changed hands never gets a byte of a request.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

import asyncssh

from clients.ssh import HostKeyChanged, SshError, SshTarget, SshUnreachable, connect
from db.sealing import CannotOpen, Sealer
from gateway.routes import LeaseAddress

PURPOSE = "lease-ssh-key"
CONNECT_SECONDS = 10.0
REQUEST_PAUSE_SECONDS = 0.5
"""A request makes us try again this long after a failed attempt, and is refused at once before that."""

LONGEST_PAUSE_SECONDS = 15.0
"""By ourselves we try again after a pause that doubles up to this."""

LOGINS_AT_ONCE = 8
"""A start with a thousand routes must not be a thousand key exchanges at once."""

log = logging.getLogger(__name__)


class Tunnel:
    """The connection to one lease's machine. One attempt at a time; everybody waits for the same one."""

    def __init__(self, address: LeaseAddress, sealer: Sealer, logins: asyncio.Semaphore) -> None:
        self.address = address
        self._sealer = sealer
        self._logins = logins
        self._connection: asyncssh.SSHClientConnection | None = None
        self._attempt: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._failure: SshError | None = None
        self._failed_at = 0.0
        self._pause = REQUEST_PAUSE_SECONDS

    async def connection(self) -> asyncssh.SSHClientConnection:
        """The live connection, opened when need be. The caller bounds the wait; a caller that leaves stops nothing.

        Raises:
            SshError: the machine cannot be reached, or could not be a moment ago.
        """
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._attempt is None and self._failed_within(REQUEST_PAUSE_SECONDS):
            raise SshUnreachable(f"not reachable a moment ago: {self._failure}")
        attempt = self._attempt or self._begin()
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():  # not the caller but the tunnel was stopped
                raise SshUnreachable("no route leads to this machine any more") from None
            raise

    def moved_to(self, address: LeaseAddress) -> None:
        """Keep to this address from the next attempt on, and begin one unless connected, under way, or pausing."""
        if address.host is not None and address != self.address:
            self.address, self._failure = address, None
        alive = self._connection is not None and not self._connection.is_closed()
        if not alive and self._attempt is None and not self._failed_within(self._pause):
            self._begin()

    def _failed_within(self, seconds: float) -> bool:
        return self._failure is not None and time.monotonic() < self._failed_at + seconds

    def _begin(self) -> asyncio.Task[asyncssh.SSHClientConnection]:
        self._attempt = asyncio.create_task(self._open(), name=f"ssh-{self.address.lease_id}")
        self._attempt.add_done_callback(self._attempt_over)
        return self._attempt

    def close(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _open(self) -> asyncssh.SSHClientConnection:
        async with self._logins:
            return await log_in(self.address, self._sealer)

    def _attempt_over(self, attempt: asyncio.Task[asyncssh.SSHClientConnection]) -> None:
        self._attempt = None
        if attempt.cancelled():
            return
        error = attempt.exception()
        if error is None:
            self._connection, self._failure, self._pause = attempt.result(), None, REQUEST_PAUSE_SECONDS
            return
        self._failure = error if isinstance(error, SshError) else SshUnreachable(type(error).__name__)
        self._failed_at = time.monotonic()
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        level = logging.ERROR if isinstance(error, HostKeyChanged) else logging.WARNING
        log.log(level, "lease %s: %s: %s", self.address.lease_id, type(self._failure).__name__, self._failure)


async def log_in(
    address: LeaseAddress, sealer: Sealer, *, agent_path: str | None = None
) -> asyncssh.SSHClientConnection:
    """A new connection to a lease's machine, which shows its pinned key or gets nothing.

    `agent_path`: a socket of ours that the machine's sessions may ask for signatures.

    Raises:
        SshError
    """
    if address.host is None or address.port is None:
        raise SshUnreachable("the machine has no address yet")
    try:
        key = sealer.open(address.sealed_private_key, PURPOSE)
        target = SshTarget(address.host, address.port, key, address.host_key)
        return await connect(target, timeout=CONNECT_SECONDS, agent_path=agent_path)
    except CannotOpen as error:
        raise SshUnreachable("the machine's key cannot be unsealed") from error
    except ValueError as error:
        raise SshUnreachable("the lease's keys cannot be read") from error


class Tunnels:
    """The tunnels of all routes, by lease."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._tunnels: dict[str, Tunnel] = {}
        self._logins = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def connection(self, lease_id: str) -> asyncssh.SSHClientConnection:
        """
        Raises:
            SshError: not reachable, or no route leads there any more.
        """
        tunnel = self._tunnels.get(lease_id)
        if tunnel is None:
            raise SshUnreachable("no route leads to this machine any more")
        return await tunnel.connection()

    def follow(self, addresses: Iterable[LeaseAddress]) -> None:
        """Hold connections to these machines and no others."""
        wanted = {address.lease_id: address for address in addresses}
        for lease_id in self._tunnels.keys() - wanted.keys():
            self._tunnels.pop(lease_id).close()
        for lease_id, address in wanted.items():
            if lease_id not in self._tunnels:
                self._tunnels[lease_id] = Tunnel(address, self._sealer, self._logins)
            self._tunnels[lease_id].moved_to(address)

    def close(self) -> None:
        self.follow([])
