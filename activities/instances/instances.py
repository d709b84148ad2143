"""An instance's rows: what is wanted, what it holds, what became of it."""

from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import Fault, Final, provider_errors
from activities.machines.machines import LEASE_KEY_PURPOSE
from clients.ssh import generate_keypair
from clouds.connections import Providers
from clouds.keys import account_of
from clouds.offers import Market
from db.accounts.tables import ProviderKey
from db.endpoints.deployments import deployments_of_instance, end_deployment
from db.events import record_event
from db.instances.facts import instance_facts
from db.instances.ssh_ports import free_port
from db.instances.tables import Instance
from db.jobs.tables import JobAttempt
from db.machines import leases
from db.machines.tables import Lease
from db.notify import notify_instance
from db.sealing import Sealer
from db.session import now
from db.usage.spending import limits_of
from domain.accounts.phases import KeyStatus
from domain.endpoints.phases import DeploymentStatus
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceFacts
from domain.refusals import GpuLimitReached, NoOfferFree, SpendingCapReached
from domain.workflow_contracts import deploy_workflow_id, instance_workflow_id, job_workflow_id, machine_workflow_id
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient


class StatusChange(BaseModel):
    """A change of an instance that people are told about."""

    instance_id: int
    status: InstanceStatus
    message: str = ""


class ReleaseRequest(BaseModel):
    """Which holder lets go of which lease."""

    lease_id: str
    instance_id: int


class InstanceActivities:
    def __init__(self, clouds: Providers, market: Market, workflows: WorkflowClient) -> None:
        self._clouds = clouds
        self._database = clouds.database
        self._market = market
        self._workflows = workflows

    @activity.defn
    async def look_at_instance(self, instance_id: int) -> InstanceFacts:
        """Read everything that the next step depends on."""
        settings = self._clouds.settings
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id)
            return await instance_facts(
                session,
                instance,
                attempts_allowed=settings.attempts_per_instance,
                wakes_allowed=settings.failed_wakes,
            )

    @activity.defn
    async def reserve_machine(self, instance_id: int) -> None:
        """Reserve the best free offer for the instance; its MachineWorkflow is started by the next step.

        An attempt that finds what an earlier one reserved, and could not say, leaves it so.

        Raises:
            Final: NO_OFFERS, SPENDING_CAP, NOT_WANTED. Nothing is reserved then.
        """
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id)
            key = await session.get_one(ProviderKey, instance.provider_key_id)
        if key.status is KeyStatus.REFUSED:
            raise Final(Fault.KEY_REFUSED, "The cloud refuses the key; save a working one in the settings.")
        query = InstanceSpec.model_validate(instance.spec).query
        with provider_errors():
            offers = await self._market.offers(key, query)
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            if instance.desired is not Desired.RUNNING or instance.status.is_over:
                raise Final(Fault.NOT_WANTED, "no longer wanted")
            limits = await limits_of(session, instance.user_id, self._clouds.default_limits)
            try:
                await leases.reserve(
                    session, instance, account_of(key), offers, lease_keys(self._clouds.sealer), limits
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
        await self._workflows.start_machine(lease_id, machine_summary(lease), int(lease.holder_id))

    @activity.defn
    async def request_release(self, parting: ReleaseRequest) -> None:
        """The instance wants this lease no longer: say so in the row, then to its MachineWorkflow.

        Ignored when the lease serves another holder by now.
        """
        async with self._database.begin() as session:
            await leases.request_release(session, parting.lease_id, ("instance", str(parting.instance_id)))
        await hit(Failpoint.REQUEST_RELEASE)
        await self._workflows.changed(machine_workflow_id(parting.lease_id))

    @activity.defn
    async def request_destroy(self, instance_id: int) -> None:
        """Nobody needs the instance any more: the wish goes to its row first, then to its workflow."""
        async with self._database.begin() as session:
            await session.execute(update(Instance).where(Instance.id == instance_id).values(desired=Desired.DESTROYED))
        await self._workflows.changed(instance_workflow_id(instance_id))

    @activity.defn
    async def record_instance(self, news: StatusChange) -> None:
        """Write an instance's new status, end what hung on it when it is over, and tell its deploys."""
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, news.instance_id, with_for_update=True)
            if instance.status.is_over:
                return
            await _write_news(session, instance, news)
            deployments = await deployments_of_instance(session, instance.id)
            job_id = await session.scalar(select(JobAttempt.job_id).where(JobAttempt.instance_id == instance.id))
            if news.status.is_over:
                for deployment in deployments:
                    if deployment.status is DeploymentStatus.READY:
                        await end_deployment(session, deployment.id, *_ending(deployment.wanted, news))
        for deployment in deployments:
            if deployment.status is DeploymentStatus.DEPLOYING:
                await self._workflows.changed(deploy_workflow_id(deployment.id))
        if job_id is not None:
            await self._workflows.changed(job_workflow_id(job_id))


def lease_keys(sealer: Sealer) -> tuple[str, str]:
    """A fresh SSH key for one machine: the public line, and the private one sealed."""
    private, public = generate_keypair()
    return public, sealer.seal(private, LEASE_KEY_PURPOSE)


def machine_summary(lease: Lease) -> str:
    return f"{lease.num_gpus}x {lease.gpu_name} at {lease.price_usd_per_hour:.3f} USD/h, offer {lease.offer_id}"


async def _write_news(session: AsyncSession, instance: Instance, news: StatusChange) -> None:
    present = await now(session)
    if instance.status is not news.status:
        await record_event(session, instance.user_id, f"instance:{instance.id}", news.status.value, news.message)
        instance.status_at = present
    instance.status, instance.message = news.status, news.message
    if news.status is not InstanceStatus.RUNNING:
        instance.idle_since = instance.will_pause_at = None
    if news.status is InstanceStatus.PAUSING:
        instance.warnings = []  # they were of the sleep before
    await notify_instance(session, instance.id)
    if news.status is InstanceStatus.RUNNING and instance.running_at is None:
        instance.running_at = present
    if news.status.is_over:
        instance.ended_at = present
        await free_port(session, instance.id)


def _ending(wanted: bool, news: StatusChange) -> tuple[DeploymentStatus, str]:
    if news.status is InstanceStatus.FAILED and wanted:
        return DeploymentStatus.FAILED, news.message
    return DeploymentStatus.STOPPED, "Stopped; its machine is released."
