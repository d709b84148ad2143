from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr

from db.migrate import migrate
from db.session import Database
from gateway import route_feed
from gateway.http import access, tunnels, upstream
from gateway.server import serving
from gateway.ssh import feed as ssh_feed
from gateway.ssh import service
from settings import Settings
from tests.conftest import Migrated
from tests.gateway.machine import Machine
from tests.gateway.rows import SECRETS, Rows
from tests.patience import PATIENCE_SECONDS
from tests.postgres import Postgres


@dataclass
class Gateway:
    url: str
    http: aiohttp.ClientSession

    def at(self, path: str, tail: str) -> str:
        return f"{self.url}/e/{path}{tail}"

    def openai(self, path: str, key: str = "none") -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self.at(path, "/v1"), api_key=key, max_retries=0)


@pytest.fixture(scope="session")
def database_url(migrated: Migrated) -> str:
    """One database for all tests; each has a user of its own."""
    return migrated()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server of a test's own, which it may restart."""
    server = Postgres(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def restartable_url(postgres: Postgres) -> str:
    url = postgres.url()
    migrate(url)
    return url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=5)
    yield database
    await database.close()


@pytest.fixture
async def rows(database: Database) -> AsyncIterator[Rows]:
    rows = Rows(database)
    await rows.begin()
    yield rows
    await rows.end()


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    machine = Machine()
    await machine.start()
    yield machine
    await machine.stop()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadlines of a gateway in this process are not what most tests are about."""
    for module, name in (
        (upstream, "CONNECT_SECONDS"),
        (access, "LOOK_UP_SECONDS"),
        (route_feed, "READ_DEADLINE_SECONDS"),
        (ssh_feed, "READ_DEADLINE_SECONDS"),
        (tunnels, "CONNECT_SECONDS"),
    ):
        monkeypatch.setattr(module, name, PATIENCE_SECONDS)
    monkeypatch.setitem(service._OPTIONS, "login_timeout", PATIENCE_SECONDS)


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with gateway_on(database_url) as gateway:
        yield gateway


@asynccontextmanager
async def gateway_on(database_url: str) -> AsyncIterator[Gateway]:
    settings = Settings(database_url=database_url, gateway_port=0, secret_keys=SecretStr(SECRETS), _env_file=None)
    async with serving(settings) as running, aiohttp.ClientSession() as http:
        yield Gateway(f"http://127.0.0.1:{running.port}", http)
