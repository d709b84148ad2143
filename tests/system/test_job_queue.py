"""More jobs than a user may hold, or than the market has: they wait in order, say so, and all run."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.system.running import Running, until


@pytest.mark.long
async def test_what_is_over_the_limit_waits_in_order_and_shows_its_place(system: Running) -> None:
    await system.api.put("/settings", json={"settings": {"max_gpus": 1}})
    jobs = [await system.job("sleep 0.5") for _ in range(4)]
    await system.job_becomes(jobs[0]["id"], "provisioning", "running")

    async def waiting() -> list[dict[str, Any]] | None:
        rows = [await system.job_now(job["id"]) for job in jobs[1:]]
        return rows if [row["waiting_for"] for row in rows] == ["gpu_limit", "turn", "turn"] else None

    rows = await until(waiting, 30, "the others to wait for the first")
    assert [row["queue_position"] for row in rows] == [1, 2, 3]
    assert "limit" in rows[0]["message"]
    done = [await system.job_becomes(job["id"], seconds=110) for job in jobs]
    assert [row["status"] for row in done] == ["completed"] * 4
    started = [datetime.fromisoformat(row["started_at"]) for row in done]
    assert started == sorted(started)
    await system.alive(0)


@pytest.mark.long
async def test_who_waits_for_another_gpu_holds_nobody_up(system: Running) -> None:
    offers = (await system.api.get("/instances/offers", params={"gpu_name": "H100", "num_gpus": 1})).json()["offers"]
    if not offers:
        offers = (await system.api.get("/instances/offers", params={"gpu_name": "A100"})).json()["offers"]
    rare = offers[0]
    one = {"gpu_type": rare["gpu_name"], "num_gpus": rare["num_gpus"], "max_price": rare["dph_total"] * 1.0001}
    holding = await system.job("sleep 60", **one)
    await system.job_becomes(holding["id"], "running")
    waiting = await system.job("true", **one)

    async def waits() -> bool | None:
        row = await system.job_now(waiting["id"])
        return row["waiting_for"] == "no_offers" or row["status"] != "queued" or None

    await until(waits, 30, "the second to be tried")
    other = await system.job("true")
    assert (await system.job_becomes(other["id"]))["status"] == "completed"
    await system.api.post(f"/jobs/{holding['id']}/cancel")
    assert (await system.job_becomes(waiting["id"]))["status"] == "completed"


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_thirty_jobs_at_once_on_ten_offers_all_complete(system: Running) -> None:
    await system.api.put("/settings", json={"settings": {"spending_cap_per_day": 5000, "max_gpus": 20}})
    jobs = await asyncio.gather(*(system.job(f"echo number {n}; sleep 0.3", max_price=5) for n in range(30)))
    done = [await system.job_becomes(job["id"], seconds=400) for job in jobs]
    assert {row["status"] for row in done} == {"completed"}, [row for row in done if row["status"] != "completed"]
    for n, job in enumerate(jobs):
        assert (await system.job_output(job["id"]))["stdout"] == f"number {n}\n"
    await system.alive(0)
