"""Stopping a machine with its disk kept, and starting it again. Whether it did is for the account's watch to see."""

from pydantic import BaseModel
from temporalio import activity

from activities.errors import Fault, Final, NotYet
from clients.vast_errors import VastRefused
from clouds.connections import Clouds
from clouds.rate_limits import ApiQuota
from db.events import record_event
from db.instances.power import mark_found_running
from db.machines import power
from db.machines.leases import holder_of
from db.machines.tables import Lease
from failpoints import Failpoint, hit

ASK_AGAIN = 2.0
NOT_THERE = 404


class StartFailure(BaseModel):
    """Why a start is given up."""

    lease_id: str
    reason: str


class PowerActivities:
    """Each reads the lease right before it asks: what its holder wants may have changed since it was scheduled."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._database = clouds.database

    @activity.defn
    async def switch_off(self, lease_id: str) -> None:
        """Ask the cloud to stop the machine; the disk stays. Asked again when nothing comes of it."""
        lease = await self._lease(lease_id)
        await self._turn(lease)
        async with self._database.begin() as session:
            if not await power.mark_stopping(session, lease_id):
                return
        await hit(Failpoint.STOP_MARKED)
        if refusal := await self._refusal_of(lease, "stopped"):
            raise NotYet(f"the cloud does not stop it ({refusal})", ASK_AGAIN)
        await hit(Failpoint.STOP_ASKED)

    @activity.defn
    async def switch_on(self, lease_id: str) -> None:
        """Ask the cloud to start the machine.

        Raises:
            Final: START_REFUSED; the cloud may have queued the start (clouds.md A5), so it has to be cancelled.
        """
        lease = await self._lease(lease_id)
        await self._turn(lease)
        async with self._database.begin() as session:
            if not await power.mark_starting(session, lease_id):
                return
        await hit(Failpoint.START_MARKED)
        if refusal := await self._refusal_of(lease, "running"):
            raise Final(Fault.START_REFUSED, _words(refusal))
        await hit(Failpoint.START_ASKED)

    @activity.defn
    async def give_up_start(self, failure: StartFailure) -> None:
        """Cancel the start that the cloud may have queued, then say that it failed: never the other way round."""
        lease = await self._lease(failure.lease_id)
        await self._turn(lease)
        refusal = await self._refusal_of(lease, "stopped")
        if refusal is not None and refusal.status != NOT_THERE:  # what is not there does not start either
            raise NotYet(f"the cloud does not cancel the start ({refusal})", ASK_AGAIN)
        async with self._database.begin() as session:
            await power.mark_start_refused(session, failure.lease_id, failure.reason)
            text = f"{lease.gpu_name} could not be started again: {failure.reason}."
            await record_event(session, lease.user_id, str(holder_of(lease)), "start_refused", text)

    @activity.defn
    async def record_stopped(self, lease_id: str) -> None:
        """The cloud shows it stopped, as was asked."""
        async with self._database.begin() as session:
            await power.mark_stopped(session, lease_id)

    @activity.defn
    async def record_found_stopped(self, lease_id: str) -> None:
        """It stopped without a word from us: an outbid, a host's restart, a hand in the cloud's console."""
        async with self._database.begin() as session:
            await power.mark_stopped(session, lease_id, found=True)

    @activity.defn
    async def record_found_running(self, lease_id: str) -> None:
        """It runs without a word from us: its owner wants that, we take it, unless its instance lives elsewhere."""
        async with self._database.begin() as session:
            await mark_found_running(session, lease_id)

    async def _refusal_of(self, lease: Lease, state: str) -> VastRefused | None:
        """Ask for the state; None when the cloud takes it."""
        if lease.cloud_id is None:
            raise Final(Fault.MACHINE_LOST, "the lease has no machine")
        async with self._clouds.calling(lease.provider_key_id, ApiQuota.MANAGE) as client:
            try:
                await client.set_state(lease.cloud_id, state)
            except VastRefused as refusal:
                return refusal
        return None

    async def _turn(self, lease: Lease) -> None:
        wait = await self._clouds.seconds_to_wait(lease.account_id, ApiQuota.MANAGE)
        if wait:
            raise NotYet("waiting for our turn to call the cloud (manage)", wait)

    async def _lease(self, lease_id: str) -> Lease:
        async with self._database.begin() as session:
            return await session.get_one(Lease, lease_id)


def _words(refusal: VastRefused) -> str:
    if refusal.code == "resources_unavailable":
        return "its GPU is rented by somebody else now"
    return f"the cloud refused to start it ({refusal})"
