"""Instances that somebody works on: paused, hibernated, woken and moved, with the files as they were."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.system.running import Running, told, until

WORK = "mkdir -p /workspace/deep && echo mine > '/workspace/deep/a file' && ln -s deep/'a file' /workspace/link"
READ = "cat /workspace/link"


async def at_work(system: Running, **changes: Any) -> dict[str, Any]:
    """An instance that runs and has files."""
    made = await system.create(**changes)
    await system.ssh(made, WORK)  # held until it runs
    return await system.becomes(made["id"], "running")


@pytest.mark.long
async def test_an_instance_is_paused_with_its_disk_kept_and_resumed(system: Running) -> None:
    running = await at_work(system)
    (machine,) = await system.alive(1)
    await system.ask(running["id"], "pause", 202)
    paused = await system.becomes(running["id"], "paused")
    assert paused["provider_id"] == running["provider_id"] == machine["id"]
    assert (await system.machine(machine["id"]))["actual_status"] in ("exited", "stopped")
    assert (await system.ask(running["id"], "pause", 200))["status"] == "paused"
    woken = await system.ask(running["id"], "wake", 200)
    assert (woken["status"], woken["method"]) == ("running", "resume")
    assert [woken[name] for name in ("ssh_host", "ssh_port")] == [running[name] for name in ("ssh_host", "ssh_port")]
    assert await system.ssh(running, READ) == "mine\n"
    await system.alive(1)
    await system.api.delete(f"/instances/{running['id']}")
    await system.becomes(running["id"], "destroyed")
    await system.alive(0)


async def test_a_login_wakes_and_is_served(system: Running) -> None:
    running = await at_work(system)
    await system.ask(running["id"], "pause", 202)
    await system.becomes(running["id"], "paused")
    assert await system.ssh(running, READ) == "mine\n"
    assert (await system.instance(running["id"]))["last_wake"]["by"] == "a login over SSH"


async def test_a_hibernated_instance_rents_nothing_and_comes_back_on_another_machine(system: Running) -> None:
    running = await at_work(system)
    await system.ask(running["id"], "hibernate", 202)
    asleep = await system.becomes(running["id"], "hibernated")
    assert asleep["warnings"] == []
    await system.alive(0)
    assert (await system.api.get("/instances")).json()["count"] == 0
    assert await system.ssh(running, READ) == "mine\n"
    woken = await system.instance(running["id"])
    assert (woken["status"], woken["last_wake"]["method"]) == ("running", "restore")
    assert woken["provider_id"] != running["provider_id"]
    await system.alive(1)


@pytest.mark.long
async def test_a_gpu_that_was_rented_away_is_replaced_by_another_and_the_old_machine_released(system: Running) -> None:
    running = await at_work(system)
    await system.ask(running["id"], "pause", 202)
    await system.becomes(running["id"], "paused")
    await system.simulator.post(f"/simulator/hosts/{running['machine_id']}/taken", json={"gpus": 64})
    assert await system.ssh(running, READ) == "mine\n"
    woken = await system.instance(running["id"])
    assert woken["machine_id"] != running["machine_id"]
    report = woken["last_wake"]
    assert (report["worked"], report["method"]) == (True, "restore")
    assert [each["worked"] for each in report["tries"]] == [False, True]
    assert "rented by somebody else" in report["tries"][0]["reason"]
    (machine,) = await system.alive(1)
    assert machine["id"] == woken["provider_id"]


async def test_idle_it_is_paused_and_paused_for_long_it_is_hibernated(system: Running) -> None:
    running = await at_work(system)
    soon = {"idle_pause_minutes": 0.1, "idle_hibernate_minutes": 0.1}
    told(await system.api.patch(f"/instances/{running['id']}", json=soon), 200)
    assert (await system.becomes(running["id"], "hibernated", 60))["warnings"] == []
    await system.alive(0)
    kinds = await system.events(running["id"])
    assert await system.ssh(running, READ) == "mine\n"
    assert [kind for kind in kinds if kind in ("pause", "paused", "hibernate", "hibernated")] == [
        "pause",
        "paused",
        "hibernate",
        "hibernated",
    ]


@pytest.mark.long
async def test_work_on_the_machine_keeps_it_awake(system: Running) -> None:
    running = await at_work(system, idle_pause_minutes=0.1)
    busy = "nohup python3 -c 'while True: pass' > /dev/null 2>&1 & echo $!"
    pid = (await system.ssh(running, busy)).strip()

    async def judged() -> bool | None:
        shown = await system.instance(running["id"])
        assert shown["status"] == "running", shown
        seen = (await system.api.get("/agent/instances")).json()[0]["last_seen"]
        return (seen is not None and datetime.fromisoformat(seen) >= three_windows_later) or None

    three_windows_later = datetime.now(UTC) + timedelta(seconds=18)
    await until(judged, 60, "the agent to have reported for three windows")
    await system.ssh(running, f"kill {pid}")
    await system.becomes(running["id"], "paused", 60)


@pytest.mark.long
async def test_a_snapshot_is_restored_in_place_and_on_a_new_instance(system: Running) -> None:
    running = await at_work(system)
    taken = (await system.api.post("/snapshots", json={"instance_id": running["id"], "label": "good"})).json()

    async def ready() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await system.api.get(f"/snapshots/{taken['id']}")).json()
        return shown if shown["status"] != "creating" and shown["verified"] else None

    assert (await until(ready, 60, "the snapshot"))["status"] == "ready"
    await system.ssh(running, "echo spoilt > '/workspace/deep/a file'")
    answer = await system.api.post(f"/snapshots/{taken['id']}/restore", json={"instance_id": running["id"]})
    assert (answer.status_code, answer.json()["instance_id"]) == (202, running["id"]), answer.text

    async def restored() -> bool | None:
        shown = await system.instance(running["id"])
        text = await system.ssh(running, READ, expect=None)
        return (shown["status"] == "running" and text == "mine\n") or None

    await until(restored, 60, "the files to be back")
    anew = (await system.api.post(f"/snapshots/{taken['id']}/restore")).json()
    assert anew["instance_id"] != running["id"]
    other = await system.becomes(anew["instance_id"], "running")
    assert await system.ssh(other, READ) == "mine\n"
    await system.alive(2)


async def test_destroyed_in_the_middle_of_everything(system: Running) -> None:
    made = await system.create()
    await system.api.delete(f"/instances/{made['id']}")
    await system.becomes(made["id"], "destroyed")
    await system.alive(0)
    made = await system.create()
    await system.becomes(made["id"], "running")
    await system.ask(made["id"], "pause", 202)
    await system.api.delete(f"/instances/{made['id']}")
    await system.becomes(made["id"], "destroyed")
    await system.alive(0)
