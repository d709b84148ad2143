"""`python -m gateway` as its supervisor knows it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.gateway.asking import CHAT, becomes
from tests.gateway.machine import Machine
from tests.gateway.process import gateway_program
from tests.gateway.rows import SECRETS, Rows
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

Process = tuple[asyncio.subprocess.Process, str]


@asynccontextmanager
async def _process(database_url: str, http: aiohttp.ClientSession) -> AsyncIterator[Process]:
    port = free_port()
    settings = {"DUMONT_DATABASE_URL": database_url, "DUMONT_GATEWAY_PORT": str(port), "DUMONT_SECRET_KEYS": SECRETS}
    process = await asyncio.create_subprocess_exec(*gateway_program(), env=os.environ | settings)
    try:
        url = f"http://127.0.0.1:{port}"
        await becomes(lambda: _is_up(url, http), True)
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _is_up(url: str, http: aiohttp.ClientSession) -> bool:
    try:
        async with http.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_sigterm_lets_what_is_in_flight_finish(database_url: str, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    async with aiohttp.ClientSession() as http, _process(database_url, http) as (process, url):
        async with http.post(f"{url}/e/{path}{CHAT}", json={"stream": True}) as answer:
            await answer.content.readany()
            process.send_signal(signal.SIGTERM)
            await becomes(lambda: _is_up(url, http), False)
            machine.go_on.set()
            assert (await answer.content.read()).endswith(b"data: [DONE]\n\n")
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0


async def test_a_killed_gateway_serves_again_when_started_again(
    database_url: str, rows: Rows, machine: Machine
) -> None:
    path = await rows.published(machine)
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            async with _process(database_url, http) as (process, url):
                async with http.post(f"{url}/e/{path}{CHAT}", json={}) as answer:
                    assert answer.status == 200
                process.kill()


async def test_metrics_count_without_telling_paths(database_url: str, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    async with aiohttp.ClientSession() as http, _process(database_url, http) as (_, url):
        async with http.post(f"{url}/e/{path}{CHAT}", json={}) as answer:
            await answer.read()
        async with http.get(f"{url}/metrics") as answer:
            text = await answer.text()
        async with http.get(f"{url}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
            assert answer.status == 404
    assert 'status="200"} 1' in text
    assert "dumont_gateway_request_seconds_count" in text
    assert path not in text
