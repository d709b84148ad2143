"""The model server on a deployment's machine: start it over SSH, see it healthy, publish it."""

from asyncssh import SSHClientConnection
from pydantic import BaseModel
from temporalio import activity

from activities.endpoints.serve_script import SCRIPT, installing
from activities.errors import Fault, Final, NotYet, ssh_errors
from activities.machines.machines import MachineActivities
from clients.ssh import CommandTimedOut, PortClosed, SshTarget, SshUnreachable, connect, http_get, run
from db.endpoints.deployments import ENDPOINT_KEY_PURPOSE, end_deployment, plan_of, publish
from db.endpoints.tables import Deployment, Endpoint
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.endpoints.phases import DeploymentStage, DeploymentStatus
from domain.endpoints.plans import ServePlan
from domain.instances.phases import InstanceStatus
from domain.machines.phases import LeaseState
from failpoints import Failpoint, hit

SSH_DEADLINE = 15.0
HEALTH_PAUSE = 0.3
"""Seconds between looks at a server that is loading: one SSH connection each, cheap beside minutes of loading."""


class DeployFacts(BaseModel):
    """What a deploy lives by. `lease_id` is there only while the instance runs on a machine."""

    wanted: bool
    status: DeploymentStatus
    instance_status: InstanceStatus
    instance_message: str
    lease_id: str | None
    summary: str


class DeployNews(BaseModel):
    deployment_id: str
    stage: DeploymentStage
    message: str
    phase_timings_ms: dict[str, int] = {}


class DeployEnding(BaseModel):
    deployment_id: str
    status: DeploymentStatus
    message: str
    phase_timings_ms: dict[str, int] = {}


class ModelActivities:
    def __init__(self, database: Database, sealer: Sealer, machines: MachineActivities) -> None:
        self._database = database
        self._sealer = sealer
        self._machines = machines

    @activity.defn
    async def look_at_deploy(self, deployment_id: str) -> DeployFacts:
        async with self._database.begin() as session:
            deployment = await session.get_one(Deployment, deployment_id)
            instance = await session.get_one(Instance, deployment.instance_id)
        running = instance.status is InstanceStatus.RUNNING
        return DeployFacts(
            wanted=deployment.wanted,
            status=deployment.status,
            instance_status=instance.status,
            instance_message=instance.message,
            lease_id=instance.lease_id if running else None,
            summary=f"{deployment.model_id} on instance {instance.id}",
        )

    @activity.defn
    async def start_model_server(self, deployment_id: str) -> None:
        """Put the model server on the machine and start it, detached; one that runs already is left alone."""
        deployment, target, key = await self._machine_of(deployment_id)
        plan = plan_of(deployment, self._sealer)
        with ssh_errors(HEALTH_PAUSE):
            async with await connect(target, timeout=SSH_DEADLINE) as connection:
                try:
                    done = await run(connection, installing(plan), input=key, timeout=SSH_DEADLINE)
                except CommandTimedOut as error:
                    raise NotYet("the machine is slow to start the model server", 1.0) from error
        await hit(Failpoint.SERVER_STARTED)
        if done.exit_code != 0:
            raise Final(Fault.MODEL_FAILED, f"the model server could not be started: {done.stderr.strip()[-300:]}")

    @activity.defn
    async def await_model(self, deployment_id: str) -> None:
        """Pass when the server is healthy; be called again while it loads; end when its process has ended."""
        deployment, target, key = await self._machine_of(deployment_id)
        plan = ServePlan.model_validate(deployment.plan)
        with ssh_errors(HEALTH_PAUSE):
            async with await connect(target, timeout=SSH_DEADLINE) as connection:
                if await _is_healthy(connection, plan, key):
                    return await hit(Failpoint.MODEL_HEALTHY)
                said = await run(connection, f"{SCRIPT} status", timeout=SSH_DEADLINE)
        if said.stdout.startswith("exited"):
            raise Final(Fault.MODEL_FAILED, f"the model server ended: {_last_line(said.stdout)}")
        raise NotYet("the model is loading", HEALTH_PAUSE)

    @activity.defn
    async def publish_model(self, news: DeployNews) -> None:
        """Point the endpoint at the machine; from here the gateway sends it requests."""
        async with self._database.begin() as session:
            deployment = await session.get_one(Deployment, news.deployment_id)
            instance = await session.get_one(Instance, deployment.instance_id)
            deployment.phase_timings_ms = dict(news.phase_timings_ms)
            if instance.lease_id is None or not await publish(session, deployment.id, instance.lease_id):
                raise Final(Fault.NOT_WANTED, "no longer wanted")
        await hit(Failpoint.PUBLISHED)

    @activity.defn
    async def record_stage(self, news: DeployNews) -> None:
        """Write how far a deploy is, for lists and for when no worker answers."""
        async with self._database.begin() as session:
            deployment = await session.get_one(Deployment, news.deployment_id, with_for_update=True)
            if not deployment.status.is_over:
                deployment.stage, deployment.message = news.stage, news.message
                deployment.phase_timings_ms = dict(news.phase_timings_ms)

    @activity.defn
    async def record_deploy_ending(self, ending: DeployEnding) -> None:
        async with self._database.begin() as session:
            deployment = await session.get_one(Deployment, ending.deployment_id)
            deployment.phase_timings_ms = dict(ending.phase_timings_ms)
            await end_deployment(session, ending.deployment_id, ending.status, ending.message)

    async def _machine_of(self, deployment_id: str) -> tuple[Deployment, SshTarget, str]:
        """The machine that serves the deployment now, and the server's key. Final when there is none any more."""
        async with self._database.begin() as session:
            deployment = await session.get_one(Deployment, deployment_id)
            instance = await session.get_one(Instance, deployment.instance_id)
            endpoint = await session.get_one(Endpoint, deployment.endpoint_id)
            lease = None if instance.lease_id is None else await session.get_one(Lease, instance.lease_id)
        if not deployment.wanted:
            raise Final(Fault.NOT_WANTED, "no longer wanted")
        if lease is None or lease.state is not LeaseState.RUNNING or not lease.wanted:
            raise Final(Fault.MACHINE_LOST, "the machine was lost while the model was starting")
        key = self._sealer.open(endpoint.sealed_upstream_key, ENDPOINT_KEY_PURPOSE)
        return deployment, self._machines.target(lease), key


async def _is_healthy(connection: SSHClientConnection, plan: ServePlan, key: str) -> bool:
    """Whether the server says that it is well, and lists models to our key."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        for path in ("/health", "/v1/models"):
            status, _ = await http_get(connection, plan.port, path, headers, timeout=SSH_DEADLINE)
            if status != 200:
                return False
    except (PortClosed, SshUnreachable, TimeoutError):
        return False  # no answer on that port; if SSH itself is gone, the next command on it says so
    return True


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if len(lines) > 1 else "it left no log"
