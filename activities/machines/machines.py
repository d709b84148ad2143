"""One lease's machine: rent it, give it our key, release it until the cloud says it is gone.

Each activity takes a lease id and reads the rest, so nothing secret passes through Temporal.
"""

from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.errors import Fault, Final, NotYet
from activities.machines.leases import lease_view
from activities.machines.startup_script import onstart_script
from clients.ssh import SshTarget
from clients.ssh_pool import SshPool
from clients.vast import VastClient
from clients.vast_errors import VastKeyRefused, VastNotSent, VastRefused, VastThrottled, VastUnavailable, is_offer_gone
from clients.vast_types import RentRequest
from clouds.connections import Clouds
from clouds.rate_limits import ApiQuota
from db.machines import leases
from db.machines.machine_env import open_env
from db.machines.slow_releases import no_longer_slow, tell_if_slow
from db.machines.tables import Lease
from domain.machines.machines import MachineSeen, ssh_address, ssh_ways
from domain.machines.phases import LeaseState, SshWay
from domain.machines.spec import MachineSpec
from domain.workflow_contracts import LeaseView
from failpoints import Failpoint, hit

RENT_DEADLINE = 20.0
"""Seconds for the rent request; well below the activity's own deadline, so that no attempt outlives its retry."""
LOOK_AGAIN = 1.0
LOOK_FIRST = 0.25
"""Seconds after a destroy until it is looked whether it is done: a job is over only then."""
REFUSED_PAUSE_AT_MOST = 30.0
"""Seconds between two tries to destroy what the cloud refuses to destroy; at first they are shorter."""
LEASE_KEY_PURPOSE = "lease-ssh-key"


class MachineActivities:
    """Calls to the cloud and to the machine, for one lease at a time."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._database = clouds.database
        self._settle = clouds.settings.settle_seconds
        self.ssh = SshPool()

    @activity.defn
    async def rent_machine(self, lease_id: str) -> LeaseView:
        """Ask the cloud once for this lease; a repeated attempt looks for the machine instead of asking again.

        A lease that has its machine, or is over, is left as it is. Returns the lease as it stands then.

        Raises:
            Final: OFFER_GONE, REFUSED, KEY_REFUSED (surely not rented), ANSWER_LOST (looked up long enough).
        """
        lease = await self._lease(lease_id)
        if lease.cloud_id is None and lease.state not in (LeaseState.RELEASING, LeaseState.CLOSED):
            if not lease.wanted:
                raise Final(Fault.NOT_WANTED, "no longer wanted")
            await (self._ask(lease) if lease.state is LeaseState.RESERVED else self._look_up(lease))
            lease = await self._lease(lease_id)
        return lease_view(lease)

    async def _ask(self, lease: Lease) -> None:
        client = await self._clouds.client(lease.provider_key_id)
        request = self._rent_request(lease)
        await self._turn(lease, ApiQuota.RENT)
        await hit(Failpoint.RENT_BEGUN)
        if _late():
            raise NotYet("this attempt was held up; the next one asks", 0)
        async with self._database.begin() as session:
            if not await leases.mark_asked(session, lease.id):
                raise NotYet("another attempt asked", LOOK_AGAIN)
        await hit(Failpoint.RENT_MARKED)
        await self._buy(client, lease, request)

    async def _buy(self, client: VastClient, lease: Lease, request: RentRequest) -> None:
        try:
            cloud_id = await client.rent(lease.offer_id, request, timeout=RENT_DEADLINE)
        except VastThrottled as error:
            await self._unask(lease)
            pause = await self._clouds.told_to_slow_down(lease.account_id, ApiQuota.RENT)
            raise NotYet("the cloud asks us to slow down", error.retry_after or pause) from error
        except VastNotSent as error:
            await self._unask(lease)
            raise NotYet("the cloud could not be reached", 2.0) from error
        except VastUnavailable as error:
            raise NotYet(f"the answer was lost ({error}); looking whether we have the machine", LOOK_AGAIN) from error
        except VastKeyRefused as error:
            await self._clouds.remember_refused(lease.provider_key_id)
            raise Final(Fault.KEY_REFUSED, "the cloud refuses the key") from error
        except VastRefused as error:
            if error.new_contract is not None:  # made although refused: known, so that it is released
                await self._rented(lease, error.new_contract)
            fault = Fault.OFFER_GONE if is_offer_gone(error) else Fault.REFUSED
            raise Final(fault, "the offer was taken by someone else" if is_offer_gone(error) else str(error)) from error
        await hit(Failpoint.RENT_ANSWERED)
        if cloud_id is None:
            raise NotYet("the cloud said yes without naming the machine; looking for it", LOOK_AGAIN)
        await self._rented(lease, cloud_id)
        await hit(Failpoint.RENT_RECORDED)

    async def _look_up(self, lease: Lease) -> None:
        """Somebody asked before and the answer is not known: look for the machine by its label while it settles."""
        await self._turn(lease, ApiQuota.LIST)
        async with self._clouds.calling(lease.provider_key_id, ApiQuota.LIST) as client:
            found = [each.id for each in await client.list_instances([lease.label]) if each.label == lease.label]
        if found:
            await self._rented(lease, min(found))
        elif await self._has_settled(lease):
            raise Final(Fault.ANSWER_LOST, "the rent request got no answer and no machine came of it")
        else:
            raise NotYet("asked before, not listed yet", min(LOOK_AGAIN, self._settle / 5))

    def _rent_request(self, lease: Lease) -> RentRequest:
        spec = MachineSpec.model_validate(lease.spec)
        return RentRequest(
            image=spec.image,
            disk=spec.disk_gb,
            label=lease.label,
            onstart=onstart_script(lease.public_key, spec.startup_command),
            env=spec.env
            | open_env(self._clouds.sealer, spec.sealed_env)
            | {f"-p {port}:{port}": "1" for port in spec.ports},
            price=lease.dph_total if spec.interruptible else None,
        )

    @activity.defn
    async def attach_key(self, lease_id: str) -> None:
        """Have the platform itself keep our key there: it may overwrite what onstart wrote (clouds.md B2.6)."""
        lease = await self._lease(lease_id)
        if lease.cloud_id is None:
            return
        await self._turn(lease, ApiQuota.SSH_KEYS)
        async with self._clouds.calling(lease.provider_key_id, ApiQuota.SSH_KEYS) as client:
            await client.attach_ssh_key(lease.cloud_id, lease.public_key)

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
            try:
                async with self._clouds.calling(lease.provider_key_id, ApiQuota.DESTROY) as client:
                    await self._destroy(client, lease)
            except NotYet:
                async with self._database.begin() as session:
                    await tell_if_slow(session, lease, self._clouds.settings.release_alarm_seconds)
                raise
        await hit(Failpoint.RELEASE_CONFIRMED)
        async with self._database.begin() as session:
            await leases.mark_closed(session, lease_id)
            await no_longer_slow(session, lease)
        await hit(Failpoint.RELEASE_RECORDED)

    async def _destroy(self, client: VastClient, lease: Lease) -> None:
        attempt = activity.info().attempt
        first = attempt == 1 and lease.cloud_id is not None
        alive = [lease.cloud_id] if first and lease.cloud_id else await self._still_there(client, lease)
        if alive:  # another one first each time: one that is refused, or that takes the turn, keeps nobody waiting
            await self._ask_to_destroy(client, lease, alive[attempt % len(alive)])
            if len(alive) > 1:
                raise NotYet("more than one machine came of it; the next one", 0)
            raise NotYet("asked the cloud to destroy it; waiting until it is gone", LOOK_FIRST if first else LOOK_AGAIN)
        if lease.cloud_id is None and not await self._has_settled(lease):
            raise NotYet("a late answer may still make a machine; looking a while longer", LOOK_AGAIN)

    async def _ask_to_destroy(self, client: VastClient, lease: Lease, cloud_id: int) -> None:
        await self._turn(lease, ApiQuota.DESTROY)
        try:
            await client.destroy_instance(cloud_id)
        except VastRefused as error:
            pause = min(REFUSED_PAUSE_AT_MOST, LOOK_AGAIN * activity.info().attempt)
            raise NotYet(f"the cloud refuses to destroy it ({error})", pause) from error
        await hit(Failpoint.RELEASE_ASKED)

    async def _still_there(self, client: VastClient, lease: Lease) -> list[int]:
        """By label and by id: a listing may lag, and a machine may have been relabelled."""
        await self._turn(lease, ApiQuota.LIST)
        listed = {each.id for each in await client.list_instances([lease.label]) if each.label == lease.label}
        if lease.cloud_id is not None and lease.cloud_id not in listed:
            await self._turn(lease, ApiQuota.SHOW)
            if await client.show_instance(lease.cloud_id) is not None:
                listed.add(lease.cloud_id)
        return sorted(listed)

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
        private_key = self._clouds.sealer.open(lease.sealed_private_key, LEASE_KEY_PURPOSE)
        return SshTarget(*address, private_key=private_key, host_key=lease.host_key)

    async def _lease(self, lease_id: str) -> Lease:
        async with self._database.begin() as session:
            return await session.get_one(Lease, lease_id)

    async def _turn(self, lease: Lease, endpoint: ApiQuota) -> None:
        wait = await self._clouds.seconds_to_wait(lease.account_id, endpoint)
        if wait:
            raise NotYet(f"waiting for our turn to call the cloud ({endpoint.value[0]})", wait)

    async def _has_settled(self, lease: Lease) -> bool:
        """Whether a machine that came of the request would be listed by now. What comes even later is the reaper's."""
        async with self._database.begin() as session:
            return await leases.seconds_since_asked(session, lease.id) > self._settle

    async def _rented(self, lease: Lease, cloud_id: int) -> None:
        async with self._database.begin() as session:
            await leases.mark_rented(session, lease.id, cloud_id)

    async def _unask(self, lease: Lease) -> None:
        async with self._database.begin() as session:
            await leases.unmark_asked(session, lease.id)


def _late() -> bool:
    """Whether this attempt was frozen for so long that its retry may be under way."""
    started = activity.info().started_time
    return datetime.now(UTC) - started > timedelta(seconds=RENT_DEADLINE / 2)
