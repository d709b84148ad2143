"""One copy on one machine: started or found running, followed to its end, stopped when nobody wants it any more."""

import asyncio
import contextlib
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncssh
from asyncssh import SSHClientConnection
from pydantic import BaseModel
from temporalio import activity

from activities.errors import Fault, Final, NotYet
from activities.machines.tools import ToolMissing, prepare
from activities.snapshots.transfer_program import program
from clients.ssh import CommandTimedOut, SshError, SshTarget, connect, run
from clients.ssh_streams import lines
from domain.snapshots.transfers import TransferOrder, TransferState, TransferStatus
from settings import Settings

SSH_DEADLINE = 15.0
SILENCE = 30.0
"""The program says how it is every second; after so long without a word the connection is taken for lost."""
AGAIN = 1.0
BEGUN = ("started", "running", "over")
"""What the program says first (machine/transfer/job.py)."""
VAULT_PORT_ON_MACHINE = 47812
"""Where a machine finds the vault when the vault has no address that it could reach."""

Note = Callable[[TransferStatus], Awaitable[None]]


class Transfers:
    """Nothing is kept here: the machine knows its jobs, and the next attempt asks it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def repository(self, instance_id: int) -> str:
        """The repository's address as a machine reaches it."""
        base = self._settings.vault_url or f"http://127.0.0.1:{VAULT_PORT_ON_MACHINE}"
        return f"rest:{base.rstrip('/')}/{instance_id}/"

    async def work_off(self, target: SshTarget, order: TransferOrder, note: Note, fault: Fault) -> TransferStatus:
        """Start the job, or join one that runs, and follow it to its end. `note` hears of every change.

        Raises:
            NotYet: the connection was lost, or the machine restarted; another attempt joins.
            Final: it failed, with `fault`; or the machine has not answered for as long as a copy may stand still.
        """
        try:
            async with await connect(target, timeout=SSH_DEADLINE) as connection, self._way_to_the_vault(connection):
                status = await self._followed(connection, order, note)
        except ToolMissing as error:
            raise Final(fault, f"{error}.") from error
        except (SshError, TimeoutError) as error:
            raise self._silence(fault) from error
        if status is None or status.state is TransferState.LOST:
            raise NotYet("the copy was interrupted; starting it again", AGAIN)
        if status.state is not TransferState.DONE:
            raise Final(fault, f"{status.reason}.")
        return status

    async def _followed(
        self, connection: SSHClientConnection, order: TransferOrder, note: Note
    ) -> TransferStatus | None:
        path, restic = await prepare(connection, program())
        command = f"python3 -I -S {shlex.quote(path)}"  # our own program: nothing of a user's Python takes part
        told = order.model_copy(update={"restic": restic}).model_dump_json()
        said = lines(connection, f"{command} start 2>&1", input=told, silence=SILENCE)
        begun = asyncio.create_task(_complaint(said))
        try:
            if (complaint := await asyncio.shield(begun)) is not None:
                raise ToolMissing(f"the copy cannot be started on the machine: {complaint[-200:]}")
            async for line in said:
                status = TransferStatus.model_validate_json(line)
                await note(status)
                if status.is_over:
                    return status
        except asyncio.CancelledError:
            await self._stop_if_unwanted(connection, begun, f"{command} stop {order.id}")
            raise
        return None

    async def _stop_if_unwanted(
        self, connection: SSHClientConnection, begun: asyncio.Task[str | None], command: str
    ) -> None:
        """A worker that goes down leaves the copy running for the next one; a flow that wants it no longer does not.

        A start that is on its way is let through first: stopped before it arrived, the copy would run for nobody.
        """
        details = activity.cancellation_details()
        if details is None or details.worker_shutdown or not details.cancel_requested:
            begun.cancel()
            return
        await asyncio.gather(begun, return_exceptions=True)
        with contextlib.suppress(SshError, CommandTimedOut):
            await asyncio.shield(run(connection, command, timeout=SSH_DEADLINE))

    @asynccontextmanager
    async def _way_to_the_vault(self, connection: SSHClientConnection) -> AsyncIterator[None]:
        """For a vault that machines cannot reach: a port of theirs that leads to it, unless the gateway opened one."""
        if self._settings.vault_url is not None:
            yield
            return
        host, port = self._settings.vault_host, self._settings.vault_port
        opened = None
        with contextlib.suppress(asyncssh.ChannelListenError):
            opened = await connection.forward_remote_port("127.0.0.1", VAULT_PORT_ON_MACHINE, host, port)
        try:
            yield
        finally:
            if opened is not None:
                opened.close()

    def _silence(self, fault: Fault) -> Exception:
        """The machine does not answer: since when is remembered from attempt to attempt in the heartbeat."""
        now = time.time()
        said = [Silent.model_validate(each) for each in activity.info().heartbeat_details if isinstance(each, dict)]
        since = said[0].since if said else now
        if now - since > self._settings.snapshot_stall_seconds:
            return Final(fault, f"The machine has not answered for {timedelta(seconds=round(now - since))}.")
        activity.heartbeat(Silent(since=since))
        return NotYet("the machine does not answer over SSH", AGAIN)


async def _complaint(said: AsyncIterator[str]) -> str | None:
    """None once the program has begun, whatever was said before that; else the last that it said."""
    last = "it says nothing"
    async for line in said:
        if line.strip() in BEGUN:
            return None
        last = line.strip() or last
    return last


class Silent(BaseModel):
    """`since`: by the worker's clock, in seconds of Unix time."""

    since: float
