"""An endpoint's rows: what its workflow records, and that nothing brings back what its owner has closed."""

import secrets
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from temporalio.exceptions import ApplicationError

from activities.endpoints.endpoints import EndpointActivities, EndpointEnding, EndpointNews, ServerDown
from db.endpoints import deployments, endpoints
from db.endpoints.endpoints import Served
from db.endpoints.tables import Endpoint
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.endpoints.looks import ServerSeen
from domain.endpoints.phases import (
    AccessType,
    DeploymentStage,
    DeploymentStatus,
    EndpointState,
    ModelType,
    ServerTrouble,
)
from domain.endpoints.plans import plan_serving
from domain.endpoints.steps import EndpointFacts, EndpointStep, next_endpoint_step
from domain.instances.instances import InstanceSpec
from domain.instances.phases import InstanceStatus
from domain.machines.phases import LeaseState
from domain.market.offers import OfferQuery
from settings import Settings
from tests.db.ledger import Ledger, offer

SETTINGS = Settings(server_restarts=5, server_restart_pause_seconds=5, server_steady_seconds=600)


class Life:
    """One endpoint, and what happens to it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.database: Database = ledger.database
        self.record = EndpointActivities(self.database, SETTINGS)
        self.id = ""

    async def begin(self) -> None:
        plan = plan_serving(ModelType.LLM, "org/model-1B")
        async with self.database.begin() as session:
            _, _, endpoint, _ = await deployments.create_deployment(
                session,
                Sealer("a secret of these tests that is long enough"),
                user_id=self.ledger.user_id,
                provider_key_id=self.ledger.key_id,
                spec=InstanceSpec(query=OfferQuery()),
                plan=plan,
                access_type=AccessType.PUBLIC,
            )
        self.id = endpoint.id

    async def rows(self) -> Served:
        async with self.database.begin() as session:
            return await endpoints.read(session, self.id)

    async def facts(self) -> EndpointFacts:
        return await self.record.look_at_endpoint(self.id)

    async def step(self) -> EndpointStep:
        return next_endpoint_step(await self.facts())

    async def machine(self) -> str:
        """A machine runs for it from now on; its lease."""
        instance = (await self.rows()).instance
        lease = await self.ledger.reserve([offer(secrets.randbelow(1 << 40))], instance.id)
        async with self.database.begin() as session:
            await session.execute(update(Lease).where(Lease.id == lease.id).values(state=LeaseState.RUNNING))
            running = InstanceStatus.RUNNING
            await session.execute(update(Instance).where(Instance.id == instance.id).values(status=running))
        return str(lease.id)

    async def become(self, state: EndpointState, lease_id: str | None) -> None:
        async with self.database.begin() as session:
            endpoint = (await endpoints.read(session, self.id, lock=True)).endpoint
            await endpoints.become(session, endpoint, state, lease_id)

    async def serve(self) -> str:
        lease_id = await self.machine()
        await self.become(EndpointState.LOADING, lease_id)
        await self.record.publish_endpoint(self.news)
        return lease_id

    async def fail(self) -> None:
        down = ServerDown(endpoint_id=self.id, trouble=ServerTrouble.ENDED, why="The model server ended: boom")
        await self.record.record_down(down)

    async def stop(self) -> None:
        async with self.database.begin() as session:
            await deployments.stop(session, self.id, "Stopped by its owner.")

    async def pass_time(self, by: timedelta) -> None:
        """Since it became what it is."""
        async with self.database.begin() as session:
            since = func.clock_timestamp() - by
            await session.execute(update(Endpoint).where(Endpoint.id == self.id).values(state_at=since))

    @property
    def news(self) -> EndpointNews:
        return EndpointNews(endpoint_id=self.id, stage=DeploymentStage.PUBLISHING, message="It answers.")


@pytest.fixture
async def life(ledger: Ledger) -> Life:
    made = Life(ledger)
    await made.begin()
    return made


async def test_from_an_order_to_a_server_that_is_watched(life: Life) -> None:
    assert await life.step() is EndpointStep.AWAIT_MACHINE
    lease_id = await life.machine()
    assert await life.step() is EndpointStep.START_SERVER
    await life.become(EndpointState.LOADING, lease_id)
    assert await life.step() is EndpointStep.AWAIT_MODEL
    before = (await life.rows()).endpoint.version
    await life.record.publish_endpoint(life.news)
    assert await life.step() is EndpointStep.WATCH
    rows = await life.rows()
    assert (rows.endpoint.version, rows.deployment.status) == (before + 1, DeploymentStatus.READY)


async def test_a_failure_counts_once_and_the_order_stays_ready(life: Life) -> None:
    await life.serve()
    for _ in range(3):  # tries of one activity
        await life.fail()
    rows = await life.rows()
    assert (rows.endpoint.state, rows.endpoint.failures) == (EndpointState.DOWN, 1)
    assert (rows.deployment.status, rows.deployment.message) == (DeploymentStatus.READY, "The model server ended: boom")
    assert await life.step() is EndpointStep.START_SERVER


async def test_failures_in_a_row_add_up_and_a_steady_server_begins_anew(life: Life) -> None:
    lease_id = await life.serve()
    for number in range(1, 4):
        await life.fail()
        assert (await life.facts()).failures == number
        await life.become(EndpointState.READY, lease_id)
    await life.fail()
    assert 10 < (await life.facts()).restart_in <= 20
    assert await life.step() is EndpointStep.WAIT_TO_RESTART
    await life.pass_time(timedelta(seconds=21))
    assert await life.step() is EndpointStep.START_SERVER
    await life.become(EndpointState.READY, lease_id)
    await life.pass_time(timedelta(seconds=601))
    await life.fail()
    assert (await life.facts()).failures == 1


async def test_a_lost_machine_is_no_failure_of_the_server(life: Life) -> None:
    await life.serve()
    async with life.database.begin() as session:
        instance = (await endpoints.read(session, life.id)).instance
        instance.status = InstanceStatus.PROVISIONING
    assert await life.step() is EndpointStep.LEAVE_MACHINE
    await life.record.leave_machine(life.id)
    rows = await life.rows()
    assert (rows.endpoint.state, rows.endpoint.lease_id, rows.endpoint.failures) == (EndpointState.STARTING, None, 0)
    assert await life.step() is EndpointStep.AWAIT_MACHINE


async def test_nothing_brings_back_what_its_owner_has_stopped(life: Life) -> None:
    await life.serve()
    await life.stop()
    await life.fail()
    await life.record.record_reloading(life.id)
    await life.record.leave_machine(life.id)
    await life.record.record_stage(life.news)
    with pytest.raises(ApplicationError, match="no longer wanted"):
        await life.record.publish_endpoint(life.news)
    await life.record.give_up_endpoint(EndpointEnding(endpoint_id=life.id, reason="It failed.", stopped=False))
    rows = await life.rows()
    assert (rows.endpoint.state, rows.endpoint.lease_id) == (EndpointState.CLOSING, None)
    assert (rows.deployment.status, rows.deployment.message) == (DeploymentStatus.STOPPED, "Stopped by its owner.")
    assert await life.step() is EndpointStep.RELEASE
    assert await life.record.conclude_endpoint(life.id) is DeploymentStatus.STOPPED
    assert await life.step() is EndpointStep.NOTHING


@pytest.mark.parametrize(("stopped", "status"), [(True, DeploymentStatus.STOPPED), (False, DeploymentStatus.FAILED)])
async def test_it_says_that_it_is_over_only_at_the_end(life: Life, stopped: bool, status: DeploymentStatus) -> None:
    await life.serve()
    await life.record.give_up_endpoint(EndpointEnding(endpoint_id=life.id, reason="That is why.", stopped=stopped))
    assert (await life.rows()).deployment.status is DeploymentStatus.READY
    for _ in range(2):
        assert await life.record.conclude_endpoint(life.id) is status
    rows = await life.rows()
    assert (rows.deployment.message, rows.endpoint.state) == ("That is why.", EndpointState.CLOSED)


async def test_silent_looks_are_counted_by_the_databases_clock(life: Life) -> None:
    await life.serve()

    async def look(seen: ServerSeen) -> int:
        async with life.database.begin() as session:
            return await endpoints.note_look(session, (await endpoints.read(session, life.id)).endpoint, seen, 15.0)

    assert [await look(ServerSeen.SILENT) for _ in range(3)] == [1, 2, 3]
    async with life.database.begin() as session:
        hour_ago = func.clock_timestamp() - timedelta(hours=1)
        await session.execute(update(Endpoint).where(Endpoint.id == life.id).values(looked_at=hour_ago))
    assert await look(ServerSeen.SILENT) == 1
    assert await look(ServerSeen.HEALTHY) == 0
