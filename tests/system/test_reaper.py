"""Machines that nobody holds are found and given back; machines that are not ours are never touched."""

import os
import subprocess
import sys
import time
from functools import partial

import psycopg
import pytest

from cli.places import ROOT
from tests.system.running import Running, until

RENT = "PUT /api/v0/asks/"


def installation_id(system: Running) -> str:
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        row = database.execute("SELECT uid FROM installation").fetchone()
    assert row is not None
    return str(row[0])


async def closed_label(system: Running) -> str:
    """Of a lease whose machine is gone; the caller has given one back."""

    async def closed() -> str | None:
        with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
            row = database.execute("SELECT label FROM leases WHERE state = 'closed' LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    return await until(closed, 20, "a closed lease")


@pytest.mark.long
async def test_a_rent_that_is_committed_after_we_gave_up_on_it_is_given_back(system: Running) -> None:
    await system.fault(RENT, "late_commit", delay_seconds=4)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["answer_lost", "working"]
    served = {machine["id"] for machine in await system.machines()}

    async def came_late() -> bool | None:
        rows = await system.machines(alive=None)
        ours = [row for row in rows if row["label"] == label]
        return (bool(ours) and not any(row["alive"] for row in ours)) or None

    label = lost_label(system, deployment["instance_id"])
    await until(came_late, 30, "the late machine to come and go")
    assert served & {machine["id"] for machine in await system.alive(1)}


def lost_label(system: Running, instance_id: int) -> str:
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        query = "SELECT label FROM leases WHERE holder_id = %s AND outcome = 'answer_lost'"
        row = database.execute(query, [str(instance_id)]).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.long
async def test_a_machine_of_ours_whose_lease_is_closed_is_given_back(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    await system.rent_by_hand(await closed_label(system))
    await system.alive(0, seconds=20)


@pytest.mark.long
async def test_a_machine_of_ours_without_a_row_is_stopped_told_of_and_given_back_later(system: Running) -> None:
    cloud_id = await system.rent_by_hand(f"dumont/{installation_id(system)}/lease_nobodyknowsthis1")

    async def stopped() -> bool | None:
        row = await system.machine(cloud_id)
        return (row["alive"] and row["status"] in ("exited", "stopped")) or None

    await until(stopped, 20, "the unknown machine to be stopped")
    alarms = (await system.api.get("/leases")).json()["alarms"]
    assert any(str(cloud_id) in alarm["text"] for alarm in alarms)
    await system.alive(0, seconds=20)


async def test_what_does_not_carry_our_exact_label_is_never_touched(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    home, label = installation_id(system), await closed_label(system)
    labels = [
        "",
        "job-1",
        f"dumont/{home}x/lease_aaaaaaaaaaaaaaaa",
        f"dumont/{home[:-1]}/lease_aaaaaaaaaaaaaaaa",
        f"{label}/x",
        f" {label}",
        label.upper(),
    ]
    foreign = [await system.rent_by_hand(each) for each in labels]
    now = time.time()
    await until(lambda: _swept(system, now, 4), 30, "four sweeps")
    assert all([(await system.machine(cloud_id))["alive"] for cloud_id in foreign])
    key = {"Authorization": f"Bearer {system.addresses['simulator_api_key']}"}
    for cloud_id in foreign:
        await until(partial(_destroy, system, cloud_id, key), 20, "the test's own clean-up")


@pytest.mark.long
async def test_too_many_strays_wait_until_a_person_who_has_looked_lets_just_those_go(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    wish = {"label": await closed_label(system), "count": 7, "target_state": "stopped"}
    planted = (await system.simulator.post("/simulator/machines", json=wish)).json()["ids"]
    await until(lambda: _limited(system, planted), 30, "the alarm")
    now = time.time()
    await until(lambda: _swept(system, now, 3), 30, "three sweeps")
    assert len(await system.alive(7)) == 7
    assert all(str(number) in dumont(system, "orphans") for number in planted)
    dumont(system, "orphans", *map(str, planted[:2]), "--go-on", "--yes")
    left = await system.alive(5, seconds=30)
    assert {row["id"] for row in left} == set(planted[2:])
    dumont(system, "orphans", "--go-on", "--yes")
    await system.alive(0, seconds=40)
    await until(lambda: _unlimited(system), 20, "the alarm to end")


def dumont(system: Running, *words: str) -> str:
    """One of our commands, as the operator would call it; what it prints."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")}
    command = [sys.executable, "-P", "-m", "cli", *words, "--data-dir", str(system.installation.folder)]
    done = subprocess.run(
        command, env={**own, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


async def _safety_limit_alarms(system: Running) -> bool:
    alarms = (await system.api.get("/leases")).json()["alarms"]
    return any(alarm["kind"] == "reaper_safety_limit" for alarm in alarms)


async def _limited(system: Running, planted: list[int]) -> bool | None:
    assert {row["id"] for row in await system.machines()} == set(planted)
    return await _safety_limit_alarms(system) or None


async def _unlimited(system: Running) -> bool | None:
    return not await _safety_limit_alarms(system) or None


async def _swept(system: Running, since: float, times: int) -> bool | None:
    """Whole-account listings that reached the cloud: only the reaper's have no label filter."""
    rows = (await system.simulator.get("/simulator/requests", params={"since": since})).json()["requests"]
    return sum("/api/v1/instances/" in row["path"] and "%7B%7D" in row["path"] for row in rows) >= times or None


async def _destroy(system: Running, cloud_id: int, key: dict[str, str]) -> bool | None:
    return (await system.simulator.delete(f"/api/v0/instances/{cloud_id}/", headers=key)).is_success or None
