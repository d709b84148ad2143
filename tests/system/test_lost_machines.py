"""Bad luck with a machine or its model: the deploy fails with a reason, and nothing stays rented."""

from tests.system.running import Running, at_stage, until


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


async def test_a_machine_that_is_gone_in_the_middle_fails_the_deploy(system: Running) -> None:
    await system.fault("machine:model_server", "never_healthy")
    deployment = await system.deploy()
    await until(lambda: at_stage(system, deployment["id"], "loading_model"), 30, "the model to load")
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    status = await system.ended(deployment["id"])
    assert status["status"] == "failed"
    assert await system.machines() == []


async def test_a_machine_that_is_lost_later_ends_the_deployment_and_says_why(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")

    async def noticed() -> bool | None:
        return (await system.status(deployment["id"]))["status"] == "failed" or None

    await until(noticed, 30, "the loss to be noticed")
    assert "lost" in (await system.status(deployment["id"]))["message"]
