import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from db.migrate import migrate
from db.session import Database
from gateway.server import serving
from settings import Settings
from tests.gateway.machine import Machine
from tests.gateway.postgres import Postgres
from tests.gateway.rows import SECRETS, Rows


@dataclass
class Gateway:
    url: str
    http: aiohttp.ClientSession

    def at(self, path: str, tail: str) -> str:
        return f"{self.url}/e/{path}{tail}"

    def openai(self, path: str, key: str = "none") -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self.at(path, "/v1"), api_key=key, max_retries=0)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that a test may restart."""
    server = Postgres(tmp_path_factory.mktemp("gateway"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of our own, on TEST_DATABASE_URL's server where that is set."""
    given = os.environ.get("TEST_DATABASE_URL")
    server = make_url(given or request.getfixturevalue("postgres").url("postgres"))
    return _made(server.render_as_string(hide_password=False))


def _made(server: str) -> str:
    name = f"gateway_{secrets.token_hex(4)}"
    with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    return url


@pytest.fixture
def restartable_url(postgres: Postgres) -> str:
    return _made(postgres.url("postgres"))


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    database = Database(database_url, pool_size=2)
    rows = Rows(database)
    await rows.begin()
    yield rows
    await database.close()


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    machine = Machine()
    await machine.start()
    yield machine
    await machine.stop()


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with gateway_on(database_url) as gateway:
        yield gateway


@asynccontextmanager
async def gateway_on(database_url: str) -> AsyncIterator[Gateway]:
    settings = Settings(database_url=database_url, gateway_port=0, secret_keys=SecretStr(SECRETS), _env_file=None)
    async with serving(settings) as running, aiohttp.ClientSession() as http:
        yield Gateway(f"http://127.0.0.1:{running.port}", http)
