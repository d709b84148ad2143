"""A machine that the cloud calls running, tried: do we get in, by which way, and does its GPU answer?"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from asyncssh import SSHClientConnection
from temporalio import activity

from activities.errors import Fault, Final, NotYet, ssh_errors
from activities.machines.leases import tell_holder
from activities.machines.machines import MachineActivities
from clients.ssh import CommandTimedOut, HostKeyChanged, SshUnreachable, connect, host_key_of, run
from clouds.connections import Providers
from db.events import record_event
from db.machines import leases, power
from db.machines.tables import Lease
from domain.machines.phases import LeaseState, SshWay
from domain.workflow_contracts import LeaseView
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient

PAUSE = 0.3
FIRST_PAUSE, FIRST_TRIES = 0.1, 20
"""Seconds between the first tries to log in: whoever wakes a machine waits for this."""
DEADLINE = 10.0
SAID = {
    SshWay.RELAY: "Its direct SSH port is closed: it is reached through the cloud's relay, which is slower.",
    SshWay.DIRECT: "The cloud's relay does not lead to it now: it is reached directly.",
}


class ProbeActivities:
    def __init__(self, providers: Providers, machines: MachineActivities, workflows: WorkflowClient) -> None:
        self._database = providers.database
        self._workflows = workflows
        self._machines = machines
        self._relay_after = timedelta(seconds=providers.settings.relay_after_seconds)

    @activity.defn
    async def probe_machine(self, lease_id: str) -> LeaseView:
        """Log in, keep the host key of the first contact, see that its GPU, if any, answers; then the lease runs.

        Its holder is told. Returns the lease as it stands then.
        """
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, lease_id)
        if not lease.wanted:
            raise Final(Fault.NOT_WANTED, "no longer wanted")
        with ssh_errors(_pause()), _stale_address(lease):
            way, connection = await self._log_in(lease)
            try:
                host_key = host_key_of(connection)
                await hit(Failpoint.PROBE_LOGGED_IN)
                if lease.num_gpus:
                    await _try_gpu(connection)
            except BaseException:
                connection.close()
                raise
        await self._record(lease, host_key, way)
        pinned = replace(self._machines.targets(lease)[way], host_key=host_key)
        self._machines.ssh.lend(pinned, connection)  # whoever waits for the machine has something to do there
        view = await tell_holder(self._database, self._workflows, lease.id)
        await hit(Failpoint.PROBE_RECORDED)
        return view

    async def _log_in(self, lease: Lease) -> tuple[SshWay, SSHClientConnection]:
        """By the way in use; by the other one too once that has led nowhere for a while.

        Direct ports are listed, and open, late or never, and the cloud's relay works long before (clouds.md B2.7), at a
        fifth of their rate: worth a little patience, and no machine that is otherwise good.
        """
        targets, own = self._machines.targets(lease), lease.ssh_way
        patient = datetime.now(UTC) - activity.info().scheduled_time < self._relay_after
        if own in targets:
            try:
                return own, await connect(targets[own], timeout=DEADLINE)
            except SshUnreachable:
                if patient or own.other not in targets:
                    raise
        elif patient or own.other not in targets:
            raise NotYet(f"its address for SSH ({own}) is not listed yet", _pause())
        return own.other, await connect(targets[own.other], timeout=DEADLINE)

    async def _record(self, lease: Lease, host_key: str, way: SshWay) -> None:
        async with self._database.begin() as session:
            await leases.mark_running(session, lease.id, host_key)
            await power.mark_running_again(session, lease.id)
            if way is not lease.ssh_way:
                await leases.note_way(session, lease.id, way)
                await record_event(session, lease.user_id, str(leases.holder_of(lease)), "ssh_way", SAID[way])


async def _try_gpu(connection: SSHClientConnection) -> None:
    try:
        smi = await run(connection, "nvidia-smi -L", timeout=DEADLINE)
    except CommandTimedOut as error:
        raise Final(Fault.BOOT_FAILED, "the machine's GPU does not answer (nvidia-smi hangs)") from error
    if smi.exit_code != 0 or "GPU 0" not in smi.stdout:
        raise Final(Fault.BOOT_FAILED, "the machine has no working GPU (nvidia-smi failed)")


@contextmanager
def _stale_address(lease: Lease) -> Iterator[None]:
    """A machine that was started again may have another address by now, and another machine its old one: nothing was
    sent there, and the next look at the account says where it is (clouds.md B3.3)."""
    try:
        yield
    except HostKeyChanged as error:
        if lease.state is LeaseState.STARTING:
            raise NotYet("another machine answers at its last address; waiting for the new one", PAUSE) from error
        raise


def _pause() -> float:
    return FIRST_PAUSE if activity.info().attempt <= FIRST_TRIES else PAUSE
