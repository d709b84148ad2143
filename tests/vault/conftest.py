from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from db.migrate import migrate
from db.session import Database
from settings import Settings
from tests.conftest import Migrated
from tests.openssh import REAL_SSHD
from tests.ports import free_port
from tests.simulator.conftest import Simulator, running
from tests.vault.world import Door, World, door, settings_for


@pytest.fixture(scope="package")
def database_url(migrated: Migrated) -> str:
    """One database for all tests; each has a user and an account of its own."""
    url = migrated()
    migrate(url, "first home")
    return url


@pytest.fixture(scope="package")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=10)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def spare_ports() -> list[int]:
    """Of this computer, and open to simulated machines: the first is the vault's, the others a test's own."""
    return [free_port() for _ in range(4)]


@pytest.fixture(scope="package")
def simulator(tmp_path_factory: pytest.TempPathFactory, spare_ports: list[int]) -> Iterator[Simulator]:
    ways_out = [word for port in spare_ports for word in ("--way-out", str(port))]
    with running(tmp_path_factory.mktemp("cloud") / "data", *ways_out, *REAL_SSHD) as simulator:
        yield simulator


@pytest.fixture(scope="package")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory, spare_ports: list[int]) -> Settings:
    return settings_for(database_url, tmp_path_factory.mktemp("installation"), spare_ports[0])


@pytest.fixture(scope="package")
def the_door(settings: Settings) -> Iterator[Door]:
    with door(settings) as opened:
        yield opened


@pytest_asyncio.fixture
async def world(settings: Settings, database: Database, simulator: Simulator, the_door: Door) -> AsyncIterator[World]:
    """A user whose machines reach the vault."""
    world = World(settings, database, simulator)
    await world.begin()
    yield world
    simulator.control.post("/simulator/reset", timeout=120).raise_for_status()  # many files are wiped


@pytest.fixture
def unreachable_port() -> int:
    """Of this computer; no simulated machine gets there."""
    return free_port()
