"""A thousand sleeping instances: what our processes use while nothing happens.

One instance is made and hibernated through the api; its rows are copied, and the reconciler starts a workflow for each.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import Count
from benchmarks.system import logged_in, running
from settings import Settings
from workflow_client.client import connect

SLEEPERS = 1000
SETTLE_SECONDS = 30.0
SERVED_WITHIN_SECONDS = 300.0
WATCHED_SECONDS = 60.0
OURS = ("api", "worker", "gateway", "vault")
ENGINES = ("temporal", "postgres")
COPY_INSTANCE = """
INSERT INTO instances SELECT (jsonb_populate_record(row, jsonb_build_object(
    'id', number, 'ssh_port', 10000 + number, 'status', 'hibernated', 'desired', 'hibernated'))).*
FROM (SELECT i AS row FROM instances i LIMIT 1) one, generate_series(100001, 100000 + %s) AS number
"""
COPY_SNAPSHOTS = """
INSERT INTO snapshots SELECT (jsonb_populate_record(row, jsonb_build_object(
    'id', (row).id || number, 'instance_id', number))).*
FROM (SELECT s AS row FROM snapshots s) known, generate_series(100001, 100000 + %s) AS number
"""


def measure() -> list[Count]:
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "data") as addresses:
        _one_instance(addresses)
        alone = _watched(addresses["pids"])
        with psycopg.connect(addresses["database"].replace("+psycopg", "")) as database:
            database.execute(COPY_INSTANCE, [SLEEPERS])
            database.execute(COPY_SNAPSHOTS, [SLEEPERS])
        asyncio.run(_all_served(addresses["temporal"]))
        time.sleep(SETTLE_SECONDS)
        among = _watched(addresses["pids"])
        memory = sum(_memory_mb(addresses["pids"][name]) for name in OURS)
    unit = "CPU in hundredths of a percent of a core"
    return [
        Count(f"one sleeper, {unit}: api, worker, gateway and vault together", sum(alone[name] for name in OURS)),
        Count(f"{SLEEPERS} sleepers, {unit}: the same together", sum(among[name] for name in OURS), 200),
        *(Count(f"{SLEEPERS} sleepers, {unit}: {name}", among[name]) for name in (*OURS, *ENGINES)),
        Count(f"{SLEEPERS} sleepers: memory of api, worker, gateway and vault, MB", memory),
    ]


def _one_instance(addresses: dict[str, Any]) -> None:
    api = logged_in(addresses)
    made = api.post("/instances", json={"gpu_type": "RTX 4090"}).raise_for_status().json()
    for verb, status in (("", "running"), ("hibernate", "hibernated")):
        if verb:
            api.post(f"/instances/{made['id']}/{verb}").raise_for_status()
        while api.get(f"/instances/{made['id']}").json()["status"] != status:
            time.sleep(0.1)


async def _all_served(address: str) -> None:
    """Wait until every sleeper has its workflow."""
    temporal = await connect(Settings(temporal_address=address))
    query = "WorkflowType = 'InstanceWorkflow' AND ExecutionStatus = 'Running'"
    async with asyncio.timeout(SERVED_WITHIN_SECONDS):
        while (await temporal.count_workflows(query)).count < SLEEPERS:  # noqa: ASYNC110 - visibility tells nobody
            await asyncio.sleep(1)


def _watched(pids: Mapping[str, int]) -> dict[str, int]:
    """Each process's share of a core over a while, its children included, in hundredths of a percent."""
    before = {name: _cpu_seconds(pids[name]) for name in (*OURS, *ENGINES)}
    time.sleep(WATCHED_SECONDS)
    return {name: round(10_000 * (_cpu_seconds(pids[name]) - before[name]) / WATCHED_SECONDS) for name in before}


def _cpu_seconds(pid: int) -> float:
    ticks = sum(sum(map(int, _stat(each)[11:13])) for each in [pid, *_children(pid)])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    every = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    direct = [each for each in every if (fields := _stat(each)) and int(fields[1]) == pid]
    return direct + [inner for each in direct for inner in _children(each)]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _memory_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1_000_000
