"""Files that sleep and wake while vault, machines and our own processes fail: the files come back, the books agree."""

import asyncio
import os
import signal
from typing import Any

import pytest

from failpoints import Failpoint
from tests.system.running import Running, until
from tests.system.test_sleep import READ, at_work

pytestmark = pytest.mark.long


async def hibernated(system: Running) -> dict[str, Any]:
    running = await at_work(system)
    await system.ask(running["id"], "hibernate", 202)
    asleep = await system.becomes(running["id"], "hibernated")
    await system.alive(0)
    return asleep


async def says(system: Running, instance_id: int, word: str) -> None:
    """Wait until the instance's message has this word in it."""

    async def said() -> bool | None:
        return word in (await system.instance(instance_id))["message"] or None

    await until(said, 60, f"instance {instance_id} to say {word}")


async def test_with_the_vault_away_it_is_paused_unprotected_and_never_hibernated(system: Running) -> None:
    running = await at_work(system, idle_hibernate_minutes=0.02)
    vault = int(system.installation.read()["pids"]["vault"])
    os.kill(vault, signal.SIGSTOP)
    try:
        await system.ask(running["id"], "pause", 202)
        paused = await system.becomes(running["id"], "paused", 90)
        assert any("unprotected" in each for each in paused["warnings"])
        assert paused["will_hibernate_at"] is None
        await system.ask(running["id"], "hibernate", 202)
        await until(lambda: _refused(system, running["id"]), 30, "the hibernation to be refused")
        await system.alive(1)
    finally:
        os.kill(vault, signal.SIGCONT)
    assert await system.ssh(running, READ) == "mine\n"
    await system.ask(running["id"], "pause", 202)
    assert (await system.becomes(running["id"], "paused"))["warnings"] == []


async def test_a_queued_start_that_fires_after_it_was_given_up_is_stopped_again(system: Running) -> None:
    running = await at_work(system)
    vault = int(system.installation.read()["pids"]["vault"])
    os.kill(vault, signal.SIGSTOP)  # nothing is saved, so it cannot move to another machine
    try:
        await system.ask(running["id"], "pause", 202)
        asleep = await system.becomes(running["id"], "paused", 90)
    finally:
        os.kill(vault, signal.SIGCONT)
    host = f"/simulator/hosts/{asleep['machine_id']}/taken"
    await system.simulator.post(host, json={"gpus": 64})
    await system.fault("PUT /api/v0/instances/", "ignored", match="stopped")  # the cancel of the queued start
    given_up = await system.ask(asleep["id"], "wake", 202)
    assert given_up["last_wake"]["worked"] is False
    await system.becomes(asleep["id"], "paused")
    await system.simulator.post(host, json={"gpus": 0})
    seen: set[str] = set()

    async def fired_and_stopped() -> bool | None:
        status = str((await system.machine(asleep["provider_id"]))["actual_status"])
        seen.add(status)
        return ("running" in seen and status in ("exited", "stopped")) or None

    await until(fired_and_stopped, 60, "the queued start to fire and to be stopped again")
    assert (await system.instance(asleep["id"]))["status"] == "paused"
    assert await system.ssh(asleep, READ) == "mine\n"


async def _refused(system: Running, instance_id: int) -> bool | None:
    shown = await system.instance(instance_id)
    return (shown["status"] == "paused" and any("Not hibernated" in each for each in shown["warnings"])) or None


async def test_a_machine_that_dies_while_it_is_saved_for_the_first_time(system: Running) -> None:
    running = await at_work(system)
    await system.ssh(running, "head -c 60000000 /dev/urandom > /workspace/large")
    await system.ask(running["id"], "pause", 202)
    await system.simulator.post(f"/simulator/machines/{running['provider_id']}/kill")

    async def over() -> dict[str, Any] | None:
        shown = await system.instance(running["id"])
        return shown if shown["status"] in ("failed", "hibernated") else None

    assert (await until(over, 60, "the loss to be noticed"))["status"] == "failed"  # nothing was saved, and it says so
    await system.alive(0)


async def test_a_machine_that_dies_while_it_is_used_comes_back_as_it_was_saved(system: Running) -> None:
    running = await at_work(system)
    await system.ask(running["id"], "pause", 202)
    await system.becomes(running["id"], "paused")
    await system.ask(running["id"], "wake", 200)
    await system.ssh(running, "echo later > /workspace/later")
    await system.simulator.post(f"/simulator/machines/{running['provider_id']}/kill")
    asleep = await system.becomes(running["id"], "hibernated")
    assert any("was lost" in each for each in asleep["warnings"])
    assert await system.ssh(running, READ) == "mine\n"
    await system.alive(1)


async def test_a_machine_that_dies_while_files_are_restored_is_replaced(system: Running) -> None:
    asleep = await hibernated(system)
    waking = asyncio.create_task(system.ssh(asleep, READ))
    await says(system, asleep["id"], "restor")
    shown = await system.instance(asleep["id"])
    await system.simulator.post(f"/simulator/machines/{shown['provider_id']}/kill")
    assert await waking == "mine\n"
    await system.alive(1)


async def test_destroyed_in_the_middle_of_a_restore(system: Running) -> None:
    asleep = await hibernated(system)
    await system.api.post(f"/instances/{asleep['id']}/wake?wait=false")
    await says(system, asleep["id"], "restor")
    await system.api.delete(f"/instances/{asleep['id']}")
    await system.becomes(asleep["id"], "destroyed")
    await system.alive(0)


async def paused(system: Running) -> dict[str, Any]:
    running = await at_work(system)
    await system.ask(running["id"], "pause", 202)
    return await system.becomes(running["id"], "paused")


STARTS_THAT_FAIL = [
    ("machine:start", "never_starts"),
    *[("machine:start", fault) for fault in ("half_started", "exits", "oci_error", "stays_null")],
    ("machine:gpu", "missing"),
]


@pytest.mark.parametrize(("endpoint", "fault"), STARTS_THAT_FAIL)
async def test_a_start_that_fails_is_made_good_on_another_machine(system: Running, endpoint: str, fault: str) -> None:
    asleep = await paused(system)
    await system.fault(endpoint, fault, times=None, match=asleep["gpu_name"])
    waking = asyncio.create_task(system.ssh(asleep, READ))
    await until(lambda: _moves(system, asleep), 90, "another machine to be tried")
    await system.simulator.delete("/simulator/faults")
    assert await waking == "mine\n"
    woken = await system.becomes(asleep["id"], "running")
    assert woken["last_wake"]["method"] == "restore"
    (machine,) = await system.alive(1, seconds=30)
    assert machine["id"] == woken["provider_id"]


async def _moves(system: Running, asleep: dict[str, Any]) -> bool | None:
    return (await system.instance(asleep["id"]))["provider_id"] not in (None, asleep["provider_id"]) or None


@pytest.mark.parametrize("moves", ["ports", "address"])
async def test_ports_and_addresses_that_change_at_a_start_change_nothing_for_users(system: Running, moves: str) -> None:
    asleep = await paused(system)
    await system.simulator.patch("/simulator/settings", json={"toggles": {"moves_on_start": moves}})
    try:
        assert await system.ssh(asleep, READ) == "mine\n"
        woken = await system.becomes(asleep["id"], "running")
        assert woken["last_wake"]["method"] == "resume"
        assert woken["ssh_port"] == asleep["ssh_port"]
    finally:
        await system.simulator.patch("/simulator/settings", json={"toggles": {"moves_on_start": "no"}})


async def test_a_row_that_lags_behind_our_stops_and_starts(system: Running) -> None:
    running = await at_work(system)
    await system.fault("PUT /api/v0/instances/", "reads_lag", times=None, delay_seconds=2)
    await system.ask(running["id"], "pause", 202)
    await system.becomes(running["id"], "paused")
    assert await system.ssh(running, READ) == "mine\n"
    await system.alive(1)


ASLEEP = [Failpoint.SNAPSHOT_BEGUN, Failpoint.SNAPSHOT_SENT, Failpoint.SNAPSHOT_RECORDED, Failpoint.SNAPSHOT_VERIFIED]


@pytest.mark.parametrize("point", [Failpoint.REQUEST_RELEASE, *ASLEEP])
async def test_kill_9_on_the_way_to_hibernation(system: Running, point: Failpoint) -> None:
    running = await at_work(system)
    reached = system.order(point, "kill")
    await system.ask(running["id"], "hibernate", 202)
    await system.becomes(running["id"], "hibernated", 120)
    assert await asyncio.to_thread(reached.exists)
    await system.alive(0)
    assert await system.ssh(running, READ) == "mine\n"


@pytest.mark.parametrize("point", [Failpoint.RESTORED, Failpoint.RESERVED_AGAIN, Failpoint.DATA_MACHINE_RECORDED])
async def test_kill_9_on_the_way_back_from_hibernation(system: Running, point: Failpoint) -> None:
    asleep = await hibernated(system)
    reached = system.order(point, "kill")
    assert await system.ssh(asleep, READ) == "mine\n"
    assert await asyncio.to_thread(reached.exists)
    await system.alive(1)


@pytest.mark.parametrize("name", ["worker", "gateway", "api", "vault", "temporal", "postgres"])
async def test_kill_9_in_the_middle_of_a_wake(system: Running, name: str) -> None:
    asleep = await hibernated(system)
    await system.api.post(f"/instances/{asleep['id']}/wake?wait=false")
    old = system.kill(name)
    await asyncio.to_thread(system.installation.await_new_pid, name, old)
    await system.becomes(asleep["id"], "running", 120)

    async def read() -> str | None:
        return await system.ssh(asleep, READ, expect=None) or None

    assert await until(read, 60, "the files to be there") == "mine\n"
    await system.alive(1)


async def test_keys_written_anew_by_the_platform_lock_nobody_out(system: Running) -> None:
    running = await at_work(system)
    await system.simulator.post("/simulator/keys/rewrite")
    system.kill("gateway")  # with its open connections

    async def read() -> str | None:
        return await system.ssh(running, READ, expect=None) or None

    assert await until(read, 60, "a new connection to the machine") == "mine\n"
    await system.ask(running["id"], "pause", 202)
    paused = await system.becomes(running["id"], "paused")
    assert paused["warnings"] == []
