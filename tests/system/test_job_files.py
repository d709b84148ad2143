"""Files of jobs when all goes wrong: on a stopped machine until they can be fetched, and back on the next machine."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest

from failpoints import Failpoint
from tests.long_runs import only_long
from tests.system.running import Running, told, until
from tests.system.test_job_bad_luck import its_machine, prints

LEAVES_A_FILE = "echo printed; mkdir -p output; echo precious > output/x"
COUNTS_ON = """
n=$(cat count 2>/dev/null || echo 0)
echo "begins at $n"
while [ $n -lt 60 ]; do n=$((n + 1)); echo $n > count.new; mv count.new count; echo "at $n"; sleep 0.3; done
mkdir -p output; cp count output/
"""


@contextlib.asynccontextmanager
async def no_store(system: Running) -> AsyncIterator[None]:
    """While this lasts, the artifact store takes nothing."""
    store = system.installation.folder / "artifacts"
    aside = store.with_name("artifacts aside")
    store.mkdir(exist_ok=True)
    await asyncio.to_thread(shutil.move, store, aside)
    store.write_text("in the way")
    try:
        yield
    finally:
        store.unlink()
        await asyncio.to_thread(shutil.move, aside, store)


async def stopped(system: Running, job_id: str) -> dict[str, Any]:
    """The job once its machine waits, stopped, with its files on its disk."""

    async def waits() -> dict[str, Any] | None:
        job = await system.job_now(job_id)
        assert job["status"] == "collecting"
        (machine,) = await system.machines()
        shown = (await system.machine(machine["id"]))["actual_status"]
        parked = shown in ("exited", "stopped") and "could not be fetched" in (job["message"] or "")
        return job if parked and job["collect_again_at"] else None

    return await until(waits, 60, "its machine to be stopped")


async def test_what_cannot_be_fetched_waits_on_a_stopped_machine_and_is_fetched_later(system: Running) -> None:
    async with no_store(system):
        job = await system.job(LEAVES_A_FILE)
        await system.job_becomes(job["id"], "collecting")
        waiting = await stopped(system, job["id"])
        assert waiting["files_wait_until"] > waiting["collect_again_at"]
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["attempts"], done["collect_again_at"]) == ("completed", 1, None), done
    assert (await system.api.get(f"/jobs/{job['id']}/artifacts/output/x")).text == "precious\n"
    assert (await system.api.get(f"/jobs/{job['id']}/artifacts/stdout.log")).text == "printed\n"
    await system.alive(0)


@pytest.mark.parametrize("point", only_long(Failpoint.PARK, Failpoint.UNPARKED))
async def test_kill_9_while_its_files_wait_costs_time_only(system: Running, point: Failpoint) -> None:
    reached = system.order(point, "kill")
    async with no_store(system):
        job = await system.job(LEAVES_A_FILE)
        await system.job_becomes(job["id"], "collecting")
        await stopped(system, job["id"])
    done = await system.job_becomes(job["id"])
    assert reached.exists()
    assert done["status"] == "completed", done
    assert (await system.api.get(f"/jobs/{job['id']}/artifacts/output/x")).text == "precious\n"
    await system.alive(0)


@pytest.mark.long
async def test_fetched_at_its_owners_word(system: Running) -> None:
    async with no_store(system):
        job = await system.job(LEAVES_A_FILE)
        early = await system.api.post(f"/jobs/{job['id']}/collect")
        assert (early.status_code, early.json()["error"]) == (409, "wrong_state")
        await system.job_becomes(job["id"], "collecting")
        await stopped(system, job["id"])
    told(await system.api.post(f"/jobs/{job['id']}/collect"), 202)
    assert (await system.job_becomes(job["id"]))["artifacts_count"] == 3


@pytest.mark.long
async def test_given_up_at_its_owners_word(system: Running) -> None:
    async with no_store(system):
        job = await system.job(LEAVES_A_FILE)
        await system.job_becomes(job["id"], "collecting")
        await stopped(system, job["id"])
        told(await system.api.post(f"/jobs/{job['id']}/cancel"), 202)
        done = await system.job_becomes(job["id"])
    assert any("could not be collected" in note for note in done["notes"]), done
    assert (await system.job_output(job["id"]))["stdout"] == "printed\n"
    await system.alive(0)


@pytest.mark.long
async def test_given_up_when_its_time_is_over(system: Running) -> None:
    async with no_store(system):
        job = await system.job(LEAVES_A_FILE)
        done = await system.job_becomes(job["id"], seconds=150)
    assert done["status"] == "completed", done
    assert any("could not be collected" in note for note in done["notes"]), done
    await system.alive(0)


@pytest.mark.long
async def test_a_machine_lost_while_it_waits_costs_the_files_and_no_more(system: Running) -> None:
    async with no_store(system):
        job = await system.job(LEAVES_A_FILE)
        await system.job_becomes(job["id"], "collecting")
        await stopped(system, job["id"])
        await system.simulator.post(f"/simulator/machines/{await its_machine(system, job['id'])}/kill")
        done = await system.job_becomes(job["id"])
    assert done["status"] == "completed", done
    assert any("could not be collected" in note for note in done["notes"]), done
    await system.alive(0)


async def checkpointed(system: Running) -> dict[str, Any]:
    """A job that counts in /workspace, once there is a checkpoint of it."""
    job = await system.job(COUNTS_ON, use_spot=True, checkpoint_minutes=0.1)
    await prints(system, job["id"], "begins at 0")

    async def taken() -> bool | None:
        return (await system.job_now(job["id"]))["last_checkpoint_at"] is not None or None

    await until(taken, 60, "a checkpoint")
    return job


@pytest.mark.long
async def test_another_machine_begins_with_the_last_checkpoint(system: Running) -> None:
    job = await checkpointed(system)
    counted = int((await system.job_output(job["id"]))["stdout"].split()[-1])
    await system.simulator.post(f"/simulator/machines/{await its_machine(system, job['id'])}/outbid")
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["retries"]) == ("completed", 1), done
    assert done["restored_from"].startswith("snap_"), done
    printed = (await system.job_output(job["id"]))["stdout"].split()
    assert 0 < int(printed[2]) <= counted, printed
    assert (await system.api.get(f"/jobs/{job['id']}/artifacts/output/count")).text == "60\n"
    await system.alive(0)


@pytest.mark.long
async def test_checkpoints_go_with_their_job(system: Running) -> None:
    job = await checkpointed(system)
    instance = (await system.job_now(job["id"]))["instance_id"]
    told(await system.api.post(f"/jobs/{job['id']}/cancel"), 202)
    await system.job_becomes(job["id"])
    repository = system.installation.folder / "vault" / str(instance)

    async def gone() -> bool | None:
        return not repository.exists() or None

    await until(gone, 30, "the repository to be removed")
    await system.alive(0)


@pytest.mark.long
async def test_kill_9_while_a_checkpoint_begins_costs_time_only(system: Running) -> None:
    reached = system.order(Failpoint.CHECKPOINT_BEGUN, "kill")
    job = await checkpointed(system)
    assert reached.exists()
    assert (await system.job_becomes(job["id"]))["status"] == "completed"
    await system.alive(0)


@pytest.mark.long
async def test_a_checkpoint_that_cannot_be_restored_is_said_so(system: Running) -> None:
    job = await checkpointed(system)
    instance = (await system.job_now(job["id"]))["instance_id"]
    await asyncio.to_thread(shutil.rmtree, system.installation.folder / "vault" / str(instance) / "data")
    await system.simulator.post(f"/simulator/machines/{await its_machine(system, job['id'])}/outbid")

    async def noted() -> bool | None:
        return any("was not restored" in note for note in (await system.job_now(job["id"]))["notes"]) or None

    await until(noted, 90, "the record to say so")
    told(await system.api.post(f"/jobs/{job['id']}/cancel"), 202)
    assert (await system.job_becomes(job["id"]))["status"] == "cancelled"
    await system.alive(0)
