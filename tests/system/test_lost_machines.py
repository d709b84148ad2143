"""Bad luck with a model fails its deploy, with a reason and nothing rented; with its machine, another one follows."""

import pytest

from tests.system.running import Running, at_stage, until
from tests.system.servers import answers, serves_again, timeline


@pytest.mark.long
async def test_a_model_server_that_is_never_healthy_fails_the_deploy_and_releases_the_machine(system: Running) -> None:
    await system.fault("machine:model_server", "never_healthy")
    deployment = await system.deploy()
    status = await system.ended(deployment["id"])
    assert status["status"] == "failed"
    assert status["message"]
    assert await system.machines() == []


async def test_a_model_server_that_ends_fails_the_deploy_with_what_it_said_last(system: Running) -> None:
    deployment = await system.deploy(model_id="nobody/does-not-exist")
    status = await system.ended(deployment["id"])
    assert status["status"] == "failed"
    assert "RepositoryNotFoundError" in status["message"]
    assert await system.machines() == []


@pytest.mark.long
async def test_a_machine_that_is_gone_in_the_middle_is_followed_by_another(system: Running) -> None:
    await system.fault("machine:model_server", "never_healthy", times=None)
    deployment = await system.deploy()
    await until(lambda: at_stage(system, deployment["id"], "loading_model"), 30, "the model to load")
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    await system.simulator.delete("/simulator/faults")
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["lost", "working"]
    await system.alive(1)


@pytest.mark.long
async def test_a_machine_that_is_lost_later_is_followed_by_another_at_the_same_address(system: Running) -> None:
    deployment = await system.ready((await system.deploy())["id"])
    assert await answers(system, deployment) == "served"
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    await until(lambda: elsewhere(system, machine["id"]), 60, "another machine")
    said = await serves_again(system, deployment, 60)
    assert set(said) <= {"served", "starting", "model_server_unreachable", "model_server_broke_off"}
    status = await system.status(deployment["id"])
    assert (status["status"], status["restarts"]) == ("ready", 0)
    assert "machine_lost" in await timeline(system, deployment)
    await system.alive(1)


async def elsewhere(system: Running, machine_id: int) -> bool | None:
    return any(row["id"] != machine_id for row in await system.machines()) or None
