"""kill -9 at every named point of a job's life: it ends as it should, ran once, printed once, and nothing is left."""

import asyncio
from pathlib import Path

import httpx
import pytest

from failpoints import Failpoint
from tests.system.running import Running, until

OF_JOBS = [point for point in Failpoint if point.name.startswith("JOB_")]
OF_MACHINES = [Failpoint.RENT_MARKED, Failpoint.RENT_ANSWERED, Failpoint.RELEASE_ASKED, Failpoint.RELEASE_CONFIRMED]
ROUNDS = 4
SCRIPT = "echo ran; sleep 0.5; echo again; mkdir -p output; date > output/when"
ANY = {"gpu_type": "RTX", "max_price": 5.0}


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("point", [*OF_JOBS, *OF_MACHINES])
async def test_kill_9_at_every_point_of_a_job(system: Running, point: Failpoint) -> None:
    for _ in range(ROUNDS):
        await killed_at(system, point)


async def killed_at(system: Running, point: Failpoint) -> None:
    reached = system.order(point, "kill")
    job_id = await queued(system, point)
    if point is Failpoint.JOB_STOP_ASKED:
        await system.job_becomes(job_id, "running")
        await system.api.post(f"/jobs/{job_id}/cancel")
    done = await system.job_becomes(job_id, seconds=150)
    await until(lambda: _is_there(reached), 30, f"a process to be at {point}")
    await system.alive(0, seconds=60)
    if point is Failpoint.JOB_STOP_ASKED:
        assert done["status"] in ("cancelled", "completed"), done
        return
    assert (done["status"], done["attempts"]) == ("completed", 1), done
    assert (await system.job_output(job_id))["stdout"] == "ran\nagain\n"
    assert (await system.api.get(f"/jobs/{job_id}/artifacts/stdout.log")).text == "ran\nagain\n"
    assert done["artifacts_count"] == 3


async def queued(system: Running, point: Failpoint) -> str:
    """Killed right after its commit, the api cannot answer; what it wrote is found and served all the same."""
    script = f"{SCRIPT}; sleep 30" if point is Failpoint.JOB_STOP_ASKED else SCRIPT
    if point is not Failpoint.JOB_COMMITTED:
        return str((await system.job(script, **ANY))["id"])
    before = {each["id"] for each in await until(lambda: _jobs(system), 30, "the api")}
    with pytest.raises(httpx.TransportError):
        await system.job(script, **ANY)

    async def there() -> str | None:
        return next((str(row["id"]) for row in await _jobs(system) if row["id"] not in before), None)

    return await until(there, 30, "the job that was committed")


async def _jobs(system: Running) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (await system.api.get("/jobs")).json()["jobs"]
    return rows


async def _is_there(path: Path) -> bool | None:
    return await asyncio.to_thread(path.exists) or None
