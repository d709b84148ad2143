from tests.db.conftest import database, database_url, ledger  # noqa: F401 - fixtures
