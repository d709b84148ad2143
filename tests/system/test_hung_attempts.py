"""A worker stands still in the middle of a rent and wakes up when another has gone on: rented once all the same."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from cli.places import ROOT
from failpoints import Failpoint
from tests.system.running import Running, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture
def workers(system: Running) -> Iterator[list[int]]:
    """The pids of two workers: the installation's, and one of this test's own."""
    folder = system.installation.folder
    kept = {name: value for name, value in dotenv_values(folder / "environment").items() if value is not None}
    own = {name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")}
    second = subprocess.Popen(
        [sys.executable, "-P", "-m", "worker"], env={**own, **kept, "PYTHONPATH": str(ROOT)}, cwd=folder.parent
    )
    pids = [int(system.installation.read()["pids"]["worker"]), second.pid]
    try:
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        second.terminate()
        assert second.wait(60) == 0


def state_of(pid: int) -> str:
    """`T`: it stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def stopped_one(pids: list[int]) -> int | None:
    """The worker that a point has stopped."""
    return next((pid for pid in pids if state_of(pid) == "T"), None)


async def asked(system: Running, since: float) -> list[dict[str, Any]]:
    """The rent requests that reached the cloud."""
    rows = (await system.simulator.get("/simulator/requests", params={"since": since})).json()["requests"]
    return [row for row in rows if row["method"] == "PUT" and row["path"].startswith("/api/v0/asks/")]


async def deployed_past_a_stop(system: Running, workers: list[int], point: Failpoint) -> tuple[dict[str, Any], int]:
    """A deploy that is ready although a worker stopped at this point; its status, and the worker that still stands."""
    system.order(point, "stop")
    deployment = await system.deploy()
    standing = await until(partial(stopped_one, workers), 30, f"a worker to stop at {point}")
    return await system.ready(deployment["id"], seconds=120), standing


@pytest.mark.parametrize(
    ("point", "outcomes"),
    [(Failpoint.RENT_BEGUN, ["working"]), (Failpoint.RENT_MARKED, ["answer_lost", "working"])],
    ids=["before it marked the lease", "after it marked the lease"],
)
async def test_an_attempt_that_hangs_before_its_request_wakes_up_when_another_has_rented(
    system: Running, workers: list[int], point: Failpoint, outcomes: list[str]
) -> None:
    """Woken after the mark it may ask after all: what comes of that belongs to a closed lease, and is given back."""
    since = time.time()
    status, standing = await deployed_past_a_stop(system, workers, point)
    assert [each["outcome"] for each in status["offers_tried"]] == outcomes
    (machine,) = await system.alive(1)
    os.kill(standing, signal.SIGCONT)
    another = await system.deploy()  # a whole deploy is long enough for the one that woke to have asked
    await system.ready(another["id"], seconds=120)
    assert point is Failpoint.RENT_MARKED or len(await asked(system, since)) == 2
    await system.stop(another["id"])
    assert [row["id"] for row in await system.alive(1, seconds=60)] == [machine["id"]]
