"""One running system for all of these tests: what one test breaks, the system has to mend before the next."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cli.installation import Installation
from tests.system.running import Running

# Deadlines of minutes would make a test of minutes: these are the same settings that an operator has.
DEADLINES = """
DUMONT_MODEL_DEADLINE_SECONDS=10
DUMONT_BOOT_DEADLINE_SECONDS=12
DUMONT_SETTLE_SECONDS=1.5
DUMONT_RECONCILE_SECONDS=1
DUMONT_SWEEP_SECONDS=1
DUMONT_RELEASE_ALARM_SECONDS=2
DUMONT_REAP_SECONDS=1
DUMONT_REAP_APART_SECONDS=1.5
DUMONT_STRAY_GRACE_SECONDS=4
DUMONT_PAIRING_SECONDS=5
DUMONT_DEFAULT_MAX_GPUS=20
"""


def prepared(folder: Path) -> Installation:
    """An installation with these deadlines, and a folder for orders to its processes; not started yet."""
    (folder / "points").mkdir()
    (folder / ".env").write_text(f"{DEADLINES}DUMONT_POINTS_DIR='{folder / 'points'}'\n")
    return Installation(folder / "data")


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("the system")
    made = prepared(folder)
    try:
        made.start()
        yield made
    finally:
        ended = made.stop()
    assert ended == 0
    assert made.left() == []


@pytest_asyncio.fixture
async def system(installation: Installation) -> AsyncIterator[Running]:
    """A new user of the running system; afterwards no fault is left, and no machine."""
    running = Running(installation)
    await running.register()
    yield running
    await running.simulator.delete("/simulator/faults")
    for deployment in (await running.api.get("/models")).json()["models"]:
        await running.stop(deployment["id"])
    await running.alive(0)
    await running.close()
