"""SSH connections to machines, kept for a few seconds after their use: the next activity there needs no login.

A login is four round trips and most of what a short command costs. A kept connection may have died without a word; then
the first use of it says so like any lost connection, it is dropped, and the caller's next attempt logs in anew. Nothing
is ever concluded of a machine from one lost connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh
from asyncssh import SSHClientConnection

from clients.ssh import SshError, SshTarget, connect

KEPT_SECONDS = 10.0
"""After its last use."""
MOST_USERS = 6
"""An sshd takes ten sessions on one connection; a copy or a job may have two."""


@dataclass
class _Kept:
    connection: SSHClientConnection
    users: int = 0
    closing: asyncio.TimerHandle | None = None


class SshPool:
    """One a process. Connections are known by their target: its address, keys and user."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._kept: dict[SshTarget, _Kept] = {}

    @asynccontextmanager
    async def connection(self, target: SshTarget, *, timeout: float) -> AsyncIterator[SSHClientConnection]:
        """A logged-in connection, kept or new; several may use one at once. `timeout`: seconds for a login.

        Raises:
            SshUnreachable, SshKeyRefused, HostKeyChanged, and whatever is raised inside: then it is not kept.
        """
        kept = self._free(target) or self.keep(target, await connect(target, timeout=timeout))
        kept.users += 1
        try:
            yield kept.connection
        except (SshError, asyncssh.Error, OSError):
            self._drop(target, kept)
            raise
        finally:
            kept.users -= 1
            self._close_later(target, kept)

    def keep(self, target: SshTarget, connection: SSHClientConnection) -> _Kept:
        """From now on it is the one for this target."""
        kept = self._kept[target] = _Kept(connection)
        return kept

    def lend(self, target: SshTarget, connection: SSHClientConnection) -> None:
        """Keep a connection that its maker needs no longer."""
        self._close_later(target, self.keep(target, connection))

    def close(self) -> None:
        for target, kept in list(self._kept.items()):
            self._drop(target, kept)
            kept.connection.abort()

    def _free(self, target: SshTarget) -> _Kept | None:
        kept = self._kept.get(target)
        if kept is None or kept.connection.is_closed() or kept.users >= MOST_USERS:
            return None
        if kept.closing is not None:
            kept.closing.cancel()
            kept.closing = None
        return kept

    def _drop(self, target: SshTarget, kept: _Kept) -> None:
        if self._kept.get(target) is kept:
            del self._kept[target]

    def _close_later(self, target: SshTarget, kept: _Kept) -> None:
        """When nobody uses it: at once if it was dropped, else after a while."""
        if kept.users:
            return
        if self._kept.get(target) is not kept:
            kept.connection.close()
            return
        loop = asyncio.get_running_loop()
        kept.closing = loop.call_later(self._kept_seconds, self._end, target, kept)

    def _end(self, target: SshTarget, kept: _Kept) -> None:
        self._drop(target, kept)
        kept.connection.close()
