"""A model server that dies is started again at the same address; one that dies again and again is given up."""

from functools import partial
from typing import Any

import asyncssh
import pytest
from temporalio.client import Client

from domain.workflow_contracts import endpoint_workflow_id
from failpoints import Failpoint
from settings import Settings
from tests.system.running import Running, until
from tests.system.servers import KILL, STOP, answers, server_of, serves_again, shell, timeline
from workflow_client.client import connect


async def ready(system: Running) -> dict[str, Any]:
    return await system.ready((await system.deploy())["id"])


async def at_server(system: Running, deployment: dict[str, Any], state: str) -> bool | None:
    return (await system.status(deployment["id"]))["endpoint_state"] == state or None


async def test_a_server_that_dies_is_started_again_and_answers_at_the_same_address(system: Running) -> None:
    deployment = await ready(system)
    before = await server_of(system, deployment)
    await shell(system, deployment, KILL)
    said = await serves_again(system, deployment)
    assert set(said) <= {"served", "starting", "model_server_unreachable", "model_server_broke_off"}
    assert await server_of(system, deployment) != before
    status = await system.status(deployment["id"])
    assert (status["status"], status["endpoint_state"], status["restarts"]) == ("ready", "ready", 1)
    seen = [kind for kind in await timeline(system, deployment) if kind != "reloading"]  # its port goes before it does
    assert seen[-3:] == ["ready", "down", "ready"]
    await system.alive(1)


@pytest.mark.long
async def test_a_server_that_dies_while_nobody_asks_is_started_again_too(system: Running) -> None:
    deployment = await ready(system)
    before = await server_of(system, deployment)
    await shell(system, deployment, KILL)

    async def another() -> bool | None:
        status = await system.status(deployment["id"])
        return (status["restarts"] == 1 and status["endpoint_state"] == "ready") or None

    await until(another, 40, "the server to be started again")
    assert await server_of(system, deployment) != before
    assert await answers(system, deployment) == "served"


@pytest.mark.long
async def test_a_server_that_hangs_is_ended_and_started_again(system: Running) -> None:
    deployment = await ready(system)
    before = await server_of(system, deployment)
    await shell(system, deployment, STOP)
    await until(lambda: at_server(system, deployment, "down"), 90, "the silence to be noticed")
    await serves_again(system, deployment, 60)
    assert await server_of(system, deployment) != before


@pytest.mark.long
async def test_a_machine_that_its_host_restarts_has_its_server_up_again(system: Running) -> None:
    deployment = await ready(system)
    (machine,) = await system.machines()
    before = await server_of(system, deployment)
    await system.simulator.post(f"/simulator/machines/{machine['id']}/restart")

    async def another() -> bool | None:
        try:
            return await server_of(system, deployment) not in ("", before) or None
        except (OSError, asyncssh.Error):
            return None  # it is on its way down or up

    await until(another, 40, "the machine to be back, with a server")
    await serves_again(system, deployment)
    assert (await system.status(deployment["id"]))["status"] == "ready"
    assert [row["id"] for row in await system.alive(1)] == [machine["id"]]


@pytest.mark.long
async def test_a_server_that_dies_again_and_again_is_given_up_with_the_reason(system: Running) -> None:
    deployment = await ready(system)
    await system.fault("machine:model_server", "crashes", times=None)
    await shell(system, deployment, KILL)

    async def over() -> dict[str, Any] | None:
        status = await system.status(deployment["id"])
        return None if status["status"] == "ready" else status

    status = await until(over, 60, "the endpoint to be given up")
    assert status["status"] == "failed"
    assert "3 times in a row" in status["message"]
    assert "Engine core initialization failed" in status["message"]
    await system.alive(0)
    assert (await system.api.get(deployment["endpoint"] + "/v1/models")).status_code == 404
    assert (await timeline(system, deployment))[-1] == "failed"


@pytest.mark.long
@pytest.mark.parametrize("point", [Failpoint.SERVER_DOWN, Failpoint.SERVER_STARTED, Failpoint.PUBLISHED])
async def test_kill_9_of_the_worker_in_the_middle_of_a_restart_costs_time_only(
    system: Running, point: Failpoint
) -> None:
    deployment = await ready(system)
    before = await server_of(system, deployment)
    reached = system.order(point, "kill")
    await shell(system, deployment, KILL)
    await until(lambda: _exists(reached), 30, f"the worker to be at {point}")
    await serves_again(system, deployment, 60)
    assert await server_of(system, deployment) != before
    await system.alive(1)


@pytest.mark.long
async def test_a_cancel_and_a_terminate_click_on_the_endpoint_lose_nothing(system: Running) -> None:
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    deployment = await ready(system)
    handle: Any = temporal.get_workflow_handle(endpoint_workflow_id(deployment["endpoint_id"]))
    before = (await handle.describe()).run_id
    await handle.cancel()  # which has it look again, and ends nothing
    assert await answers(system, deployment) == "served"
    assert (await handle.describe()).run_id == before
    await handle.terminate()
    await until(partial(_runs_anew, temporal, handle.id, before), 30, "another run")
    assert await answers(system, deployment) == "served"
    await shell(system, deployment, KILL)
    await serves_again(system, deployment)


async def test_an_endpoint_that_serves_writes_no_history(system: Running) -> None:
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    deployment = await ready(system)
    assert await answers(system, deployment) == "served"
    handle: Any = temporal.get_workflow_handle(endpoint_workflow_id(deployment["endpoint_id"]))

    async def watched() -> int | None:
        pending = (await handle.describe()).raw_description.pending_activities
        return pending[0].attempt if pending and pending[0].attempt > 1 else None

    attempt = await until(watched, 20, "the second look")
    before = (await handle.describe()).history_length

    async def looked_at_more() -> bool | None:
        later = await watched()
        return (later is not None and later >= attempt + 4) or None

    await until(looked_at_more, 30, "four more looks")
    assert (await handle.describe()).history_length == before


async def _runs_anew(temporal: Client, workflow_id: str, before: str) -> bool | None:
    described = await temporal.get_workflow_handle(workflow_id).describe()
    status = described.status
    return (status is not None and status.name == "RUNNING" and described.run_id != before) or None


async def _exists(path: Any) -> bool | None:
    return path.exists() or None
