"""The SSH connections to the machines: whom they trust, and how they come back."""

import asyncio
import socket
import time
from typing import Any

import pytest
from sqlalchemy import update

from db.machines.tables import Lease
from domain.machines.phases import LeaseState
from gateway.http import upstream
from gateway.http.health import REMEMBERED_SECONDS
from tests.gateway.asking import ask, becomes
from tests.gateway.conftest import Gateway, gateway_on
from tests.gateway.machine import Machine
from tests.gateway.rows import Rows


async def test_an_address_that_changed_hands_never_gets_a_prompt(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    impostor = Machine()
    await impostor.start()
    lease = await rows.lease(impostor, host_key=machine.host_key)
    path = await rows.endpoint(impostor, lease)
    assert await ask(gateway, path) == 503
    async with gateway.http.get(gateway.at(path, "/health")) as answer:
        assert (answer.status, (await answer.json())["status"]) == (503, "unhealthy")
    assert (impostor.logins, impostor.requests) == (0, [])
    await impostor.stop()


async def test_no_machine_is_spoken_to_before_its_key_is_pinned_or_after_it_is_given_back(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    unreachable: list[dict[str, Any]] = [
        {"host_key": None},
        {"host_key": "junk"},
        {"state": LeaseState.RELEASING},
        {"seen": {}},
    ]
    for changes in unreachable:
        path = await rows.endpoint(machine, await rows.lease(machine, **changes))
        assert await ask(gateway, path) == 503
    assert await ask(gateway, await rows.endpoint(machine, None)) == 503
    assert machine.logins == 0


async def test_the_clouds_proxy_serves_where_there_is_no_direct_port(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    seen = {"state": "up", "ssh_host": "127.0.0.1", "ssh_port": machine.ssh_port, "public_ipaddr": "192.0.2.1"}
    path = await rows.endpoint(machine, await rows.lease(machine, seen=seen))
    assert await ask(gateway, path) == 200


async def test_a_lost_connection_is_opened_again(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    assert await ask(gateway, path) == 200
    machine.vanish()
    await becomes(lambda: ask(gateway, path), 503)
    await machine.start_ssh(machine.ssh_port)
    await becomes(lambda: ask(gateway, path), 200)


async def test_the_connection_is_made_ahead_of_the_first_request(
    database_url: str, rows: Rows, machine: Machine
) -> None:
    await rows.published(machine)

    async def logins() -> int:
        return machine.logins

    async with gateway_on(database_url):
        await becomes(logins, 1)
    assert machine.requests == []


async def test_a_model_server_that_is_not_there_is_told_apart(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine, port=1)
    async with gateway.http.post(gateway.at(path, "/v1/chat/completions"), json={}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "model_server_unreachable")


async def test_health_is_the_model_servers_own_word(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    machine.healthy = False
    path = await rows.published(machine)

    async def health() -> int:
        async with gateway.http.get(gateway.at(path, "/health")) as answer:
            return answer.status

    began = time.monotonic()
    assert set(await asyncio.gather(*(health() for _ in range(50)))) == {503}
    assert 1 <= len(machine.requests) <= 1 + (time.monotonic() - began) / REMEMBERED_SECONDS
    machine.healthy = True
    await becomes(health, 200)


async def test_a_machine_that_never_answers_is_unreachable_in_bounded_time(
    database_url: str, rows: Rows, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "CONNECT_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        seen = {"public_ipaddr": "127.0.0.1", "ports": {"22/tcp": silent.getsockname()[1]}}
        path = await rows.endpoint(machine, await rows.lease(machine, seen=seen))
        async with gateway_on(database_url) as gateway:
            assert await ask(gateway, path) == 503


async def test_a_listing_without_the_address_ends_no_living_connection(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    lease_id = await rows.lease(machine)
    path = await rows.endpoint(machine, lease_id)
    assert await ask(gateway, path) == 200
    async with rows.database.begin() as session:
        await session.execute(update(Lease).where(Lease.id == lease_id).values(seen={"state": "unknown"}))
    await rows.change(path, notify=True, model_id="renamed")

    async def model() -> str:
        async with gateway.http.get(gateway.at(path, "/health")) as answer:
            return str((await answer.json())["model"])

    await becomes(model, "renamed")
    assert await ask(gateway, path) == 200
    assert machine.logins == 1


async def test_a_caller_who_leaves_early_leaves_no_channel_open(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    assert await ask(gateway, path) == 200
    machine.doorway.clear()
    early = [asyncio.create_task(ask(gateway, path)) for _ in range(5)]

    async def waiting() -> bool:
        return machine.at_the_door >= 4  # one may use the channel of the first request

    await becomes(waiting, True)
    for each in early:
        each.cancel()
    await asyncio.wait(early)
    machine.doorway.set()

    async def channels() -> bool:
        return machine.channels <= 1

    await becomes(channels, True)
