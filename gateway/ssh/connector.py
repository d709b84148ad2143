"""From a login to a connection to the machine: wake the instance, wait, say what is happening, connect.

A wake is written to the instance's row as its desired state, and its workflow is signalled afterwards. Many logins make
one wake, and it goes on when a caller leaves.
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
from gateway.ssh.connection_pool import ConnectionPool, ConnectionPools
from gateway.ssh.feed import SshFeed
from gateway.ssh.instances import SshInstance, SshTable
from gateway.ssh.messages import asleep, stage, waking
from gateway.ssh.reconnect_cooldown import ClientIdentity, ReconnectCooldown
from settings import Settings
from workflow_client.client import WorkflowClient

WHO = "a login over SSH"
LOOK_AGAIN_SECONDS = 0.5
"""Between two attempts at a machine that should answer, or at a database that is away."""

Say = Callable[[str], None]

log = logging.getLogger(__name__)


class NotServed(Exception):
    """Why this login gets no machine, in words for the person who waits."""


class MachineConnection(NamedTuple):
    """A connection that the caller has for itself, and gives back to the pool or closes."""

    pool: ConnectionPool
    connection: asyncssh.SSHClientConnection


class Connector:
    """Connects clients to machines."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        workflows: WorkflowClient,
        feed: SshFeed,
        table: SshTable,
        pools: ConnectionPools,
        cooldown: ReconnectCooldown,
    ) -> None:
        self._settings, self._database, self._workflows = settings, database, workflows
        self._feed, self._table, self._pools, self._cooldown = feed, table, pools, cooldown
        self._waking: dict[int, asyncio.Task[bool]] = {}
        self._signalling: set[asyncio.Task[None]] = set()
        self.held = 0
        """Logins that wait now."""
        self.wakes = 0
        """Logins that changed an instance's desired state."""

    async def reach(
        self, instance_id: int, identity: ClientIdentity, say: Say, agent_path: str | None = None
    ) -> MachineConnection:
        """A connection to the instance's machine, once it runs and answers. `say` gets news for the user meanwhile.

        `agent_path`: a socket of ours where the client's SSH agent answers.

        Raises:
            NotServed: this login does not wake it, it did not come up in time, or it is gone.
        """
        self.held += 1
        try:
            async with asyncio.timeout(self._settings.ssh_hold_seconds):
                return await self._reach(instance_id, identity, say, agent_path)
        except TimeoutError:
            instance = self._table.instances.get(instance_id)
            last = f" Last word: {instance.message}" if instance and instance.message else ""
            raise NotServed(
                f"instance {instance_id} did not come up within {self._settings.ssh_hold_seconds:g} s. It goes on "
                f"by itself; connect again later.{last}"
            ) from None
        finally:
            self.held -= 1

    async def _reach(
        self, instance_id: int, identity: ClientIdentity, say: Say, agent_path: str | None
    ) -> MachineConnection:
        requested_at: SshInstance | None = None
        said = ""
        while True:
            instance = self._there(instance_id)
            if instance.needs_wake and instance is not requested_at:
                self._may_wake(instance, identity, tried=requested_at is not None)
                if instance.status is not InstanceStatus.RUNNING:
                    say(waking(instance))
                if await self._requested(instance_id):
                    requested_at = instance  # until the row reads otherwise, it is as it was before the request
                else:
                    said = _say_once(say, said, "the database does not answer; trying again")
            if instance.status is InstanceStatus.RUNNING and instance.lease is not None:
                reached = await self._try(instance.lease.lease_id, agent_path)
                if isinstance(reached, MachineConnection):
                    return reached
                said = _say_once(say, said, reached)
                self._feed.soon()  # its address may have changed
            elif not instance.needs_wake:
                said = _say_once(say, said, stage(instance))
            await self._table.change_of(instance_id, LOOK_AGAIN_SECONDS)

    def _there(self, instance_id: int) -> SshInstance:
        instance = self._table.instances.get(instance_id)
        if instance is None:
            raise NotServed(f"instance {instance_id} is no more.")
        if instance.desired is Desired.DESTROYED:
            raise NotServed(f"{instance.name} is being destroyed.")
        return instance

    def _may_wake(self, instance: SshInstance, identity: ClientIdentity, *, tried: bool) -> None:
        if tried:
            raise NotServed(f"{instance.name} could not be woken: {instance.message or 'it sleeps again'}")
        if instance.wake is SshWake.NEVER:
            raise NotServed(asleep(instance, "logins do not wake it (ssh_wake: never)"))
        if instance.failed_wakes >= self._settings.failed_wakes:
            raise NotServed(asleep(instance, f"the last {instance.failed_wakes} attempts to wake it failed"))
        if self._cooldown.keeps_asleep(instance.id, instance.status, identity):
            seconds = self._settings.ssh_quiet_seconds
            why = f"this client was connected when it was paused, and reconnecting does not wake it for {seconds:g} s"
            raise NotServed(asleep(instance, why))

    async def _try(self, lease_id: str, agent_path: str | None) -> "MachineConnection | str":
        """The connection, or the reason why there is none."""
        try:
            pool = self._pools.pool(lease_id)
            return MachineConnection(
                pool, await (pool.take() if agent_path is None else pool.take_with_agent(agent_path))
            )
        except HostKeyChanged:
            return "another machine answers at its address; nothing was sent to it. Waiting for the right one"
        except SshKeyRefused:
            return "the machine does not let us in yet; trying again"
        except SshError:
            return "the machine does not answer; trying again"

    async def _requested(self, instance_id: int) -> bool:
        """Ask for a wake, once for all logins that want it now. False: the database is away."""
        if instance_id not in self._waking:
            task = asyncio.create_task(self._request(instance_id), name=f"wake-{instance_id}")
            self._waking[instance_id] = task
            task.add_done_callback(lambda _: self._waking.pop(instance_id, None))
        return await asyncio.shield(self._waking[instance_id])

    async def _request(self, instance_id: int) -> bool:
        try:
            async with self._database.begin() as session:
                row = await session.scalar(select(Instance).where(Instance.id == instance_id).with_for_update())
                news = False
                with suppress(WrongState):  # the refresh below shows the state that it is in
                    news = row is not None and await request_action(
                        session, row, InstanceAction.WAKE, by=WHO, by_itself=True
                    )
        except DATABASE_ERRORS as error:
            log.warning("instance %d cannot be woken now: %s", instance_id, type(error).__name__)
            return False
        if news:
            self.wakes += 1
            signalling = asyncio.create_task(self._signal(instance_id), name=f"signal-{instance_id}")
            self._signalling.add(signalling)  # nobody waits for it: Temporal may be slow, and the row is enough
            signalling.add_done_callback(self._signalling.discard)
        await self._feed.refresh()
        return True

    async def _signal(self, instance_id: int) -> None:
        """Have its workflow read the row now. If Temporal is away, the reconciler does it later."""
        try:
            await self._workflows.tell_instance(instance_id)
        except (RPCError, RuntimeError, OSError) as error:
            log.warning("instance %d waits for the reconciler: %s", instance_id, type(error).__name__)


def _say_once(say: Say, said: str, text: str) -> str:
    if text != said:
        say(text)
    return text
