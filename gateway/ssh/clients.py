"""Those who are logged in: what each has open, and how they are told and put out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import asyncssh

from gateway.ssh.instances import ASLEEP, Change, SshInstance, SshTable
from gateway.ssh.messages import ended
from gateway.ssh.pipe import Note
from gateway.ssh.reconnect_cooldown import Client, Quiet
from gateway.ssh.traffic import Traffic
from gateway.ssh.waking import NotServed, Reached, Say, Waking

TRIES = 3
"""Connections that may be lost, or full, when something is opened on them."""

Opened = TypeVar("Opened")
Connection = asyncssh.SSHClientConnection


class ConnectionFull(asyncssh.ChannelOpenError):
    """An sshd takes only so many sessions on one connection (MaxSessions: ten)."""


class Session(Protocol):
    """What a guest can see: something with a stderr."""

    def say(self, text: str) -> None: ...

    def end(self, text: str) -> None: ...


class Guest:
    """One connection of a user. It has a connection to the machine of its own, from the first time it needs one."""

    def __init__(self, hall: "Hall", instance_id: int, client: Client, user: asyncssh.SSHServerConnection) -> None:
        self.instance_id, self.client = instance_id, client
        self.note: Note = hall.traffic.note_of(instance_id)
        self.sessions: set[Session] = set()
        self.user = user
        self._hall = hall
        self._reaching = asyncio.Lock()
        self._reached: Reached | None = None
        self._with_agent: str | None = None
        self.channels = 0
        """To the machine, open now."""
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
        """What is open on it goes on; what comes next gets another."""
        if self._reached is not None and self._reached.connection is connection:
            self._earlier.append(connection)
            self._reached = None

    def why_lost(self) -> str:
        """What to say of a connection to the machine that was lost."""
        return ended(self._hall.table.instances.get(self.instance_id), self.instance_id)

    def opened(self) -> None:
        """A channel to the machine is there; `closed` will be called once."""
        self.channels += 1

    def closed(self) -> None:
        self.channels -= 1

    def left_something(self) -> None:
        """What was done on its connection to the machine outlives channels: nobody else shall have it."""
        self._clean = False

    def tell(self, text: str) -> None:
        for session in self.sessions:
            session.say(text)

    def put_out(self, text: str) -> None:
        """End what it has on the machine, and say why."""
        for session in list(self.sessions):
            session.end(text)
        self._close_machine()

    def leave(self) -> None:
        """The user is gone."""
        self._hall.left(self)
        if self._reached is not None and self._clean and self.channels == 0:
            self._reached.line.give_back(self._reached.connection)
            self._reached = None
        self._close_machine()

    async def _connection(self, say: Say, agent_path: str | None) -> Connection:
        async with self._reaching:
            if self._reached is not None and self._reached.connection.is_closed():
                self._reached = None
            known = None if self._reached is None else self._reached.connection
            if known is not None and agent_path in (None, self._with_agent):
                return known
            reached = await self._hall.waking.reach(self.instance_id, self.client, say, agent_path)
            if known is not None:
                self._earlier.append(known)  # sessions that began without the agent go on over it
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
        """Whether it has a connection, and that leads to another machine than this lease's."""
        return self._reached is not None and self._reached.line.address.lease_id != lease_id


class Hall:
    """All guests of this gateway, and what they share."""

    def __init__(self, table: SshTable, waking: Waking, traffic: Traffic, quiet: Quiet) -> None:
        self.table, self.waking, self.traffic, self.quiet = table, waking, traffic, quiet
        self.guests: dict[int, set[Guest]] = {}
        self.empty = asyncio.Event()
        self.empty.set()

    def __len__(self) -> int:
        return sum(map(len, self.guests.values()))

    @property
    def everybody(self) -> list[Guest]:
        return [guest for guests in self.guests.values() for guest in guests]

    def enter(self, instance_id: int, client: Client, user: asyncssh.SSHServerConnection) -> Guest:
        guest = Guest(self, instance_id, client, user)
        self.guests.setdefault(instance_id, set()).add(guest)
        self.empty.clear()
        self.quiet.came(instance_id, client)
        return guest

    def left(self, guest: Guest) -> None:
        guests = self.guests.get(guest.instance_id, set())
        guests.discard(guest)
        if not guests:
            self.guests.pop(guest.instance_id, None)
        if not self.guests:
            self.empty.set()
        self.quiet.went(guest.instance_id, guest.client)

    def follow(self, changes: list[Change]) -> None:
        """Put out whose key or instance is no more, and end what was on a machine that is not the instance's now."""
        for change in changes:
            for guest in list(self.guests.get(change.id, ())):
                now = change.after
                if now is None:
                    self._show_out(guest, ended(None, change.id))
                elif guest.client.fingerprint not in now.keys:
                    self._show_out(guest, "the key that you logged in with is not welcome any more.")
                elif guest.is_on_another(_machine_of(now)):  # who is still waiting for one goes on waiting
                    guest.put_out(ended(now, change.id))

    def _show_out(self, guest: Guest, text: str) -> None:
        guest.put_out(text)
        guest.user.disconnect(asyncssh.DISC_BY_APPLICATION, text)


def _machine_of(instance: SshInstance) -> str | None:
    """The lease whose machine its users may be on."""
    return None if instance.status in ASLEEP or instance.lease is None else instance.lease.lease_id
