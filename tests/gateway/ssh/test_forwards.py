"""Ports, sockets and agents, both ways, with the real client."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.server import RunningGateway
from tests.gateway.asking import becomes
from tests.gateway.ssh.client import finished, shouted, started
from tests.gateway.ssh.conftest import client
from tests.gateway.ssh.open_machine import open_machine
from tests.gateway.ssh.place import Place
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("place", "served")

ECHO = (
    "import socket; s = socket.create_server(('127.0.0.1', {port}));\n"
    "while True:\n"
    "    c = s.accept()[0]\n"
    "    c.sendall(c.recv(100).upper())\n"
    "    c.close()\n"
)


@asynccontextmanager
async def _echo_there(place: Place) -> AsyncIterator[int]:
    """A server on the machine's own loopback that shouts back; its port."""
    port, own = free_port(), client(place)
    process = await own.start("-tt", own.target, f'python3 -c "{ECHO.format(port=port)}"')
    try:
        yield port
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _echo_here() -> AsyncIterator[int]:
    """The same on this computer."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(100)).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _shouted(port: int) -> bytes:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        answer = await reader.read()
        writer.close()
    except OSError:
        return b""
    return answer


async def test_a_local_forward(place: Place) -> None:
    local, own = free_port(), client(place)
    async with _echo_there(place) as port:
        process = await own.start("-N", "-L", f"{local}:127.0.0.1:{port}", own.target)
        await becomes(lambda: _shouted(local), b"HELLO")
        assert set(await asyncio.gather(*(_shouted(local) for _ in range(20)))) == {b"HELLO"}
        process.kill()
        await process.wait()


async def test_a_dynamic_forward(place: Place) -> None:
    local, own = free_port(), client(place)
    async with _echo_there(place) as port:
        process = await own.start("-N", "-D", str(local), own.target)

        async def through_socks() -> bytes:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", local)
                writer.write(b"\x05\x01\x00")
                await reader.readexactly(2)
                writer.write(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
                await reader.readexactly(10)
                writer.write(b"hello")
                answer = await reader.read()
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                return b""
            return answer

        await becomes(through_socks, b"HELLO")
        process.kill()
        await process.wait()


async def test_what_the_machine_refuses_is_refused(place: Place) -> None:
    async with open_machine() as machine:
        await place.move_to(machine)
        own = client(place)
        await becomes(lambda: _code(own.run("exit 3")), 3)
        assert (await finished(own.command("-W", "127.0.0.1:1", own.target))).code == 255
        assert (await own.run("echo still")).out == "still\n"


@pytest.mark.parametrize("asked", ["0", "own"])
async def test_a_remote_forward(place: Place, asked: str) -> None:
    own, wanted = client(place), 0 if asked == "0" else free_port()
    async with _echo_here() as port:
        process = await own.start("-N", "-v", "-R", f"127.0.0.1:{wanted}:127.0.0.1:{port}", own.target)
        there = wanted
        said = r"Allocated port (\d+)" if wanted == 0 else "remote forward success"
        while (found := re.search(said, await _line(process))) is None:
            continue
        if wanted == 0:
            there = int(found[1])
        shout = (
            f"import socket; s = socket.create_connection(('127.0.0.1', {there})); s.sendall(b'hi'); print(s.recv(9))"
        )
        done = await own.run(f'python3 -c "{shout}"')
        assert done.out == "b'HI'\n", done.err
        process.kill()
        await process.wait()

    async def is_closed() -> bool:
        return (await own.run(f'python3 -c "{shout}"')).code != 0

    await becomes(is_closed, True)  # the machine's sshd hears of the client's end a little later


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), PATIENCE_SECONDS)
    assert line, "the client ended"
    return line.decode()


async def test_the_users_agent_signs_on_the_machine_and_only_for_those_who_asked(place: Place, tmp_path: Path) -> None:
    socket = str(tmp_path / "agent")
    agent = await started(["ssh-agent", "-D", "-a", socket])
    await becomes(lambda: _code(finished(["ssh-add", "-q", str(place.key)], SSH_AUTH_SOCK=socket)), 0)
    async with open_machine() as machine:
        await place.move_to(machine)
        own = client(place)
        fingerprint = (await finished(["ssh-keygen", "-lf", str(place.key)])).out.split()[1]

        async def listed() -> bool:
            done = await finished(own.command("-A", own.target, "ssh-add -l"), SSH_AUTH_SOCK=socket)
            return fingerprint in done.out

        await becomes(listed, True)
        without = await finished(own.command(own.target, "echo ${SSH_AUTH_SOCK:-none}"), SSH_AUTH_SOCK=socket)
        assert without.out == "none\n"
    agent.terminate()
    await agent.wait()


async def test_unix_sockets_both_ways(place: Place, tmp_path: Path) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(100)).upper())
        writer.close()

    server = await asyncio.start_unix_server(shout, tmp_path / "server")
    async with open_machine() as machine:
        await place.move_to(machine)
        own = client(place)
        await becomes(lambda: _code(own.run("exit 3")), 3)
        forwards = ["-L", f"{tmp_path}/to:{tmp_path}/server", "-R", f"{tmp_path}/from:{tmp_path}/server"]
        process = await own.start("-N", *forwards, own.target)
        await becomes(lambda: shouted(tmp_path / "to"), b"HELLO")
        await becomes(lambda: shouted(tmp_path / "from"), b"HELLO")
        process.kill()
        await process.wait()
    server.close()


async def _code(running: object) -> int:
    return int((await running).code)  # type: ignore[misc]


async def test_x11_is_refused_and_the_session_goes_on(place: Place, served: RunningGateway) -> None:
    done = await finished(client(place).command("-X", client(place).target, "echo on"), DISPLAY=":99")
    assert done.out == "on\n"
