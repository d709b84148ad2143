"""Machines whose direct SSH port never opens: the cloud's relay leads to them, and they are as good as others."""

import openai
import pytest

from tests.system.running import MODEL, Running, told
from tests.system.test_sleep import READ, at_work


@pytest.mark.long
@pytest.mark.parametrize("fault", ["unreachable", "missing"])
async def test_a_model_is_served_through_the_relay(system: Running, fault: str) -> None:
    """`missing`: the direct port is not even listed."""
    await system.fault("machine:ports", fault)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["working"]
    async with openai.AsyncOpenAI(base_url=f"{deployment['endpoint']}/v1", api_key="none", max_retries=0) as client:
        assert [each.id async for each in await client.models.list()] == [MODEL]
    assert told(await system.api.get(f"/models/{deployment['id']}/logs"), 200)["logs"] != ""
    await system.alive(1)


async def test_an_instance_is_worked_on_paused_and_woken_through_the_relay(system: Running) -> None:
    await system.fault("machine:ports", "unreachable", times=2)  # of the boot, and of the start
    running = await at_work(system)
    assert "ssh_way" in await system.events(running["id"])
    await system.ask(running["id"], "pause", 202)
    paused = await system.becomes(running["id"], "paused")
    assert paused["warnings"] == []  # its files went into the vault over the relay
    assert await system.ssh(running, READ) == "mine\n"
    woken = await system.instance(running["id"])
    assert (woken["last_wake"]["method"], woken["provider_id"]) == ("resume", running["provider_id"])
    assert (await system.events(running["id"])).count("ssh_way") == 1  # it is known by now, and not waited for again


@pytest.mark.long
async def test_a_job_runs_through_the_relay(system: Running) -> None:
    await system.fault("machine:ports", "unreachable")
    job = await system.job("mkdir -p /workspace/output; echo done | tee /workspace/output/file")
    over = await system.job_becomes(job["id"])
    assert (over["status"], over["attempts"], over["artifacts_count"]) == ("completed", 1, 3)
