"""Databases that were lost, restored or copied: machines in use live on, and none is forgotten."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from cli.places import ROOT
from tests.cli.installation import Installation
from tests.system.conftest import DEADLINES, prepared
from tests.system.running import Running, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Installation]:
    """An installation of this test's own, for it is taken apart."""
    made = prepared(tmp_path)
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()


@pytest_asyncio.fixture
async def running(own: Installation) -> AsyncIterator[Running]:
    system = Running(own)
    await system.register()
    yield system
    await system.close()


async def again(system: Running) -> None:
    """Start what was stopped; addresses are the same, the user's token still holds."""
    await asyncio.to_thread(system.installation.start)


async def sweeps(system: Running, count: int) -> None:
    """So many more sweeps of the reaper."""
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        database.execute("SELECT 1")

    async def listed() -> int:
        rows = (await system.simulator.get("/simulator/requests", params={"since": 0})).json()["requests"]
        return sum("/api/v1/instances/" in row["path"] and "%7B%7D" in row["path"] for row in rows)

    begun = await listed()

    async def enough() -> bool | None:
        return await listed() >= begun + count or None

    await until(enough, 60, f"{count} sweeps")


async def test_a_lost_temporal_database_costs_time_only(running: Running) -> None:
    deployment = await running.deploy()
    await running.ready(deployment["id"])
    (machine,) = await running.machines()
    running.installation.stop()
    for path in running.installation.folder.glob("temporal.db*"):
        path.unlink()
    await again(running)
    await sweeps(running, 3)
    assert [each["id"] for each in await running.alive(1)] == [machine["id"]]
    await until(lambda: answers(running, deployment["endpoint"]), 30, "the endpoint")
    await running.stop(deployment["id"])
    await running.alive(0)


async def test_a_restored_postgres_reports_until_adopted_then_gives_back_what_it_forgot(running: Running) -> None:
    folder = running.installation.folder
    first = await running.deploy()
    await running.ready(first["id"])
    running.installation.stop()
    shutil.copytree(folder / "postgres", folder.parent / "backup")
    await again(running)
    await asyncio.sleep(8)  # an hour in the life of this installation: the pairing is renewed every five seconds
    await running.ready((await running.deploy())["id"])
    await running.alive(2)
    running.installation.stop()
    shutil.rmtree(folder / "postgres")
    shutil.copytree(folder.parent / "backup", folder / "postgres")
    await again(running)
    await sweeps(running, 5)
    await running.alive(2)
    kinds = [alarm["kind"] for alarm in (await running.api.get("/leases")).json()["alarms"]]
    assert "not_paired" in kinds
    adopt(folder)
    (machine,) = await running.alive(1, seconds=40)
    assert machine["label"].split("/")[-1] == await lease_of(running, first["instance_id"])
    await running.stop(first["id"])
    await running.alive(0)


async def test_a_copied_data_folder_leaves_the_originals_machines_alone(running: Running, tmp_path: Path) -> None:
    deployment = await running.deploy()
    await running.ready(deployment["id"])
    running.installation.stop()
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(running.installation.folder, tmp_path / "elsewhere" / "data", symlinks=True)
    await again(running)
    copy = Installation(tmp_path / "elsewhere" / "data", "--without", "simulator")
    url, key = running.addresses["simulator"], running.addresses["simulator_api_key"]
    cloud = f"DUMONT_VAST_URL={url}\nDUMONT_VAST_API_KEY={key}\nDUMONT_SIMULATED=true\nDUMONT_CLOUD_PACE=0.02\n"
    (tmp_path / "elsewhere" / ".env").write_text(DEADLINES + cloud)
    copy.start()
    try:
        await sweeps(running, 6)
        await running.alive(1)
        assert (await running.api.get(f"{deployment['endpoint']}/v1/models")).status_code == 200
        with psycopg.connect(copy.read()["database"].replace("+psycopg", "")) as database:
            left = database.execute("SELECT count(*) FROM leases WHERE state <> 'closed'").fetchone()
            alarms = database.execute("SELECT kind FROM alarms").fetchall()
        assert left == (0,)
        assert ("former",) in alarms
    finally:
        copy.stop()
    await running.alive(1)
    await running.stop(deployment["id"])
    await running.alive(0)


def adopt(folder: Path) -> None:
    """`dumont adopt --yes`, as its user would call it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")}
    command = [sys.executable, "-P", "-m", "cli", "adopt", "--yes", "--data-dir", str(folder)]
    subprocess.run(command, env={**own, "PYTHONPATH": str(ROOT)}, check=True, cwd=folder.parent, timeout=60)


async def lease_of(system: Running, instance_id: int) -> str:
    rows = json.loads((await system.api.get("/leases")).text)["leases"]
    return next(str(row["id"]) for row in rows if row["holder"]["id"] == str(instance_id))


async def answers(system: Running, endpoint: str) -> bool | None:
    return (await system.api.get(f"{endpoint}/v1/models")).status_code == 200 or None
