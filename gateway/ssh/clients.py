"""Logged-in clients: what each has open, and how they are notified and disconnected."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import asyncssh

from gateway.ssh.connector import Connector, MachineConnection, NotServed, Say
from gateway.ssh.instances import ASLEEP, Change, SshInstance, SshTable
from gateway.ssh.messages import ended
from gateway.ssh.pipe import Note
from gateway.ssh.reconnect_cooldown import ClientIdentity, ReconnectCooldown
from gateway.ssh.traffic import Traffic

TRIES = 3
"""Connections that may be lost, or full, when something is opened on them."""

Opened = TypeVar("Opened")
Connection = asyncssh.SSHClientConnection


class ConnectionFull(asyncssh.ChannelOpenError):
    """An sshd takes only so many sessions on one connection (MaxSessions: ten)."""


class OpenSession(Protocol):
    """An open session of a client, which has a stderr."""

    def say(self, text: str) -> None: ...

    def end(self, text: str) -> None: ...


class Client:
    """One connection of a user. It gets its own connection to the machine when it first needs one."""

    def __init__(
        self, clients: "Clients", instance_id: int, identity: ClientIdentity, user: asyncssh.SSHServerConnection
    ) -> None:
        self.instance_id, self.identity = instance_id, identity
        self.note: Note = clients.traffic.note_of(instance_id)
        self.sessions: set[OpenSession] = set()
        self.user = user
        self._clients = clients
        self._reaching = asyncio.Lock()
        self._reached: MachineConnection | None = None
        self._with_agent: str | None = None
        self.channels = 0
        """How many channels to the machine are open now."""
        self._clean = True
        self._earlier: list[Connection] = []

    async def on_machine(
        self, opening: Callable[[Connection], Awaitable[Opened]], say: Say, agent_path: str | None = None
    ) -> Opened:
        """Open something on the machine, which is woken and awaited when need be.

        Raises:
            NotServed: there is no machine for this.
            asyncssh.Error, OSError: the machine refuses this.
        """
        for left in reversed(range(TRIES)):
            connection = await self._connection(say, agent_path)
            try:
                return await opening(connection)
            except ConnectionFull:
                if not left:
                    raise
                self._outgrow(connection)
            except (asyncssh.Error, OSError):
                if not connection.is_closed():
                    raise
        raise NotServed(self.why_lost())

    def _outgrow(self, connection: Connection) -> None:
        """Keep the full connection for what is open on it, and use another from now on."""
        if self._reached is not None and self._reached.connection is connection:
            self._earlier.append(connection)
            self._reached = None

    def why_lost(self) -> str:
        """The message for a user whose connection to the machine was lost."""
        return ended(self._clients.table.instances.get(self.instance_id), self.instance_id)

    def opened(self) -> None:
        """A channel to the machine was opened; `closed` will be called once for it."""
        self.channels += 1

    def closed(self) -> None:
        self.channels -= 1

    def left_something(self) -> None:
        """The connection to the machine now carries something that outlives its channels, so it may not be reused."""
        self._clean = False

    def notify(self, text: str) -> None:
        for session in self.sessions:
            session.say(text)

    def end_sessions(self, text: str) -> None:
        """End what it has on the machine, and say why."""
        for session in list(self.sessions):
            session.end(text)
        self._close_machine()

    def leave(self) -> None:
        """The user is gone."""
        self._clients.remove(self)
        if self._reached is not None and self._clean and self.channels == 0:
            self._reached.pool.give_back(self._reached.connection)
            self._reached = None
        self._close_machine()

    async def _connection(self, say: Say, agent_path: str | None) -> Connection:
        async with self._reaching:
            if self._reached is not None and self._reached.connection.is_closed():
                self._reached = None
            known = None if self._reached is None else self._reached.connection
            if known is not None and agent_path in (None, self._with_agent):
                return known
            reached = await self._clients.connector.reach(self.instance_id, self.identity, say, agent_path)
            if known is not None:
                self._earlier.append(known)  # sessions that began without the agent stay on it
            self._reached, self._with_agent = reached, agent_path
            self._clean = self._clean and agent_path is None
            return reached.connection

    def _close_machine(self) -> None:
        for connection in self._earlier:
            connection.close()
        self._earlier.clear()
        if self._reached is not None:
            self._reached.connection.close()
            self._reached = None

    def is_on_another(self, lease_id: str | None) -> bool:
        """Whether it is connected to a machine other than this lease's."""
        return self._reached is not None and self._reached.pool.address.lease_id != lease_id


class Clients:
    """All logged-in clients of this gateway, and what they share."""

    def __init__(self, table: SshTable, connector: Connector, traffic: Traffic, cooldown: ReconnectCooldown) -> None:
        self.table, self.connector, self.traffic, self.cooldown = table, connector, traffic, cooldown
        self.by_instance: dict[int, set[Client]] = {}
        self.empty = asyncio.Event()
        self.empty.set()

    def __len__(self) -> int:
        return sum(map(len, self.by_instance.values()))

    @property
    def everyone(self) -> list[Client]:
        return [client for clients in self.by_instance.values() for client in clients]

    def add(self, instance_id: int, identity: ClientIdentity, user: asyncssh.SSHServerConnection) -> Client:
        client = Client(self, instance_id, identity, user)
        self.by_instance.setdefault(instance_id, set()).add(client)
        self.empty.clear()
        self.cooldown.came(instance_id, identity)
        return client

    def remove(self, client: Client) -> None:
        clients = self.by_instance.get(client.instance_id, set())
        clients.discard(client)
        if not clients:
            self.by_instance.pop(client.instance_id, None)
        if not self.by_instance:
            self.empty.set()
        self.cooldown.went(client.instance_id, client.identity)

    def follow(self, changes: list[Change]) -> None:
        """Disconnect clients whose key or instance is gone; end sessions on a machine that the instance left."""
        for change in changes:
            for client in list(self.by_instance.get(change.id, ())):
                now = change.after
                if now is None:
                    self._disconnect(client, ended(None, change.id))
                elif client.identity.fingerprint not in now.keys:
                    self._disconnect(client, "the key that you logged in with is not accepted any more.")
                elif client.is_on_another(_machine_of(now)):  # one that still waits for a machine goes on waiting
                    client.end_sessions(ended(now, change.id))

    def _disconnect(self, client: Client, text: str) -> None:
        client.end_sessions(text)
        client.user.disconnect(asyncssh.DISC_BY_APPLICATION, text)


def _machine_of(instance: SshInstance) -> str | None:
    """The lease of the machine that its users may be connected to."""
    return None if instance.status in ASLEEP or instance.lease is None else instance.lease.lease_id
