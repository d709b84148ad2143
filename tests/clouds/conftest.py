import pytest

from tests.clouds.memory_provider import MemoryService
from tests.clouds.troubles import Service
from tests.clouds.vast_service import VastService
from tests.db.conftest import database, database_url  # noqa: F401 - fixtures


@pytest.fixture(params=[VastService, MemoryService], ids=["vast", "memory"])
def service(request: pytest.FixtureRequest) -> Service:
    """Each kind of cloud, one after the other: what holds for one holds for all."""
    made: Service = request.param()
    return made
