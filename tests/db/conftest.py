from collections.abc import AsyncIterator

import pytest

from db.migrate import migrate
from db.session import Database
from tests.conftest import Migrated
from tests.db.ledger import Ledger


@pytest.fixture(scope="session")
def database_url(migrated: Migrated) -> str:
    """One database for all tests; each has a user and an account of its own."""
    url = migrated()
    migrate(url, "first home")
    return url


@pytest.fixture
def new_url(migrated: Migrated) -> str:
    """A database that no installation has used yet."""
    return migrated()


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
