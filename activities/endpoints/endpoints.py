"""An endpoint's rows, as its workflow lives by them: what it is now, and what became of its server."""

from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import Fault, Final
from db.endpoints import deployments, endpoints
from db.endpoints.facts import endpoint_facts, running_machine
from db.session import Database
from domain.endpoints.phases import DeploymentStage, DeploymentStatus, EndpointState, ServerTrouble
from domain.endpoints.steps import EndpointFacts
from failpoints import Failpoint, hit
from settings import Settings


class EndpointNews(BaseModel):
    """How far an endpoint's server is. `phase_timings_ms`: of the way to its first `ready`."""

    endpoint_id: str
    stage: DeploymentStage
    message: str
    phase_timings_ms: dict[str, int] = {}


class ServerDown(BaseModel):
    """Its server does not serve, and why; `why` is a sentence."""

    endpoint_id: str
    trouble: ServerTrouble
    why: str


class EndpointEnding(BaseModel):
    """Why an endpoint ends. `stopped`: somebody wanted that."""

    endpoint_id: str
    reason: str
    stopped: bool


class EndpointActivities:
    """Nothing here brings back an endpoint that its owner has closed meanwhile."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    @activity.defn
    async def look_at_endpoint(self, endpoint_id: str) -> EndpointFacts:
        """Read everything that the next step depends on."""
        async with self._database.begin() as session:
            return await self._facts(session, endpoint_id)

    async def _facts(self, session: AsyncSession, endpoint_id: str) -> EndpointFacts:
        return await endpoint_facts(
            session,
            endpoint_id,
            failures_allowed=self._settings.server_restarts,
            first_pause=self._settings.server_restart_pause_seconds,
        )

    @activity.defn
    async def record_stage(self, news: EndpointNews) -> None:
        """Write how far it is, for lists and for when no worker answers."""
        async with self._database.begin() as session:
            endpoint, deployment, _ = await endpoints.read(session, news.endpoint_id, lock=True)
            if endpoint.state.is_open:
                deployment.stage, deployment.message = news.stage, news.message
                deployment.phase_timings_ms = dict(news.phase_timings_ms)

    @activity.defn
    async def publish_endpoint(self, news: EndpointNews) -> EndpointFacts:
        """Its server is well: from here the gateway sends it requests. Returns what the next step depends on."""
        async with self._database.begin() as session:
            endpoint, deployment, instance = await endpoints.read(session, news.endpoint_id, lock=True)
            machine = await running_machine(session, instance)
            if not endpoint.state.is_open or machine is None or machine.id != endpoint.lease_id:
                raise Final(Fault.NOT_WANTED, "no longer wanted there")
            deployment.phase_timings_ms = dict(news.phase_timings_ms)
            await deployments.mark_ready(session, deployment)
            await endpoints.become(session, endpoint, EndpointState.READY, machine.id)
            await endpoints.tell_owner(session, endpoint, "ready", f"The model answers on {machine.gpu_name}.")
            facts = await self._facts(session, endpoint.id)
        await hit(Failpoint.PUBLISHED)
        return facts

    @activity.defn
    async def record_down(self, down: ServerDown) -> None:
        """Its server does not serve (any more): no more requests go there, and it counts as a failure, once."""
        steady = timedelta(seconds=self._settings.server_steady_seconds)
        async with self._database.begin() as session:
            endpoint, deployment, _ = await endpoints.read(session, down.endpoint_id, lock=True)
            if not endpoint.state.is_open or endpoint.state is EndpointState.DOWN:
                return
            await endpoints.go_down(session, endpoint, down.trouble, down.why, steady)
            deployment.message = down.why
            if deployment.status is DeploymentStatus.READY:
                deployment.stage = DeploymentStage.STARTING_SERVER
            await endpoints.tell_owner(session, endpoint, "down", down.why)
        await hit(Failpoint.SERVER_DOWN)

    @activity.defn
    async def record_reloading(self, endpoint_id: str) -> None:
        """Its machine was started again, and its server with it: it loads its model once more."""
        why = "Its machine was started again; the model server is loading the model once more."
        async with self._database.begin() as session:
            endpoint, deployment, _ = await endpoints.read(session, endpoint_id, lock=True)
            if endpoint.state is not EndpointState.READY:
                return
            await endpoints.become(session, endpoint, EndpointState.LOADING, endpoint.lease_id)
            deployment.stage, deployment.message = DeploymentStage.LOADING_MODEL, why
            await endpoints.tell_owner(session, endpoint, "reloading", why)

    @activity.defn
    async def leave_machine(self, endpoint_id: str) -> None:
        """The machine under its server is gone, or another one: it has no server until there is one again."""
        async with self._database.begin() as session:
            endpoint, deployment, instance = await endpoints.read(session, endpoint_id, lock=True)
            if not endpoint.state.is_open or endpoint.state is EndpointState.STARTING:
                return
            await endpoints.become(session, endpoint, EndpointState.STARTING, None)
            why = f"The machine under the model server is no longer there; {_waits_for(instance.message)}"
            deployment.stage, deployment.message = DeploymentStage.PROVISIONING, why
            await endpoints.tell_owner(session, endpoint, "machine_lost", why)

    @activity.defn
    async def give_up_endpoint(self, ending: EndpointEnding) -> None:
        """Its address is void from here; it is over once its machine is released."""
        async with self._database.begin() as session:
            endpoint, deployment, _ = await endpoints.read(session, ending.endpoint_id, lock=True)
            if not endpoint.state.is_open:
                return
            deployment.message = ending.reason
            deployment.wanted = deployment.wanted and not ending.stopped
            await endpoints.become(session, endpoint, EndpointState.CLOSING, None)

    @activity.defn
    async def conclude_endpoint(self, endpoint_id: str) -> DeploymentStatus:
        """The order is over, and the endpoint closed."""
        async with self._database.begin() as session:
            endpoint, deployment, _ = await endpoints.read(session, endpoint_id, lock=True)
            if endpoint.state is not EndpointState.CLOSED:
                await deployments.mark_ended(session, deployment)
                await endpoints.become(session, endpoint, EndpointState.CLOSED, None)
                await endpoints.tell_owner(session, endpoint, deployment.status.value, deployment.message)
            return deployment.status


def _waits_for(said: str) -> str:
    return f"it waits for another one ({said})." if said else "it waits for another one."
