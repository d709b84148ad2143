"""Commands on an instance's machine, over SSH."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncssh import SSHClientConnection
from pydantic import BaseModel
from temporalio import activity

from activities.errors import Fault, Final, NotYet, ssh_errors
from activities.machines.end_processes import GRACE_SECONDS, ending
from activities.machines.machines import MachineActivities
from activities.machines.tools import ToolMissing, put_rsync
from clients.ssh import CommandTimedOut, run
from clouds.provider import Cloud
from db.instances.tables import Instance
from db.machines.leases import holder_of
from db.machines.tables import Lease
from db.session import Database
from domain.instances.phases import Desired
from domain.machines.phases import LeaseState

SSH_DEADLINE = 15.0
PAUSE = 1.0


class ProgramsEnded(BaseModel):
    """How many programs were asked to end, and how many run all the same; `left` None: nobody knows."""

    asked: int = 0
    left: int | None = None


class ShellActivities:
    def __init__(self, database: Database, machines: MachineActivities) -> None:
        self._database = database
        self._machines = machines

    @activity.defn
    async def end_user_processes(self, lease_id: str) -> ProgramsEnded:
        """End what a user left running: asked first, then made to.

        Raises:
            Final: MACHINE_LOST; NOT_WANTED, its owner wants the instance running by now.
        """
        async with self._database.begin() as session:
            holder = holder_of(await session.get_one(Lease, lease_id)).instance_id
            instance = None if holder is None else await session.get(Instance, holder)
        if instance is not None and instance.desired is Desired.RUNNING:
            raise Final(Fault.NOT_WANTED, "it shall run by now")
        async with self._on_machine(lease_id) as (connection, cloud):
            ended = await run(connection, ending(cloud.in_machine.id), timeout=GRACE_SECONDS + SSH_DEADLINE)
        said = ended.stdout.split() if ended.exit_code == 0 else []
        return ProgramsEnded(asked=int(said[0]), left=int(said[1])) if len(said) == 2 else ProgramsEnded()

    @activity.defn
    async def bring_rsync(self, lease_id: str) -> str:
        """Have rsync on the machine, for images without one. Returns its path, or why there is none.

        Raises:
            Final: MACHINE_LOST
        """
        async with self._on_machine(lease_id) as (connection, _):
            try:
                return await put_rsync(connection)
            except ToolMissing as error:
                return str(error)

    @asynccontextmanager
    async def _on_machine(self, lease_id: str) -> AsyncIterator[tuple[SSHClientConnection, Cloud]]:
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, lease_id)
        if lease.state is not LeaseState.RUNNING or not lease.wanted:
            raise Final(Fault.MACHINE_LOST, "the machine does not run any more")
        cloud = await self._machines.cloud_of(lease)
        with ssh_errors(PAUSE):
            async with self._machines.ssh.connection(self._machines.target(lease), timeout=SSH_DEADLINE) as connection:
                try:
                    yield connection, cloud
                except CommandTimedOut as error:
                    raise NotYet("the machine is slow to do as it is told", PAUSE) from error
