"""`python -m tests.workflows.record NAME…`: scenarios on a real system, their histories kept for the replay test.

A history stands for flows that are under way at somebody's when they update. One that no longer replays is therefore
never recorded again to get green: the change to the workflow needs `workflow.patched`. Record only what is new.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from cli.places import ROOT
from settings import Settings
from tests.system.conftest import prepared
from tests.system.histories import all_histories
from tests.system.running import Running, until
from tests.system.servers import KILL, serves_again, shell
from tests.system.test_job_files import checkpointed, no_store, stopped
from tests.system.test_lost_machines import elsewhere
from workflow_client.client import connect

HISTORIES = Path(__file__).parent / "histories"
KINDS = ("endpoint-", "instance-", "job-", "machine-", "snapshot-", "tidy-vault-", "watch-")


async def ready_then_stopped(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    await system.alive(0)


async def second_offer(system: Running) -> None:
    await system.fault("machine:boot", "never_boots")
    await ready_then_stopped(system)


async def reply_lost(system: Running) -> None:
    await system.fault("PUT /api/v0/asks/", "drop_after_commit")
    await ready_then_stopped(system)


async def model_failed(system: Running) -> None:
    deployment = await system.deploy(model_id="nobody/does-not-exist")
    await system.ended(deployment["id"])


async def machine_lost(system: Running) -> None:
    deployment = await system.ready((await system.deploy())["id"])
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    await until(lambda: elsewhere(system, machine["id"]), 60, "another machine")
    await serves_again(system, deployment, 60)
    await system.stop(deployment["id"])
    await system.alive(0)


async def server_restarted(system: Running) -> None:
    deployment = await system.ready((await system.deploy())["id"])
    await shell(system, deployment, KILL)
    await serves_again(system, deployment)
    await system.stop(deployment["id"])
    await system.alive(0)


async def server_given_up(system: Running) -> None:
    deployment = await system.ready((await system.deploy())["id"])
    await system.fault("machine:model_server", "crashes", times=None)
    await shell(system, deployment, KILL)
    await system.alive(0, seconds=60)


async def worker_killed(system: Running) -> None:
    deployment = await system.deploy()
    system.kill("worker")
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    await system.alive(0)


async def job_completed(system: Running) -> None:
    job = await system.job("echo one; sleep 1; echo two; mkdir -p output; date > output/when")
    await system.job_becomes(job["id"])
    await system.alive(0)


async def job_cancelled(system: Running) -> None:
    job = await system.job("echo begun; sleep 60")
    await system.job_becomes(job["id"], "running")
    await system.api.post(f"/jobs/{job['id']}/cancel")
    await system.job_becomes(job["id"])
    await system.alive(0)


async def job_machine_lost(system: Running) -> None:
    job = await system.job("echo begun; sleep 4", max_retries=1)
    await system.job_becomes(job["id"], "running")
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    await system.job_becomes(job["id"])
    await system.alive(0)


async def job_queued(system: Running) -> None:
    await system.api.put("/settings", json={"settings": {"max_gpus": 1}})
    jobs = [await system.job("sleep 1") for _ in range(3)]
    for job in jobs:
        await system.job_becomes(job["id"])
    await system.alive(0)


async def job_worker_killed(system: Running) -> None:
    job = await system.job("for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done")
    await system.job_becomes(job["id"], "running")
    system.kill("worker")
    await system.job_becomes(job["id"])
    await system.alive(0)


async def job_files_wait(system: Running) -> None:
    async with no_store(system):
        job = await system.job("mkdir -p output; date > output/when")
        await system.job_becomes(job["id"], "collecting")
        await stopped(system, job["id"])
    await system.job_becomes(job["id"])
    await system.alive(0)


async def job_restored(system: Running) -> None:
    job = await checkpointed(system)
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/outbid")
    await system.job_becomes(job["id"])
    await system.alive(0)


async def paused_and_woken(system: Running) -> None:
    made = await system.create()
    await system.becomes(made["id"], "running")
    await system.ask(made["id"], "pause", 202)
    await system.becomes(made["id"], "paused")
    await system.ask(made["id"], "wake", 200)
    await destroyed(system, made["id"])


async def idle_then_hibernated_then_restored(system: Running) -> None:
    made = await system.create(idle_pause_minutes=0.1, idle_hibernate_minutes=0.1)
    await system.becomes(made["id"], "hibernated")
    await system.ask(made["id"], "wake", 200)
    await destroyed(system, made["id"])


async def gpu_taken_while_paused(system: Running) -> None:
    made = await system.create()
    running = await system.becomes(made["id"], "running")
    await system.ask(made["id"], "pause", 202)
    await system.becomes(made["id"], "paused")
    await system.simulator.post(f"/simulator/hosts/{running['machine_id']}/taken", json={"gpus": 64})
    await system.ask(made["id"], "wake", 200)
    await destroyed(system, made["id"])


async def pause_called_off(system: Running) -> None:
    made = await system.create()
    await system.becomes(made["id"], "running")
    await system.ask(made["id"], "pause", 202)
    await system.becomes(made["id"], "pausing")
    await system.ask(made["id"], "wake", 200)
    await destroyed(system, made["id"])


async def snapshot_restored_in_place(system: Running) -> None:
    made = await system.create()
    await system.becomes(made["id"], "running")
    taken = (await system.api.post("/snapshots", json={"instance_id": made["id"]})).json()

    async def ready() -> bool | None:
        return (await system.api.get(f"/snapshots/{taken['id']}")).json()["verified"] or None

    await until(ready, 60, "the snapshot")
    await system.api.post(f"/snapshots/{taken['id']}/restore", json={"instance_id": made["id"]})
    await system.becomes(made["id"], "resuming")
    await system.becomes(made["id"], "running")
    await destroyed(system, made["id"], "?delete_snapshots=true")


async def destroyed(system: Running, instance_id: int, how: str = "") -> None:
    await system.api.delete(f"/instances/{instance_id}{how}")
    await system.becomes(instance_id, "destroyed")
    await system.alive(0)
    await asyncio.sleep(3)  # what follows of it: its snapshots are tidied


SCENARIOS: dict[str, Callable[[Running], Awaitable[None]]] = {
    scenario.__name__: scenario
    for scenario in (
        *(ready_then_stopped, second_offer, reply_lost, model_failed, machine_lost, worker_killed),
        *(server_restarted, server_given_up),
        *(job_completed, job_cancelled, job_machine_lost, job_queued, job_worker_killed),
        *(job_files_wait, job_restored),
        *(paused_and_woken, idle_then_hibernated_then_restored, gpu_taken_while_paused, pause_called_off),
        snapshot_restored_in_place,
    )
}


async def record(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        installation = prepared(Path(folder))
        installation.start()
        system = Running(installation)
        await system.register()
        await SCENARIOS[name](system)
        await asyncio.sleep(1)  # the last workflow tasks
        temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
        counts = dict.fromkeys(KINDS, 0)
        async for history in all_histories(temporal):
            kind = next((kind for kind in KINDS if history.workflow_id.startswith(kind)), None)
            if kind is not None:
                counts[kind] += 1
                (HISTORIES / f"{name}.{kind}{counts[kind]}.json").write_text(history.to_json().replace(f"{ROOT}/", ""))
        await system.close()
        installation.stop()


if __name__ == "__main__":
    for chosen in sys.argv[1:] or SCENARIOS:
        asyncio.run(record(chosen))
