"""One lease's machine: rent it, give it our key, release it until the cloud says it is gone.

Each activity takes a lease id and reads the rest, so nothing secret passes through Temporal.
"""

from temporalio import activity

from activities.errors import Fault, Final, NotYet, provider_errors
from activities.machines.leases import lease_view
from activities.machines.releasing import LOOK_AGAIN, destroy
from activities.machines.renting import Renting
from clients.ssh import SshTarget
from clients.ssh_pool import SshPool
from clouds.connections import Providers
from clouds.provider import Cloud, Verb
from db.machines import leases
from db.machines.slow_releases import no_longer_slow, tell_if_slow
from db.machines.tables import Lease
from domain.machines.machines import MachineSeen, ssh_address, ssh_ways
from domain.machines.phases import LeaseState, SshWay
from domain.workflow_contracts import LeaseView
from failpoints import Failpoint, hit

LEASE_KEY_PURPOSE = "lease-ssh-key"


class MachineActivities:
    """Calls to the cloud and to the machine, for one lease at a time."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._database = providers.database
        self._renting = Renting(providers)
        self.ssh = SshPool()

    @activity.defn
    async def rent_machine(self, lease_id: str) -> LeaseView:
        """Ask the cloud once for this lease; a repeated attempt looks for the machine instead of asking again.

        A lease that has its machine, or is over, is left as it is. Returns the lease as it stands then.

        Raises:
            Final: OFFER_GONE, REFUSED, KEY_REFUSED (surely not rented), ANSWER_LOST (looked up long enough).
        """
        lease = await self._lease(lease_id)
        if lease.cloud_id is not None or lease.state in (LeaseState.RELEASING, LeaseState.CLOSED):
            return lease_view(lease)
        if not lease.wanted:
            raise Final(Fault.NOT_WANTED, "no longer wanted")
        never_asked = lease.state is LeaseState.RESERVED
        with provider_errors(waits_for_key=not never_asked):
            await (self._renting.ask(lease) if never_asked else self._renting.look_up(lease))
        return lease_view(await self._lease(lease_id))

    @activity.defn
    async def attach_key(self, lease_id: str) -> None:
        """Have the platform itself keep our key there: it may overwrite what the start script wrote."""
        lease = await self._lease(lease_id)
        if lease.cloud_id is None:
            return
        with provider_errors():
            await self._providers.take_turn(lease.account_id, Verb.ATTACH_KEY)
            async with self._providers.calling(lease.provider_key_id, Verb.ATTACH_KEY) as provider:
                await provider.attach_key(lease.cloud_id, lease.public_key)

    @activity.defn
    async def release_machine(self, lease_id: str) -> None:
        """Destroy whatever came of this lease, and come back until the cloud says that nothing is left of it.

        Never final: whatever the cloud answers is waited out, and its owner is told when that takes long.
        """
        lease = await self._lease(lease_id)
        if lease.state is LeaseState.CLOSED:
            return
        await hit(Failpoint.RELEASE_BEGUN)
        if lease.asked_at is not None:
            await self._destroy(lease)
        await hit(Failpoint.RELEASE_CONFIRMED)
        async with self._database.begin() as session:
            await leases.mark_closed(session, lease_id)
            await no_longer_slow(session, lease)
        await hit(Failpoint.RELEASE_RECORDED)

    async def _destroy(self, lease: Lease) -> None:
        try:
            with provider_errors():
                await destroy(self._providers, lease)
            if lease.cloud_id is None and not await self._renting.has_settled(lease):
                raise NotYet("a late answer may still make a machine; looking a while longer", LOOK_AGAIN)
        except NotYet:
            async with self._database.begin() as session:
                await tell_if_slow(session, lease, self._providers.settings.release_alarm_seconds)
            raise

    async def cloud_of(self, lease: Lease) -> Cloud:
        """The kind of cloud that the lease's machine is at."""
        return await self._providers.cloud_of(lease.account_id)

    def target(self, lease: Lease) -> SshTarget:
        """Where the lease's machine answers SSH.

        Raises:
            NotYet: it has no address.
        """
        address = ssh_address(MachineSeen.model_validate(lease.seen), lease.ssh_way)
        if address is None:
            raise NotYet("the machine has no address yet", LOOK_AGAIN)
        return self._target_at(lease, address)

    def targets(self, lease: Lease) -> dict[SshWay, SshTarget]:
        """Every way to the lease's machine that is listed."""
        ways = ssh_ways(MachineSeen.model_validate(lease.seen))
        return {way: self._target_at(lease, address) for way, address in ways.items()}

    def _target_at(self, lease: Lease, address: tuple[str, int]) -> SshTarget:
        private_key = self._providers.sealer.open(lease.sealed_private_key, LEASE_KEY_PURPOSE)
        return SshTarget(*address, private_key=private_key, host_key=lease.host_key)

    async def _lease(self, lease_id: str) -> Lease:
        async with self._database.begin() as session:
            return await session.get_one(Lease, lease_id)
