"""What a small request costs through the gateway, against the model server itself and against a relay without SSH.

Four processes on this host: a machine (SSH and model server), the real gateway on a PostgreSQL of its own, a bare
relay over plain TCP (the same HTTP client and server; no SSH, routes or keys), and this one, which asks.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.figures import Figure, table
from db.migrate import migrate
from db.session import Database
from tests.gateway.asking import CHAT, becomes
from tests.gateway.machine import UPSTREAM_KEY, Machine
from tests.gateway.rows import SECRETS, Rows
from tests.ports import free_port
from tests.postgres import Postgres

BODY = b'{"model": "tiny", "messages": [{"role": "user", "content": "Say hello"}]}'
HEADERS = {"Authorization": f"Bearer {UPSTREAM_KEY}", "Content-Type": "application/json"}
ROUNDS = 3
LOADS = ((1, 500), (16, 2000), (64, 2000))
"""How many ask at once, and how many requests they make together in a round."""


def measure() -> list[Figure]:
    """One figure per target and load; the rate is the median of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        postgres = Postgres(Path(folder))
        postgres.start()
        try:
            migrate(postgres.url("postgres"))
            return asyncio.run(_measure(postgres.url("postgres")))
        finally:
            postgres.stop()


async def _measure(database_url: str) -> list[Figure]:
    async with _child("machine") as told:
        machine = Machine()
        machine.ssh_port, machine.port = int(told[0]), int(told[1])
        machine.private_key, machine.host_key = (bytes.fromhex(word).decode() for word in told[2:])
        path = await _publish(database_url, machine)
        direct = f"http://127.0.0.1:{machine.port}"
        async with _child("relay", direct) as relay, _gateway(database_url) as gateway:
            targets = {"direct": direct, "plain relay": f"http://127.0.0.1:{relay[0]}"}
            targets["gateway"] = f"{gateway}/e/{path}"
            return [await _figure(name, url + CHAT, *load) for name, url in targets.items() for load in LOADS]


async def _figure(name: str, url: str, at_once: int, requests: int) -> Figure:
    latencies: list[float] = []
    rates: list[float] = []
    for _ in range(ROUNDS):
        rates.append(await _round(url, at_once, requests, latencies))
    return Figure(f"{name}, {at_once} at once: {statistics.median(rates):,.0f} requests/s", latencies)


async def _round(url: str, at_once: int, requests: int, latencies: list[float]) -> float:
    async def ask(times: int, into: list[float]) -> None:
        for _ in range(times):
            began = time.perf_counter()
            async with http.post(url, data=BODY, headers=HEADERS) as answer:
                await answer.read()
                answer.raise_for_status()
            into.append((time.perf_counter() - began) * 1000)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await asyncio.gather(*(ask(5, []) for _ in range(at_once)))
        began = time.perf_counter()
        await asyncio.gather(*(ask(requests // at_once, latencies) for _ in range(at_once)))
        return (requests // at_once) * at_once / (time.perf_counter() - began)


async def _publish(database_url: str, machine: Machine) -> str:
    database = Database(database_url, pool_size=1)
    rows = Rows(database)
    await rows.begin()
    path = await rows.published(machine, key=UPSTREAM_KEY)  # private: a public endpoint has a request rate
    await database.close()
    return path


@asynccontextmanager
async def _gateway(database_url: str) -> AsyncIterator[str]:
    port = free_port()
    settings = {"DUMONT_DATABASE_URL": database_url, "DUMONT_GATEWAY_PORT": str(port), "DUMONT_SECRET_KEYS": SECRETS}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", env=os.environ | settings)
    try:
        await becomes(lambda: _answers(f"http://127.0.0.1:{port}/health"), True)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


@asynccontextmanager
async def _child(*arguments: str) -> AsyncIterator[list[str]]:
    """Another process of this file; yields the words that it prints when it is ready."""
    command = (sys.executable, "-m", "benchmarks.gateway_relay", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield (await process.stdout.readline()).decode().split() if process.stdout else []
    finally:
        process.terminate()
        await process.wait()


async def _be_machine() -> None:
    machine = Machine()
    await machine.start()
    keys = (each.encode().hex() for each in (machine.private_key, machine.host_key))
    print(machine.ssh_port, machine.port, *keys, flush=True)
    await asyncio.Event().wait()


async def _be_relay(upstream: str) -> None:
    async def relay(request: web.Request) -> web.StreamResponse:
        async with session.post(upstream + CHAT, data=await request.read(), headers=HEADERS) as answer:
            length = {"Content-Length": answer.headers["Content-Length"]}
            response = web.StreamResponse(status=answer.status, headers=length)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    app = web.Application()
    app.router.add_post(CHAT, relay)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["machine"]:
            asyncio.run(_be_machine())
        case ["relay", upstream]:
            asyncio.run(_be_relay(upstream))
        case _:
            print(table(measure()))
