"""Renting one machine for one lease, once (design section 5.2): what is asked, and what each answer means."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.errors import Fault, Final, NotYet
from activities.machines.startup_script import onstart_script
from clouds.connections import Providers
from clouds.errors import NotSent, Refused, Throttled, Unavailable
from clouds.provider import MachineRequest, Verb
from db.machines import leases
from db.machines.machine_env import open_env
from db.machines.tables import Lease
from domain.machines.labels import label_of
from domain.machines.spec import MachineSpec
from failpoints import Failpoint, hit

RENT_DEADLINE = 20.0
"""Seconds for the rent request; well below the activity's own deadline, so that no attempt outlives its retry."""
LOOK_AGAIN = 1.0


class Renting:
    """`settle`: seconds after which a machine that came of a request is surely listed."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._database = providers.database
        self._settle = providers.settings.settle_seconds

    async def ask(self, lease: Lease) -> None:
        """Ask for the lease's machine, once. Raises the provider's errors, and NotYet where it is to be looked for."""
        request = self._machine_request(lease)
        async with self._providers.calling(lease.provider_key_id, Verb.CREATE) as provider:
            await self._providers.take_turn(lease.account_id, Verb.CREATE)
            await hit(Failpoint.RENT_BEGUN)
            await self._mark_asked(lease)
            await hit(Failpoint.RENT_MARKED)
            async with self._kept_in_ledger(lease):
                cloud_id = await provider.create(request, deadline=RENT_DEADLINE)
        await hit(Failpoint.RENT_ANSWERED)
        if cloud_id is None:
            raise NotYet("the cloud said yes without naming the machine; looking for it", LOOK_AGAIN)
        await self._record(lease, cloud_id)
        await hit(Failpoint.RENT_RECORDED)

    async def look_up(self, lease: Lease) -> None:
        """Somebody asked before and the answer is not known: look for the machine by its label while it settles."""
        await self._providers.take_turn(lease.account_id, Verb.LIST)
        async with self._providers.calling(lease.provider_key_id, Verb.LIST) as provider:
            listing = await provider.list([label_of(lease.label)])
        if listing.machines:
            await self._record(lease, listing.machines[0].cloud_id)
        elif await self.has_settled(lease) and not listing.may_hide(label_of(lease.label)):
            raise Final(Fault.ANSWER_LOST, "the rent request got no answer and no machine came of it")
        else:
            raise NotYet("asked before, not listed yet", min(LOOK_AGAIN, self._settle / 5))

    async def has_settled(self, lease: Lease) -> bool:
        """Whether a machine that came of the request would be listed by now. What comes even later is the reaper's."""
        async with self._database.begin() as session:
            return await leases.seconds_since_asked(session, lease.id) > self._settle

    @asynccontextmanager
    async def _kept_in_ledger(self, lease: Lease) -> AsyncIterator[None]:
        """What an answer without a machine means for the ledger: surely none, one after all, or nobody knows."""
        try:
            yield
        except (Throttled, NotSent):
            async with self._database.begin() as session:
                await leases.unmark_asked(session, lease.id)
            raise
        except Unavailable as error:
            raise NotYet(f"the answer was lost ({error}); looking whether we have the machine", LOOK_AGAIN) from error
        except Refused as error:
            if error.cloud_id is not None:  # made although refused: known, so that it is released
                await self._record(lease, error.cloud_id)
            raise

    async def _mark_asked(self, lease: Lease) -> None:
        if _late():
            raise NotYet("this attempt was held up; the next one asks", 0)
        async with self._database.begin() as session:
            if not await leases.mark_asked(session, lease.id):
                raise NotYet("another attempt asked", LOOK_AGAIN)

    async def _record(self, lease: Lease, cloud_id: str) -> None:
        async with self._database.begin() as session:
            await leases.mark_rented(session, lease.id, cloud_id)

    def _machine_request(self, lease: Lease) -> MachineRequest:
        spec = MachineSpec.model_validate(lease.spec)
        return MachineRequest(
            label=label_of(lease.label),
            offer_id=lease.offer_id,
            image=spec.image,
            disk_gb=spec.disk_gb,
            startup_script=onstart_script(lease.public_key, spec.startup_command),
            env=spec.env | open_env(self._providers.sealer, spec.sealed_env),
            ports=spec.ports,
            bid_usd_per_hour=lease.price_usd_per_hour if spec.interruptible else None,
        )


def _late() -> bool:
    """Whether this attempt was frozen for so long that its retry may be under way."""
    started = activity.info().started_time
    return datetime.now(UTC) - started > timedelta(seconds=RENT_DEADLINE / 2)
