"""One running system for all of these tests: what one test breaks, the system has to mend before the next."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cli.installation import Installation, await_none_left
from tests.openssh import WITH_REAL_SSHD
from tests.system.figures import Figures
from tests.system.running import Running

# Deadlines of many minutes would make a test of many minutes: these are the same settings that an operator has. None is
# so short that a busy computer decides who meets it.
DEADLINES = """
DUMONT_MODEL_DEADLINE_SECONDS=60
DUMONT_SERVER_CHECK_SECONDS=1
DUMONT_SERVER_RESTARTS=2
DUMONT_SERVER_RESTART_PAUSE_SECONDS=0.5
DUMONT_BOOT_DEADLINE_SECONDS=60
DUMONT_SETTLE_SECONDS=1.5
DUMONT_RELAY_AFTER_SECONDS=2
DUMONT_RECONCILE_SECONDS=4
DUMONT_SWEEP_SECONDS=2
DUMONT_RELEASE_ALARM_SECONDS=2
DUMONT_REAP_SECONDS=4
DUMONT_REAP_APART_SECONDS=1.5
DUMONT_ORPHAN_GRACE_SECONDS=4
DUMONT_PAIRING_SECONDS=5
DUMONT_SNAPSHOT_STALL_SECONDS=30
DUMONT_WAKE_STALL_SECONDS=40
DUMONT_DEFAULT_MAX_GPUS=20
DUMONT_QUEUE_SECONDS=2
DUMONT_COLLECT_SECONDS=4
DUMONT_COLLECT_AGAIN_MINUTES=0.1
DUMONT_COLLECT_HOURS=0.05
DUMONT_EXPIRE_SECONDS=6
"""


PATIENT = """
DUMONT_MODEL_DEADLINE_SECONDS=120
DUMONT_BOOT_DEADLINE_SECONDS=120
"""
"""For drills: a killed worker is missed after seconds, and on a busy machine these must not decide who fails."""


def prepared(folder: Path, more: str = "") -> Installation:
    """An installation with these deadlines, and a folder for orders to its processes; not started yet."""
    (folder / "points").mkdir()
    (folder / ".env").write_text(f"{DEADLINES}{more}DUMONT_FAILPOINTS_DIR='{folder / 'points'}'\n")
    return Installation(folder / "data", environment=WITH_REAL_SSHD)


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with started(prepared(tmp_path_factory.mktemp("the system"))) as made:
        yield made


@contextlib.contextmanager
def started(made: Installation) -> Iterator[Installation]:
    """It runs, and at the end it ends well and leaves no process."""
    try:
        made.start()
        yield made
    finally:
        ended = made.stop()
    assert ended == 0
    await_none_left(made)


@pytest.fixture(scope="module")
def patient_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with started(prepared(tmp_path_factory.mktemp("a drill"), PATIENT)) as made:
        yield made


COUNTED = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """What all drills of this run counted; printed when they are over."""
    return pytestconfig.stash.setdefault(COUNTED, Figures())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (counted := config.stash.get(COUNTED, None)) is not None:
        terminalreporter.write_line(str(counted))


@pytest_asyncio.fixture
async def system(installation: Installation) -> AsyncIterator[Running]:
    """A new user of the running system; afterwards nothing was rented twice, and no fault and no machine is left."""
    async with user_of(installation) as running:
        yield running


@pytest_asyncio.fixture
async def patient_system(patient_installation: Installation) -> AsyncIterator[Running]:
    """The same of one whose deadlines a drill never meets."""
    async with user_of(patient_installation) as running:
        yield running


@contextlib.asynccontextmanager
async def user_of(installation: Installation) -> AsyncIterator[Running]:
    running = Running(installation)
    await running.register()
    yield running
    assert await asyncio.to_thread(running.rented_twice) == []
    await running.simulator.delete("/simulator/faults")
    for job in (await running.api.get("/jobs", params={"limit": 500})).json()["jobs"]:
        await running.api.post(f"/jobs/{job['id']}/cancel")
    for deployment in (await running.api.get("/models")).json()["models"]:
        await running.stop(deployment["id"])
    for instance in (await running.api.get("/instances", params={"all": True})).json()["instances"]:
        await running.api.delete(f"/instances/{instance['id']}")
    await running.alive(0)
    await running.close()
