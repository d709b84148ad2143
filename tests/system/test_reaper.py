"""Machines that nobody holds are found and given back; machines that are not ours are never touched."""

from functools import partial

import psycopg

from tests.system.running import Running, until

RENT = "PUT /api/v0/asks/"


def installation_id(system: Running) -> str:
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        row = database.execute("SELECT uid FROM installation").fetchone()
    assert row is not None
    return str(row[0])


def closed_label(system: Running) -> str:
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        row = database.execute("SELECT label FROM leases WHERE state = 'closed' LIMIT 1").fetchone()
    assert row is not None
    return str(row[0])


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


async def test_a_machine_of_ours_whose_lease_is_closed_is_given_back(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    await system.rent_by_hand(closed_label(system))
    await system.alive(0, seconds=20)


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
    home, label = installation_id(system), closed_label(system)
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
    sweeps = await sweeps_so_far(system)

    async def swept() -> bool | None:
        return await sweeps_so_far(system) >= sweeps + 4 or None

    await until(swept, 30, "four sweeps")
    assert all([(await system.machine(cloud_id))["alive"] for cloud_id in foreign])
    key = {"Authorization": f"Bearer {system.addresses['simulator_api_key']}"}
    for cloud_id in foreign:
        await until(partial(_destroy, system, cloud_id, key), 20, "the test's own clean-up")


async def sweeps_so_far(system: Running) -> int:
    """Whole-account listings that reached the cloud: only the reaper's have no label filter."""
    rows = (await system.simulator.get("/simulator/requests", params={"since": 0})).json()["requests"]
    return sum("/api/v1/instances/" in row["path"] and "%7B%7D" in row["path"] for row in rows)


async def _destroy(system: Running, cloud_id: int, key: dict[str, str]) -> bool | None:
    return (await system.simulator.delete(f"/api/v0/instances/{cloud_id}/", headers=key)).is_success or None
