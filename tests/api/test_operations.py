"""`/health`, `/metrics`, and what an api says whose surroundings are down."""

import asyncio
import tomllib
from pathlib import Path

import httpx
from pydantic import SecretStr

from api import VERSION
from api.app import create_app
from settings import Settings
from tests.api.people import client
from tests.gateway.asking import becomes


async def test_health_says_what_is_missing(nobody: httpx.AsyncClient) -> None:
    async def checks() -> object:
        answer = await nobody.get("/health")
        assert answer.status_code == 503
        body = answer.json()
        assert (body["status"], body["service"], body["simulated"]) == ("degraded", "dumont-cloud", True)
        return body["checks"]

    # The database is "down" until this api has made its first rows there, which it does beside answering.
    await becomes(checks, {"database": "ok", "temporal": "ok", "worker": "down", "gateway": "down"})
    assert (await nobody.get("/health/live")).status_code == 200


async def test_the_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


async def test_metrics(settings: Settings, nobody: httpx.AsyncClient) -> None:
    assert (await nobody.get("/metrics")).status_code == 404
    app = create_app(settings.model_copy(update={"metrics_token": SecretStr("tell me")}))
    async with app.router.lifespan_context(app), client(app) as anybody, client(app, "tell me") as operator:
        assert (await anybody.get("/metrics")).status_code == 401
        text = (await operator.get("/metrics")).text
    assert 'dumont_api_requests_total{method="GET",route="/metrics",status="401"}' in text
    assert "# TYPE dumont_instances gauge" in text


async def say_nothing(*_: object) -> None:
    await asyncio.Event().wait()


async def test_a_database_that_takes_connections_and_says_nothing(settings: Settings) -> None:
    """A frozen one, or one behind a network that swallows everything: still an answer, in a time one can wait for."""
    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    app = create_app(settings.model_copy(update={"database_url": f"postgresql+psycopg://dumont@127.0.0.1:{port}/x"}))
    async with app.router.lifespan_context(app), client(app) as nobody, asyncio.timeout(120):
        assert (await nobody.get("/health")).json()["checks"]["database"] == "down"
        answer = await nobody.post("/api/auth/login", json={"email": "a@b.de", "password": "secret"})
        assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    silent.close()


async def test_everything_is_down(settings: Settings) -> None:
    """It starts all the same, and says so."""
    nowhere = "postgresql+psycopg://dumont@127.0.0.1:9/dumont"
    app = create_app(settings.model_copy(update={"database_url": nowhere, "temporal_address": "127.0.0.1:9"}))
    async with app.router.lifespan_context(app), client(app) as nobody:
        health = await nobody.get("/health")
        assert (health.status_code, set(health.json()["checks"].values())) == (503, {"down"})
        answer = await nobody.post("/api/auth/login", json={"email": "a@b.de", "password": "secret"})
    assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    assert "Retry-After" in answer.headers
