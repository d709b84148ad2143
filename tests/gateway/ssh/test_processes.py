"""`python -m gateway` with its SSH side: killed, stopped, two at a time, and behind NAT."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from gateway.ssh.reverse_tunnels import API_PORT
from tests.gateway.asking import becomes
from tests.gateway.process import gateway_program
from tests.gateway.rows import SECRETS
from tests.gateway.ssh.conftest import Gateway, client
from tests.gateway.ssh.place import Place
from tests.patience import PATIENCE_SECONDS
from tests.ports import PortBlock, free_port

Process = asyncio.subprocess.Process


@asynccontextmanager
async def _process(
    database_url: str, shard: str, port: int | None = None, drain: float = PATIENCE_SECONDS
) -> AsyncIterator[Process]:
    settings = {
        "DUMONT_DATABASE_URL": database_url,
        "DUMONT_GATEWAY_PORT": str(port or free_port()),
        "DUMONT_SECRET_KEYS": SECRETS,
        "DUMONT_SSH_PORT": "0",
        "DUMONT_SSH_SHARD": shard,
        "DUMONT_SSH_PORTS": "20000-20000",
        "DUMONT_PUBLIC_URL": "http://reachable",
        "DUMONT_VAULT_URL": "http://reachable",
    }
    process = await asyncio.create_subprocess_exec(*gateway_program(drain), env=os.environ | settings)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _code(place: Place) -> int:
    return (await client(place).run("exit 4")).code


async def _serves(place: Place) -> None:
    """Wait until one is let in through the instance's port; before it is open nobody need try."""
    await becomes(lambda: _is_open(place.port), True)
    await becomes(lambda: _code(place), 4)


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_killed_gateway_costs_the_connections_and_no_more(database_url: str, place: Place, shard: str) -> None:
    own = client(place)
    async with _process(database_url, shard) as process:
        await _serves(place)
        session = await own.start(own.target, place.sleep)
        await _runs(place)
        process.kill()
        assert await asyncio.wait_for(session.wait(), PATIENCE_SECONDS) == 255
    async with _process(database_url, shard):
        await _serves(place)


async def test_sigterm_tells_those_who_are_there_and_lets_them_finish(
    database_url: str, place: Place, shard: str
) -> None:
    own = client(place)
    async with _process(database_url, shard) as process:
        await _serves(place)
        session = await own.start(own.target, "echo there >&2; read line; echo $line")
        assert session.stderr is not None
        assert await asyncio.wait_for(session.stderr.readline(), PATIENCE_SECONDS) == b"there\n"
        process.send_signal(signal.SIGTERM)
        assert b"is being restarted" in await asyncio.wait_for(session.stderr.readline(), PATIENCE_SECONDS)
        out, _ = await asyncio.wait_for(session.communicate(b"done\n"), PATIENCE_SECONDS)
        assert (session.returncode, out) == (0, b"done\n")
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0


async def test_sigterm_ends_those_who_stay(database_url: str, place: Place, shard: str) -> None:
    own = client(place)
    async with _process(database_url, shard, drain=1.0) as process:
        await _serves(place)
        session = await own.start(own.target, place.sleep)
        await _runs(place)
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(session.communicate(), PATIENCE_SECONDS)
        assert session.returncode == 255
        assert b"dumont: this gateway is being restarted and closes in" in err
        # The end is said twice, on the channel and in the disconnect; OpenSSH prints at least the one it read first.
        assert err.lower().count(b"this gateway is being restarted") >= 2, err
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0


async def test_two_on_one_host_share_the_ports_and_one_may_go(database_url: str, place: Place, shard: str) -> None:
    async with _process(database_url, shard) as one:
        await _serves(place)
        port = free_port()
        async with _process(database_url, shard, port):
            await becomes(lambda: _holds_ports(port), True)
            one.send_signal(signal.SIGTERM)
            await asyncio.wait_for(one.wait(), PATIENCE_SECONDS)
            for _ in range(5):
                await becomes(lambda: _code(place), 4)


async def _holds_ports(port: int) -> bool:
    """Whether the gateway that serves HTTP there listens for SSH."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                found = re.search(r"^dumont_gateway_ssh_ports\S* (\d+)", await answer.text(), re.MULTILINE)
        except aiohttp.ClientError:
            return False
    return found is not None and int(found[1]) > 0


async def _runs(place: Place) -> None:
    async def looks() -> int:
        return (await client(place).run(f"pgrep -f '[s]{place.sleep[1:]}'")).code

    await becomes(looks, 0)


async def test_a_machine_reaches_our_api_through_its_own_loopback(place: Place, gateway: Gateway) -> None:
    """Where machines cannot reach us; and again after the connection was lost."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="the api")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    fetch = f"python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{API_PORT}/').read())\""
    async with gateway(public_url=None, api_url=url) as running:

        async def heard() -> str:
            return (await client(place).run(fetch)).out

        await becomes(heard, "b'the api'\n")
    async with gateway(public_url=None, api_url=url):
        await becomes(heard, "b'the api'\n")
    assert running.ssh.connector.wakes == 0
    await runner.cleanup()


async def test_spare_ports_are_bound_ahead_and_written_down(place: Place, gateway: Gateway, looks_often: None) -> None:
    ports = PortBlock()
    async with gateway(ssh_ports=f"{ports.first}-{ports.last}") as running:

        async def spares() -> int:
            return sum(whose is None for whose in running.ssh.table.ports.values())

        await becomes(spares, 4)
        spare = next(port for port, whose in running.ssh.table.ports.items() if whose is None)
        reader, writer = await asyncio.open_connection("127.0.0.1", spare)
        assert await reader.read() == b""  # there is nobody at home, but a home
        writer.close()
    ports.release()


async def test_metrics_tell_of_logins(place: Place, gateway: Gateway) -> None:
    async with gateway() as running, aiohttp.ClientSession() as http:
        assert await _code(place) == 4
        async with http.get(f"http://127.0.0.1:{running.port}/metrics") as answer:
            text = await answer.text()
    assert 'dumont_gateway_ssh_logins_total{gateway="gateway"} 1' in text
