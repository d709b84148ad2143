"""Stopping a machine with its disk kept, and starting it again. Whether it did is for the account's watch to see."""

from pydantic import BaseModel
from temporalio import activity

from activities.errors import Fault, Final, NotYet, provider_errors
from activities.machines.leases import read_lease, tell_holder
from clouds.connections import Providers
from clouds.errors import CapacityGone, MachineNotFound, Refused
from clouds.provider import Verb
from db.events import record_event
from db.instances.power import mark_found_running
from db.machines import power
from db.machines.leases import holder_of
from db.machines.tables import Lease
from domain.machines.phases import LeaseState
from domain.workflow_contracts import LeaseView
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient

ASK_AGAIN = 2.0


class StartFailure(BaseModel):
    """Why a start is given up."""

    lease_id: str
    reason: str


class PowerActivities:
    """Each reads the lease right before it asks: what its holder wants may have changed since it was scheduled.

    Each returns the lease as it stands. What ends a stop or a start is told to the holder. That one begins is not: who
    asked for it decides the same before and after (tests/domain/test_sleeping.py).
    """

    def __init__(self, providers: Providers, workflows: WorkflowClient) -> None:
        self._providers = providers
        self._workflows = workflows
        self._database = providers.database

    @activity.defn
    async def switch_off(self, lease_id: str) -> LeaseView:
        """Ask the cloud to stop the machine; the disk stays. Asked again when nothing comes of it."""
        lease = await self._in_turn(lease_id, Verb.STOP)
        async with self._database.begin() as session:
            is_wanted = await power.mark_stopping(session, lease_id)
        if is_wanted:
            await hit(Failpoint.STOP_MARKED)
            if refusal := await self._refusal_of(lease, Verb.STOP):
                raise NotYet(f"the cloud does not stop it ({refusal})", ASK_AGAIN)
            await hit(Failpoint.STOP_ASKED)
        # what slept on a machine that runs again has to know; a later attempt cannot tell whether it did
        may_sleep = lease.state is LeaseState.STOPPED or activity.info().attempt > 1
        return await (self._told(lease_id) if may_sleep else read_lease(self._database, lease_id))

    @activity.defn
    async def switch_on(self, lease_id: str) -> LeaseView:
        """Ask the cloud to start the machine.

        Raises:
            Final: START_REFUSED; the cloud may have queued the start, so it has to be cancelled.
        """
        lease = await self._in_turn(lease_id, Verb.START)
        async with self._database.begin() as session:
            is_wanted = await power.mark_starting(session, lease_id)
        if is_wanted:
            await hit(Failpoint.START_MARKED)
            if refusal := await self._refusal_of(lease, Verb.START):
                raise Final(Fault.START_REFUSED, _words(refusal))
            await hit(Failpoint.START_ASKED)
        return await read_lease(self._database, lease_id)

    @activity.defn
    async def give_up_start(self, failure: StartFailure) -> LeaseView:
        """Cancel the start that the cloud may have queued, then say that it failed: never the other way round."""
        lease = await self._in_turn(failure.lease_id, Verb.STOP)
        refusal = await self._refusal_of(lease, Verb.STOP)
        if refusal is not None and not isinstance(refusal, MachineNotFound):  # what is not there does not start either
            raise NotYet(f"the cloud does not cancel the start ({refusal})", ASK_AGAIN)
        async with self._database.begin() as session:
            await power.mark_start_refused(session, failure.lease_id, failure.reason)
            text = f"{lease.gpu_name} could not be started again: {failure.reason}."
            await record_event(session, lease.user_id, str(holder_of(lease)), "start_refused", text)
        return await self._told(lease.id)

    @activity.defn
    async def record_stopped(self, lease_id: str) -> LeaseView:
        """The cloud shows it stopped, as was asked."""
        async with self._database.begin() as session:
            await power.mark_stopped(session, lease_id)
        return await self._told(lease_id)

    @activity.defn
    async def record_found_stopped(self, lease_id: str) -> LeaseView:
        """It stopped without a word from us: an outbid, a host's restart, a hand in the cloud's console."""
        async with self._database.begin() as session:
            await power.mark_stopped(session, lease_id, found=True)
        return await self._told(lease_id)

    @activity.defn
    async def record_found_running(self, lease_id: str) -> LeaseView:
        """It runs without a word from us: its owner wants that, we take it, unless its instance lives elsewhere."""
        async with self._database.begin() as session:
            await mark_found_running(session, lease_id)
        return await self._told(lease_id)

    async def _told(self, lease_id: str) -> LeaseView:
        return await tell_holder(self._database, self._workflows, lease_id)

    async def _in_turn(self, lease_id: str, verb: Verb) -> Lease:
        """The lease, once it is our turn to ask for this."""
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, lease_id)
        with provider_errors():
            await self._providers.take_turn(lease.account_id, verb)
        return lease

    async def _refusal_of(self, lease: Lease, verb: Verb) -> Refused | None:
        """Ask for a start or a stop; None when the cloud takes it."""
        if lease.cloud_id is None:
            raise Final(Fault.MACHINE_LOST, "the lease has no machine")
        with provider_errors():
            async with self._providers.calling(lease.provider_key_id, verb) as provider:
                try:
                    await (provider.start if verb is Verb.START else provider.stop)(lease.cloud_id)
                except Refused as refusal:
                    return refusal
        return None


def _words(refusal: Refused) -> str:
    if isinstance(refusal, CapacityGone):
        return "its GPU is rented by somebody else now"
    return f"the cloud refused to start it ({refusal})"
