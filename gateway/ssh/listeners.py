"""The ports that the SSH gateway listens on: one for each instance of our shard, the spare ones, and the shared one.

A port costs a socket and an entry in the event loop; an SSH server starts only when somebody connects. Replicas on one
host listen on the same ports (SO_REUSEPORT): the kernel spreads connections over them, so a new gateway can start
while the old one drains.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping

from gateway.ssh.preauth_limits import PreauthConnection, PreauthLimits

BACKLOG = 256
ACCEPTED_AT_A_TIME = 32
EXHAUSTED_SECONDS = 1.0
"""How long a port accepts nothing after the process ran out of file descriptors."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Serve = Callable[[int | None, PreauthConnection], asyncio.BaseProtocol | None]
"""Makes the protocol for a connection to an instance, or to the shared port (None). None: there is no instance."""

log = logging.getLogger(__name__)


class Listeners:
    """`serve` makes the protocol of each connection; `reread` reads again which instance has which port.

    `refused`: our ports that could not be bound, and why.
    """

    def __init__(
        self, host: str, preauth_limits: PreauthLimits, serve: Serve, reread: Callable[[], Awaitable[object]]
    ) -> None:
        self._host, self._preauth_limits, self._serve, self._reread = host, preauth_limits, serve, reread
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[int, socket.socket] = {}
        self._whose: Mapping[int, int | None] = {}
        self._shared: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    def share(self, port: int) -> int:
        """Listen on the shared port; 0: any. The port.

        Raises:
            OSError: another program has it.
        """
        self._shared = self._bind(port)
        return self._shared

    def follow(self, ports: Mapping[int, int | None]) -> None:
        """Listen on these ports and the shared one, and on no others. What cannot be bound is tried again next time."""
        self._whose = ports
        for port in [port for port in self._sockets if port not in ports and port != self._shared]:
            self._close(port)
        for port in self.refused.keys() - ports.keys():
            del self.refused[port]
        for port in ports.keys() - self._sockets.keys():
            self.try_to_bind(port)

    def try_to_bind(self, port: int) -> bool:
        """Listen there. Whether we do now."""
        if port in self._sockets:
            return True
        try:
            self._bind(port)
        except OSError as error:
            if port not in self.refused:
                log.error("SSH port %d cannot be bound: %s", port, error.strerror)
            self.refused[port] = error.strerror or type(error).__name__
            return False
        self.refused.pop(port, None)
        return True

    def close(self) -> None:
        for port in list(self._sockets):
            self._close(port)

    def _bind(self, port: int) -> int:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.setblocking(False)
            listener.bind((self._host, port))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        bound: int = listener.getsockname()[1]
        self._sockets[bound] = listener
        self._watch(bound)
        return bound

    def _watch(self, port: int) -> None:
        if (listener := self._sockets.get(port)) is not None:
            self._loop.add_reader(listener.fileno(), self._accept, port)

    def _close(self, port: int) -> None:
        listener = self._sockets.pop(port)
        self._loop.remove_reader(listener.fileno())
        listener.close()

    def _accept(self, port: int) -> None:
        listener = self._sockets[port]
        for _ in range(ACCEPTED_AT_A_TIME):
            try:
                connection, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.remove_reader(listener.fileno())
                    self._loop.call_later(EXHAUSTED_SECONDS, self._watch, port)
                    log.error("no new SSH connections for a moment: %s", error.strerror)
                return
            self._admit(port, connection, str(peer[0]))

    def _admit(self, port: int, connection: socket.socket, address: str) -> None:
        preauth = self._preauth_limits.admit(address)
        if preauth is None:
            connection.close()
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._begin(port, connection, preauth))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, port: int, connection: socket.socket, preauth: PreauthConnection) -> None:
        if port != self._shared and self._whose.get(port) is None:
            await self._reread()  # an instance may have got this spare port a moment ago
        instance_id = self._whose.get(port)
        unassigned = instance_id is None and port != self._shared
        protocol = None if unassigned else self._serve(instance_id, preauth)
        if protocol is None:
            preauth.left()
            connection.close()
            return
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            preauth.left()
            connection.close()
