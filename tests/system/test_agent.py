"""The agent on a rented machine of the running system, judged as a flow would judge it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from activities.errors import NotYet
from clients.ssh import SshError
from db.instances.idleness import SILENT_AGENT
from db.machines.lease_tokens import AGENT, lease_token
from tests.system.agents import Worked, post_status, worked
from tests.system.running import Running, until


@pytest_asyncio.fixture
async def machine(system: Running) -> AsyncIterator[Worked]:
    async with worked(system) as made:
        yield made


async def test_an_idle_instance_is_found_idle_and_a_busy_one_is_not(machine: Worked) -> None:
    await machine.install()
    await machine.heard_after(None)
    idle = await machine.judged("Idle")
    assert idle.idle_since is not None
    await machine.shell("setsid python3 -c 'while True: pass' </dev/null >/dev/null 2>&1 & echo $! > pid")
    busy = await machine.judged("python3 used")
    assert not busy.pause
    assert (await machine.shown())["idle_since"] is None
    await machine.change(idle_pause_minutes=60)
    await machine.shell("kill $(cat pid)")
    assert (await machine.judged("pauses at")).will_pause_at is not None
    assert (await machine.shown())["idle_since"] is not None
    await machine.change(idle_pause_minutes=0.05)

    async def paused() -> bool | None:
        return (await machine.judge()).pause or None

    assert await until(paused, 60, "the verdict to pause")


@pytest.mark.long
async def test_gpu_load_traffic_and_a_wish_keep_it_from_being_paused(machine: Worked) -> None:
    await machine.install()
    await machine.heard_after(None)
    path = f"/simulator/machines/{await machine.cloud_id()}/gpu"
    await machine.system.simulator.post(path, json={"utilization": 80})
    await machine.judged("GPU is 80 % busy")
    assert (await machine.shown())["gpu_util"] == 80
    await machine.system.simulator.post(path, json={"utilization": 0})
    kept = await machine.system.api.post(f"/instances/{machine.instance_id}/keep-awake", json={"minutes": 60})
    assert kept.status_code == 202

    async def waits() -> bool | None:
        verdict = await machine.judge()
        return (verdict.idle_since is not None and (verdict.look_again or 0) > 500) or None

    assert await until(waits, 60, "a verdict that waits for the hour")
    assert (await machine.shown())["will_pause_at"] == (await machine.shown())["keep_awake_until"]


@pytest.mark.long
async def test_it_reports_again_after_a_restart_of_the_container(machine: Worked) -> None:
    await machine.install()
    before = await machine.heard_after(None)
    await machine.system.simulator.post(f"/simulator/machines/{await machine.cloud_id()}/restart")
    await until(lambda: _boots(machine, 2), 60, "a report of a second boot")
    assert await machine.heard_after(before)


async def _boots(machine: Worked, count: int) -> bool | None:
    try:
        log = await machine.shell("grep -c begins ~/.dumont/agent/agent.log")
    except (OSError, SshError, NotYet) as error:
        raise AssertionError(str(error)) from error
    return int(log or 0) >= count or None


@pytest.mark.long
async def test_a_silent_agent_is_told_of_and_repaired(machine: Worked) -> None:
    await machine.install()
    await machine.heard_after(None)
    await machine.shell("pkill -f [d]umont/agent/watch; pkill -9 -f [a]gent.pyz")
    verdict = await machine.judged("is repaired", unknown_repair_seconds=12)
    assert (verdict.repair, verdict.pause) == (True, False)
    assert SILENT_AGENT in await alarms(machine.system)
    await machine.install()
    await machine.heard_after((await machine.agent())["last_seen"])
    await machine.judged("Idle")
    assert SILENT_AGENT not in await alarms(machine.system)


async def alarms(system: Running) -> list[str]:
    return [each["kind"] for each in (await system.api.get("/leases")).json()["alarms"]]


@pytest.mark.long
async def test_a_silent_instance_that_nobody_uses_costs_no_more_than_its_owner_said(machine: Worked) -> None:
    cap = {"settings": {"unattended_usd": 0.0001}}
    assert (await machine.system.api.put("/settings", json=cap)).status_code == 200
    verdict = await machine.judged("unattended", unknown_repair_seconds=2)
    assert verdict.pause


@pytest.mark.long
async def test_without_an_address_of_ours_the_reports_are_fetched_and_judged(machine: Worked) -> None:
    """As a flow does: install where the verdict says repair, and judge again at once."""
    await machine.install(public_url=None)

    async def paused() -> bool | None:
        verdict = await machine.judge(public_url=None, agent_seconds=0.1)
        if verdict.repair:
            await machine.install(public_url=None)
            verdict = await machine.judge(public_url=None)
        assert not verdict.alarm
        return (verdict.pause and not verdict.silent) or None

    assert await until(paused, 90, "an idle machine to be found idle")
    assert (await machine.agent())["last_seen"] is not None


@pytest.mark.long
async def test_whoever_sits_at_a_terminal_is_warned_once(machine: Worked) -> None:
    await machine.shell("tmux new-session -d -s here -x 250 -y 50")
    await machine.change(idle_pause_minutes=60)
    await machine.install()
    await machine.heard_after(None)
    verdict = await machine.judged("pauses at")
    assert verdict.will_pause_at is not None
    for _ in range(2):
        assert await machine.activities().warn_users(machine.instance_id)
    said = await machine.shell("tmux capture-pane -p -t here")
    assert said.count("Dumont Cloud: this machine is idle and pauses at") == 1


@pytest.mark.long
async def test_the_token_ends_with_the_machine(machine: Worked) -> None:
    token = lease_token(machine.sealer, machine.lease_id, AGENT)
    assert await post_status(machine.system, token) == 200
    assert await post_status(machine.system, token + "x") == 401
    deployments = (await machine.system.api.get("/models")).json()["models"]
    await machine.system.stop(deployments[0]["id"])
    await machine.system.alive(0)
    assert await post_status(machine.system, token) == 401
    assert not await machine.activities().warn_users(machine.instance_id)
    assert not (await machine.activities().install_agent(machine.lease_id)).installed
