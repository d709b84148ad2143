"""How the gateway learns where endpoints lead, and what it does while it cannot."""

import asyncio
import time

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from db.session import Database
from domain.endpoints.phases import AccessType, EndpointState, ModelType
from gateway import route_feed
from gateway.routes import LeaseAddress, Route, RouteTable
from tests.gateway.asking import CHAT, ask, becomes
from tests.gateway.conftest import Gateway, gateway_on
from tests.gateway.machine import Machine
from tests.gateway.rows import Rows
from tests.postgres import Postgres


async def test_the_gateway_says_when_it_can_serve(gateway: Gateway) -> None:
    async def health() -> int:
        async with gateway.http.get(f"{gateway.url}/health") as answer:
            return answer.status

    await becomes(health, 200)


async def test_an_endpoint_starts_is_ready_and_closes(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine, state=EndpointState.STARTING)
    async with gateway.http.get(gateway.at(path, "/health")) as answer:
        assert (answer.status, (await answer.json())["status"]) == (503, "starting")
        assert "Retry-After" in answer.headers
    async with gateway.http.post(gateway.at(path, CHAT), json={}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "starting")
        assert "Retry-After" in answer.headers
    await rows.change(path, notify=True, state=EndpointState.READY)
    await becomes(lambda: ask(gateway, path), 200)
    async with gateway.http.get(gateway.at(path, "/health")) as answer:
        assert await answer.json() == {"status": "healthy", "model": "tiny", "model_type": "llm"}
    await rows.change(path, notify=True, state=EndpointState.CLOSED)
    await becomes(lambda: ask(gateway, path), 404)


async def test_a_notice_tells_without_any_reading(
    database_url: str, rows: Rows, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_feed, "REREAD_SECONDS", 3600)
    async with gateway_on(database_url) as gateway:
        path = await rows.published(machine)
        await becomes(lambda: ask(gateway, path), 200)
        await rows.change(path, notify=True, state=EndpointState.CLOSED)
        await becomes(lambda: ask(gateway, path), 404)


async def test_a_change_without_a_notice_is_found(
    database_url: str, rows: Rows, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_feed, "REREAD_SECONDS", 0.1)
    async with gateway_on(database_url) as gateway:
        path = await rows.published(machine)
        await becomes(lambda: ask(gateway, path), 200)
        await rows.change(path, notify=False, state=EndpointState.CLOSED)
        await becomes(lambda: ask(gateway, path), 404)


async def test_who_asks_as_soon_as_the_row_says_ready_is_served(
    database_url: str, rows: Rows, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The api has told the caller; the gateway has not heard of it yet."""
    monkeypatch.setattr(route_feed, "REREAD_SECONDS", 3600)
    async with gateway_on(database_url) as gateway:
        path = await rows.published(machine, state=EndpointState.STARTING)
        await becomes(lambda: ask(gateway, path), 503)
        await rows.change(path, notify=False, state=EndpointState.READY)
        assert await ask(gateway, path) == 200


async def test_a_new_machine_behind_an_endpoint_is_taken_up(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    await becomes(lambda: ask(gateway, path), 200)
    other = Machine()
    await other.start()
    await rows.change(path, notify=True, lease_id=await rows.lease(other), port=other.port)
    machine.vanish()
    await becomes(lambda: ask(gateway, path), 200)
    assert other.bodies
    await other.stop()


async def test_unknown_paths_do_not_reach_the_database_each_time(gateway: Gateway, rows: Rows) -> None:
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "endpoints.path" in statement.split("WHERE")[-1]:
            asked.append(statement)

    began = time.monotonic()
    event.listen(Engine, "before_cursor_execute", note)
    try:
        statuses = await asyncio.gather(*(ask(gateway, f"scan-{number}") for number in range(300)))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert set(statuses) <= {404, 503}
    assert len(asked) <= route_feed.LOOK_UPS_PER_SECOND * (1 + time.monotonic() - began) + 1
    assert await ask(gateway, "no/../such thing") == 404


async def test_known_routes_outlive_the_database(postgres: Postgres, restartable_url: str, machine: Machine) -> None:
    database = Database(restartable_url, pool_size=2)
    rows = Rows(database)
    await rows.begin()
    path, private = await rows.published(machine), await rows.published(machine, key="secret")
    async with gateway_on(restartable_url) as gateway:
        await becomes(lambda: ask(gateway, path), 200)
        await becomes(lambda: ask(gateway, private), 401)  # both are known now, and not the first alone
        await database.close()
        await asyncio.to_thread(postgres.stop)
        try:
            assert await ask(gateway, path) == 200
            assert await ask(gateway, "unknown-path") == 503
            assert await ask(gateway, private) == 401  # no credential: nothing to look up
            assert await ask(gateway, private, "secret") == 200
            assert await ask(gateway, private, "dumont_sk_x") == 503
        finally:
            await asyncio.to_thread(postgres.start)
        await rows.change(path, notify=True, state=EndpointState.CLOSED)
        await becomes(lambda: ask(gateway, path), 404)
    await database.close()


def _route(number: int) -> Route:
    return Route(
        *(f"ep_{number}", f"path-{number}", 1, AccessType.PUBLIC, None, ModelType.LLM, "tiny", EndpointState.READY),
        *(8000, "", 1, LeaseAddress(f"lease_{number}", "127.0.0.1", 22, "key", "")),
    )


def test_what_was_found_while_all_were_being_read_is_not_lost_by_that() -> None:
    """A caller who is quicker than the notice has his route looked up; his tunnel must not be closed under him."""
    told: list[set[str]] = []
    table = RouteTable(lambda routes: told.append({route.id for route in routes}))
    table.replace_all([_route(1), _route(2)], table.now)
    began = table.now
    table.put(_route(3))
    table.replace_all([_route(1)], began)
    assert told[-1] == {"ep_1", "ep_3"}
    table.replace_all([_route(1)], table.now)
    assert told[-1] == {"ep_1"}
