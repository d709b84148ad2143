"""An instance's rows: what is wanted, what it holds, what became of it."""

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import Fault, Final, each_alone, provider_errors
from activities.machines.machines import LEASE_KEY_PURPOSE
from clients.ssh import generate_keypair
from clouds.connections import Providers
from clouds.keys import account_of
from clouds.offers import Market
from db.accounts.tables import ProviderKey
from db.endpoints.endpoints import open_endpoints_of
from db.events import record_event
from db.instances.desired_state import ITS_ENDPOINT, ITS_JOB, set_desired
from db.instances.facts import instance_facts
from db.instances.instances import reserve_machine
from db.instances.ssh_ports import free_port
from db.instances.tables import Instance
from db.instances.warnings import add_warning
from db.jobs.tables import JobAttempt
from db.machines import leases
from db.machines.leases import LeaseKeys
from db.machines.tables import Lease
from db.notify import notify_instance
from db.sealing import Sealer
from db.session import now
from db.usage.spending import limits_of
from domain.accounts.phases import KeyStatus
from domain.holders import instance_holder
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceFacts
from domain.lifecycles import LIFECYCLES
from domain.refusals import GpuLimitReached, NoOfferFree, SpendingCapReached
from domain.workflow_contracts import endpoint_workflow_id, instance_workflow_id, job_workflow_id, machine_workflow_id
from failpoints import Failpoint, hit
from settings import Settings
from workflow_client.client import WorkflowClient


class StatusChange(BaseModel):
    """A change of an instance that people are told about. `warning`: what its owner has to know beside that, once."""

    instance_id: int
    status: InstanceStatus
    message: str = ""
    warning: str = ""


class ReleaseRequest(BaseModel):
    """Which instance needs which lease no longer."""

    lease_id: str
    instance_id: int


class InstanceActivities:
    def __init__(self, providers: Providers, market: Market, workflows: WorkflowClient) -> None:
        self._providers = providers
        self._database = providers.database
        self._market = market
        self._workflows = workflows

    @activity.defn
    async def look_at_instance(self, instance_id: int) -> InstanceFacts:
        """Read everything that the next step depends on."""
        async with self._database.begin() as session:
            return await facts_now(session, await session.get_one(Instance, instance_id), self._providers.settings)

    @activity.defn
    async def reserve_machine(self, instance_id: int) -> None:
        """Reserve the best free offer for the instance; its MachineWorkflow is started by the next step.

        An attempt that finds what an earlier one reserved, and could not say, leaves it so.

        Raises:
            Final: NO_OFFERS, SPENDING_CAP, NOT_WANTED. Nothing is reserved then.
        """
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id)
            _see_it_is_wanted(instance)
            key = await session.get_one(ProviderKey, instance.provider_key_id)
        if key.status is KeyStatus.REFUSED:
            raise Final(Fault.KEY_REFUSED, "The cloud refuses the key; save a working one in the settings.")
        query = InstanceSpec.model_validate(instance.spec).query
        with provider_errors():
            offers = await self._market.offers(key, query)
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            _see_it_is_wanted(instance)
            limits = await limits_of(session, instance.user_id, self._providers.default_limits)
            try:
                await reserve_machine(
                    session, instance, account_of(key), offers, lease_keys(self._providers.sealer), limits
                )
            except NoOfferFree as error:
                raise Final(Fault.NO_OFFERS, str(error)) from error
            except (SpendingCapReached, GpuLimitReached) as error:
                raise Final(Fault.SPENDING_CAP, str(error)) from error
        await hit(Failpoint.RESERVED_AGAIN)

    @activity.defn
    async def start_machine(self, lease_id: str) -> None:
        """See that the lease's MachineWorkflow runs."""
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, lease_id)
        await self._workflows.start_machine(lease_id, machine_summary(lease), leases.holder_of(lease))

    @activity.defn
    async def request_release(self, request: ReleaseRequest) -> InstanceFacts:
        """The instance wants this lease no longer: say so in the row, then to its MachineWorkflow.

        Ignored when the lease serves another holder by now. Returns what the next step depends on.
        """
        async with self._database.begin() as session:
            await leases.request_release(session, request.lease_id, instance_holder(request.instance_id))
            instance = await session.get_one(Instance, request.instance_id)
            facts = await facts_now(session, instance, self._providers.settings)
        await hit(Failpoint.REQUEST_RELEASE)
        await self._workflows.changed(machine_workflow_id(request.lease_id), "its instance needs it no longer")
        return facts

    @activity.defn
    async def request_destroy(self, instance_id: int) -> None:
        """Nobody needs the instance any more: that goes to its row first, then to its workflow."""
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            await set_desired(session, instance, Desired.DESTROYED, by=ITS_ENDPOINT, why="Its model is over.")
        await self._workflows.changed(instance_workflow_id(instance_id), "it shall be destroyed")

    @activity.defn
    async def record_instance(self, change: StatusChange) -> InstanceFacts:
        """Write an instance's new status, and tell who lives by it: its endpoint, its job.

        They are told again where it was written already: whoever wrote it may have died before telling them.
        Returns what the next step depends on.
        """
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, change.instance_id, with_for_update=True)
            if not instance.status.is_over:
                await _write_status(session, instance, change)
            followers = await _followers(session, instance)
            facts = await facts_now(session, instance, self._providers.settings)
        await hit(Failpoint.INSTANCE_RECORDED)
        with each_alone() as alone:
            for workflow_id in followers:
                with alone:
                    await self._workflows.changed(workflow_id, f"its instance is {facts.status.value}")
        return facts


def _see_it_is_wanted(instance: Instance) -> None:
    if instance.desired is not Desired.RUNNING or instance.status.is_over:
        raise Final(Fault.NOT_WANTED, "no longer wanted")


async def facts_now(session: AsyncSession, instance: Instance, settings: Settings) -> InstanceFacts:
    """Everything that the next step of the instance depends on."""
    return await instance_facts(
        session, instance, attempts_allowed=settings.attempts_per_instance, wakes_allowed=settings.failed_wakes
    )


async def _followers(session: AsyncSession, instance: Instance) -> list[str]:
    """The flows that live by the instance's status. Those that had it destroyed wait for the end of that only."""
    is_going = instance.status is InstanceStatus.DESTROYING
    if is_going and instance.requested_by == ITS_JOB:
        return []
    job = await session.scalar(select(JobAttempt.job_id).where(JobAttempt.instance_id == instance.id))
    serves = LIFECYCLES[instance.kind].serves_endpoint
    endpoints = await open_endpoints_of(session, instance.id, but_closing=is_going) if serves else []
    return [*map(endpoint_workflow_id, endpoints), *([] if job is None else [job_workflow_id(job)])]


def lease_keys(sealer: Sealer) -> LeaseKeys:
    """A fresh SSH key for one machine: the public line, and the private one sealed."""
    private, public = generate_keypair()
    return LeaseKeys(public, sealer.seal(private, LEASE_KEY_PURPOSE))


def machine_summary(lease: Lease) -> str:
    return f"{lease.num_gpus}x {lease.gpu_name} at {lease.price_usd_per_hour:.3f} USD/h, offer {lease.offer_id}"


async def _write_status(session: AsyncSession, instance: Instance, change: StatusChange) -> None:
    present = await now(session)
    if instance.status is not change.status:
        await record_event(session, instance.user_id, f"instance:{instance.id}", change.status.value, change.message)
        instance.status_at = present
    instance.status, instance.message = change.status, change.message
    if change.status is not InstanceStatus.RUNNING:
        instance.idle_since = instance.will_pause_at = None
    if change.status is InstanceStatus.PAUSING:
        instance.warnings = []  # they were of the sleep before
    if change.warning and not any(change.warning in each for each in instance.warnings):
        await add_warning(session, instance, change.warning)
    await notify_instance(session, instance.id)
    if change.status is InstanceStatus.RUNNING and instance.running_at is None:
        instance.running_at = present
    if change.status.is_over:
        instance.ended_at = present
        await free_port(session, instance.id)
