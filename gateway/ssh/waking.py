"""From a login to a connection to the machine: wake what sleeps, wait, say what is happening, connect.

Waking is a wish in the instance's row, told to its workflow afterwards. Many callers, one wish; a caller that leaves
takes nothing back.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import asyncssh
from sqlalchemy import select
from temporalio.service import RPCError

from clients.ssh import HostKeyChanged, SshError, SshKeyRefused
from db.instances.desired_state import request_action
from db.instances.tables import Instance
from db.session import Database
from domain.instances.actions import InstanceAction, WrongState
from domain.instances.phases import Desired, InstanceStatus, SshWake
from gateway.route_feed import DATABASE_ERRORS
from gateway.ssh.connection_pool import Line, Lines
from gateway.ssh.feed import SshFeed
from gateway.ssh.instances import SshInstance, SshTable
from gateway.ssh.messages import asleep, stage, waking
from gateway.ssh.reconnect_cooldown import Client, Quiet
from settings import Settings
from workflow_client.client import WorkflowClient

WHO = "a login over SSH"
LOOK_AGAIN_SECONDS = 0.5
"""Between two attempts at a machine that should answer, or at a database that is away."""

Say = Callable[[str], None]

log = logging.getLogger(__name__)


class NotServed(Exception):
    """Why there is no machine for this login, in words for the person who waits."""


class Reached(NamedTuple):
    """The connection is the caller's, who gives it back to the line or closes it."""

    line: Line
    connection: asyncssh.SSHClientConnection


class Waking:
    """Reaches machines for clients."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        workflows: WorkflowClient,
        feed: SshFeed,
        table: SshTable,
        lines: Lines,
        quiet: Quiet,
    ) -> None:
        self._settings, self._database, self._workflows = settings, database, workflows
        self._feed, self._table, self._lines, self._quiet = feed, table, lines, quiet
        self._wishes: dict[int, asyncio.Task[bool]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self.held = 0
        """Callers that wait now."""
        self.wishes = 0
        """Wishes that were news."""

    async def reach(self, instance_id: int, client: Client, say: Say, agent_path: str | None = None) -> Reached:
        """A connection to the instance's machine, once it runs and answers. `say` is told what is happening meanwhile.

        `agent_path`: a socket of ours where the client's SSH agent answers.

        Raises:
            NotServed: it sleeps and this login does not wake it, it could not be woken in time, or it is gone.
        """
        self.held += 1
        try:
            async with asyncio.timeout(self._settings.ssh_hold_seconds):
                return await self._reach(instance_id, client, say, agent_path)
        except TimeoutError:
            instance = self._table.instances.get(instance_id)
            last = f" Last word: {instance.message}" if instance and instance.message else ""
            raise NotServed(
                f"instance {instance_id} did not come up within {self._settings.ssh_hold_seconds:g} s. It goes on "
                f"by itself; connect again later.{last}"
            ) from None
        finally:
            self.held -= 1

    async def _reach(self, instance_id: int, client: Client, say: Say, agent_path: str | None) -> Reached:
        requested_at: SshInstance | None = None
        said = ""
        while True:
            instance = self._there(instance_id)
            if instance.needs_wish and instance is not requested_at:
                self._may_wake(instance, client, tried=requested_at is not None)
                if instance.status is not InstanceStatus.RUNNING:
                    say(waking(instance))
                if await self._wished(instance_id):
                    requested_at = instance  # until the row reads otherwise, it is as it was before the wish
                else:
                    said = _say_once(say, said, "the database does not answer; trying again")
            if instance.status is InstanceStatus.RUNNING and instance.lease is not None:
                reached = await self._try(instance.lease.lease_id, agent_path)
                if isinstance(reached, Reached):
                    return reached
                said = _say_once(say, said, reached)
                self._feed.soon()  # it may answer elsewhere by now
            elif not instance.needs_wish:
                said = _say_once(say, said, stage(instance))
            await self._table.change_of(instance_id, LOOK_AGAIN_SECONDS)

    def _there(self, instance_id: int) -> SshInstance:
        instance = self._table.instances.get(instance_id)
        if instance is None:
            raise NotServed(f"instance {instance_id} is no more.")
        if instance.desired is Desired.DESTROYED:
            raise NotServed(f"{instance.name} is being destroyed.")
        return instance

    def _may_wake(self, instance: SshInstance, client: Client, *, tried: bool) -> None:
        if tried:
            raise NotServed(f"{instance.name} could not be woken: {instance.message or 'it sleeps again'}")
        if instance.wake is SshWake.NEVER:
            raise NotServed(asleep(instance, "logins do not wake it (ssh_wake: never)"))
        if instance.failed_wakes >= self._settings.failed_wakes:
            raise NotServed(asleep(instance, f"the last {instance.failed_wakes} attempts to wake it failed"))
        if self._quiet.keeps_asleep(instance.id, instance.status, client):
            seconds = self._settings.ssh_quiet_seconds
            why = f"this client was connected when it was paused, and reconnecting does not wake it for {seconds:g} s"
            raise NotServed(asleep(instance, why))

    async def _try(self, lease_id: str, agent_path: str | None) -> "Reached | str":
        """The connection, else why there is none."""
        try:
            line = self._lines.line(lease_id)
            return Reached(line, await (line.take() if agent_path is None else line.take_with_agent(agent_path)))
        except HostKeyChanged:
            return "another machine answers at its address; nothing was sent to it. Waiting for the right one"
        except SshKeyRefused:
            return "the machine does not let us in yet; trying again"
        except SshError:
            return "the machine does not answer; trying again"

    async def _wished(self, instance_id: int) -> bool:
        """Write the wish, together with whoever else has it. False: the database is away."""
        if instance_id not in self._wishes:
            task = asyncio.create_task(self._wish(instance_id), name=f"wake-{instance_id}")
            self._wishes[instance_id] = task
            task.add_done_callback(lambda _: self._wishes.pop(instance_id, None))
        return await asyncio.shield(self._wishes[instance_id])

    async def _wish(self, instance_id: int) -> bool:
        try:
            async with self._database.begin() as session:
                row = await session.scalar(select(Instance).where(Instance.id == instance_id).with_for_update())
                news = False
                with suppress(WrongState):  # what it is instead is read in a moment
                    news = row is not None and await request_action(
                        session, row, InstanceAction.WAKE, by=WHO, by_itself=True
                    )
        except DATABASE_ERRORS as error:
            log.warning("instance %d cannot be woken now: %s", instance_id, type(error).__name__)
            return False
        if news:
            self.wishes += 1
            telling = asyncio.create_task(self._tell(instance_id), name=f"tell-{instance_id}")
            self._telling.add(telling)  # nobody waits for it: Temporal may be slow, and the row has it all
            telling.add_done_callback(self._telling.discard)
        await self._feed.refresh()
        return True

    async def _tell(self, instance_id: int) -> None:
        """Its workflow reads the wish at once; if nobody can tell it, the reconciler will."""
        try:
            await self._workflows.tell_instance(instance_id)
        except (RPCError, RuntimeError, OSError) as error:
            log.warning("instance %d is left to the reconciler: %s", instance_id, type(error).__name__)


def _say_once(say: Say, said: str, text: str) -> str:
    if text != said:
        say(text)
    return text
