from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings
from tests.api.people import Cloud, client, new_user, renter
from tests.cli.installation import Installation
from tests.conftest import Migrated

Surroundings = tuple[Installation, dict[str, Any]]


@pytest.fixture(scope="package")
def surroundings(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated) -> Iterator[Surroundings]:
    """What the api needs around it: all parts but those that the tests run themselves, or do not want."""
    without = [f"--without={name}" for name in ("api", "worker", "gateway")]
    made = Installation(tmp_path_factory.mktemp("api") / "data", *without, database_url=migrated())
    yield made, made.start()
    made.stop()


@pytest.fixture(scope="package")
def settings(surroundings: Surroundings) -> Settings:
    folder = surroundings[0].folder
    return Settings(_env_file=folder / "environment")


@pytest.fixture(scope="package")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="package")
async def cloud(surroundings: Surroundings) -> AsyncIterator[Cloud]:
    cloud = Cloud(surroundings[1]["simulator"])
    yield cloud
    await cloud.close()


@pytest.fixture
async def nobody(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client(app) as nobody:
        yield nobody


@pytest.fixture
async def ana(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    ana = await new_user(app)
    yield ana
    await ana.aclose()


@pytest.fixture
async def rita(app: FastAPI, cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    """Has a cloud account of her own."""
    rita = await renter(app, cloud)
    yield rita
    await rita.aclose()


@pytest.fixture(scope="package")
async def deployed(app: FastAPI, cloud: Cloud) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any]]]:
    """Somebody else, and a deployment of theirs that nobody changes."""
    owner = await renter(app, cloud)
    made = await owner.post("/api/models/deploy", json={"model": "BAAI/bge-m3", "gpu_name": "RTX 3090"})
    assert made.status_code == 201, made.text
    yield owner, made.json()
    await owner.aclose()
