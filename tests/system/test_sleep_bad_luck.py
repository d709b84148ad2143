"""Instances that sleep and wake while everything goes wrong: nothing is lost, nothing runs that nobody wants."""

import asyncio
import secrets
from typing import Any

import pytest

from domain import workflow_contracts
from failpoints import Failpoint
from tests.long_runs import only_long
from tests.system.running import Running, until

MANAGE = "PUT /api/v0/instances/"


async def paused(system: Running, **changes: Any) -> dict[str, Any]:
    """An instance that is paused, its files saved."""
    made = await system.create(**changes)
    await system.becomes(made["id"], "running")
    await system.ask(made["id"], "pause", 202)
    return await system.becomes(made["id"], "paused")


async def status_of(system: Running, cloud_id: int) -> str:
    return str((await system.machine(cloud_id))["actual_status"])


async def by_hand(system: Running, cloud_id: int, state: str) -> None:
    """As its owner would in the cloud's own console."""
    key = {"Authorization": f"Bearer {system.addresses['simulator_api_key']}"}
    answer = await system.simulator.put(f"/api/v0/instances/{cloud_id}/", json={"state": state}, headers=key)
    assert answer.json()["success"], answer.text


@pytest.mark.long
async def test_a_stop_that_answers_well_and_does_nothing_is_asked_again(system: Running) -> None:
    made = await system.create()
    running = await system.becomes(made["id"], "running")
    await system.fault(MANAGE, "ignored", match="stopped", times=2)
    await system.ask(made["id"], "pause", 202)
    await system.becomes(made["id"], "paused", 90)
    assert await status_of(system, running["provider_id"]) in ("exited", "stopped")


@pytest.mark.long
@pytest.mark.parametrize("fault", ["drop_after_commit", *only_long("drop_before_commit", "garbage")])
async def test_lost_answers_to_stops_and_starts_cost_time_only(system: Running, fault: str) -> None:
    made = await system.create()
    await system.becomes(made["id"], "running")
    await system.fault(MANAGE, fault, match="stopped")
    await system.fault(MANAGE, fault, match="running")
    await system.ask(made["id"], "pause", 202)
    await system.becomes(made["id"], "paused")
    assert (await system.ask(made["id"], "wake", 200))["status"] == "running"
    await system.alive(1)


@pytest.mark.long
async def test_started_in_the_clouds_console_it_runs(system: Running) -> None:
    asleep = await paused(system)
    await by_hand(system, asleep["provider_id"], "running")
    await system.becomes(asleep["id"], "running")
    assert "resume" not in await system.events(asleep["id"])


@pytest.mark.long
async def test_stopped_in_the_clouds_console_it_is_paused_and_keeps_its_machine(system: Running) -> None:
    made = await system.create()
    running = await system.becomes(made["id"], "running")
    await by_hand(system, running["provider_id"], "stopped")
    asleep = await system.becomes(made["id"], "paused")
    assert asleep["provider_id"] == running["provider_id"]
    assert any("not by us" in each for each in asleep["warnings"])
    assert (await system.ask(made["id"], "wake", 200))["status"] == "running"


@pytest.mark.parametrize("point", [Failpoint.STOP_ASKED, *only_long(Failpoint.POWER_REQUESTED, Failpoint.STOP_MARKED)])
async def test_kill_9_on_the_way_to_sleep(system: Running, point: Failpoint) -> None:
    made = await system.create()
    await system.becomes(made["id"], "running")
    reached = system.order(point, "kill")
    await system.ask(made["id"], "pause", 202)
    await system.becomes(made["id"], "paused", 90)
    assert await asyncio.to_thread(reached.exists)
    await system.alive(1)


@pytest.mark.long
@pytest.mark.parametrize(
    "point", [Failpoint.START_ASKED, *only_long(Failpoint.POWER_REQUESTED, Failpoint.START_MARKED)]
)
async def test_kill_9_on_the_way_back(system: Running, point: Failpoint) -> None:
    asleep = await paused(system)
    reached = system.order(point, "kill")
    assert (await system.ask(asleep["id"], "wake", 200))["status"] == "running"
    assert await asyncio.to_thread(reached.exists)
    await system.alive(1)


@pytest.mark.long
async def test_a_terminate_click_on_every_flow_of_a_sleeper(system: Running) -> None:
    from settings import Settings
    from workflow_client.client import connect

    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    asleep = await paused(system)
    async for each in temporal.list_workflows("ExecutionStatus = 'Running' AND DumontKind IN ('instance', 'machine')"):
        await temporal.get_workflow_handle(each.id).terminate()
    assert (await system.ask(asleep["id"], "wake", 200))["status"] == "running"
    await temporal.get_workflow_handle(workflow_contracts.instance_workflow_id(asleep["id"])).terminate()
    await system.ask(asleep["id"], "pause", 202)
    await system.becomes(asleep["id"], "paused", 60)


async def test_fifty_wakes_at_once_are_one(system: Running) -> None:
    asleep = await paused(system)

    async def woken() -> str:
        """Asked again where the api had too much to do, which it says."""
        return str((await system.ask(asleep["id"], "wake", 200))["status"])

    assert set(await asyncio.gather(*(until(woken, 60, "the answer to a wake") for _ in range(50)))) == {"running"}
    assert (await system.events(asleep["id"])).count("wake") == 1
    await system.alive(1)


async def test_wishes_all_at_once_end_in_one_state(system: Running) -> None:
    made = await system.create(label=secrets.token_hex(4))
    await system.becomes(made["id"], "running")
    verbs = ["pause", "wake?wait=false", "pause", "resume", "hibernate", "pause"]
    await asyncio.gather(*(system.api.post(f"/instances/{made['id']}/{verb}") for verb in verbs))
    await system.api.post(f"/instances/{made['id']}/wake")
    await system.becomes(made["id"], "running", 90)
    await system.alive(1)


@pytest.mark.long
async def test_a_machine_that_disappears_while_it_is_stopped(system: Running) -> None:
    asleep = await paused(system)
    await system.simulator.post(f"/simulator/machines/{asleep['provider_id']}/kill")

    async def noticed() -> str | None:
        status = (await system.instance(asleep["id"]))["status"]
        return status if status in ("failed", "hibernated") else None

    assert await until(noticed, 60, "the loss to be noticed") in ("failed", "hibernated")
    await system.alive(0)
