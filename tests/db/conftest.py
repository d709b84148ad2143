import os
import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import create_engine, make_url, text

from db.migrate import migrate
from db.session import Database
from tests.db.ledger import Ledger
from tests.gateway.conftest import postgres  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("TEST_DATABASE_URL")
    return given or str(request.getfixturevalue("postgres").url("postgres"))


def made_empty(server_url: str) -> str:
    """The address of a new database."""
    name = f"db_{secrets.token_hex(4)}"
    with create_engine(server_url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def database_url(server_url: str) -> str:
    """One database for all tests; each has a user and an account of its own."""
    url = made_empty(server_url)
    migrate(url, "first home")
    return url


@pytest.fixture
def new_url(server_url: str) -> str:
    """A database that nothing was done to."""
    return made_empty(server_url)


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=10)
    yield database
    await database.close()


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    ledger = Ledger(database)
    await ledger.begin()
    return ledger
