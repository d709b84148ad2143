"""Against real SSH servers in this process; commands run in real shells."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio

from clients.ssh import (
    MAX_OUTPUT,
    CommandTimedOut,
    HostKeyChanged,
    PortClosed,
    SshKeyRefused,
    SshTarget,
    SshUnreachable,
    connect,
    feed,
    generate_keypair,
    host_key_of,
    run,
)
from clients.ssh import http_get as ssh_http_get
from clients.ssh_streams import lines, run_bytes
from tests.patience import becomes

pytestmark = pytest.mark.asyncio

PRIVATE, PUBLIC = generate_keypair()


class Logins(asyncssh.SSHServer):
    """Writes down who tried to log in, and forwards to any port."""

    def __init__(self, tried: list[str]) -> None:
        self._tried = tried

    def begin_auth(self, username: str) -> bool:
        self._tried.append(username)
        return True

    def connection_requested(self, *_: Any) -> bool:
        return True


AT_ONCE = "exit at once"


async def _shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    if process.command == AT_ONCE:  # before a byte of its stdin can have come
        process.stdout.write(b"done\n")
        process.exit(3)
        return
    child = await asyncio.create_subprocess_shell(process.command or "true", stdin=-1, stdout=-1, stderr=-1)
    try:
        stdout, stderr = await child.communicate(await process.stdin.read())
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    process.stdout.write(stdout)
    process.stderr.write(stderr)
    process.exit(child.returncode or 0)


class Server:
    def __init__(self, acceptor: asyncssh.SSHAcceptor, host_key: str, logins: list[str]) -> None:
        self.acceptor, self.host_key, self.logins = acceptor, host_key, logins

    def target(self, **changes: Any) -> SshTarget:
        return replace(SshTarget("127.0.0.1", self.acceptor.get_port(), PRIVATE, self.host_key), **changes)


async def serve(kind: str = "ssh-ed25519") -> Server:
    key, logins = asyncssh.generate_private_key(kind), list[str]()
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: Logins(logins),
        server_host_keys=[key],
        authorized_client_keys=asyncssh.import_authorized_keys(PUBLIC),
        process_factory=_shell,
        encoding=None,
    )
    return Server(acceptor, key.export_public_key().decode().strip(), logins)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    server = await serve()
    yield server
    server.acceptor.close()


async def test_the_first_contact_tells_the_host_key_and_the_next_is_held_to_it(server: Server) -> None:
    async with await connect(server.target(host_key=None), timeout=60) as connection:
        learnt = host_key_of(connection)
    assert learnt == server.host_key
    async with await connect(server.target(host_key=learnt), timeout=60) as connection:
        assert (await run(connection, "echo hello", timeout=60)).stdout == "hello\n"


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
async def test_a_changed_host_key_is_refused_before_any_login(server: Server, kind: str) -> None:
    impostor = await serve(kind)
    with pytest.raises(HostKeyChanged):
        await connect(impostor.target(host_key=server.host_key), timeout=60)
    assert impostor.logins == []
    impostor.acceptor.close()


async def test_an_unknown_key_is_refused_as_such(server: Server) -> None:
    with pytest.raises(SshKeyRefused):
        await connect(server.target(private_key=generate_keypair()[0]), timeout=60)


async def test_nobody_there_is_unreachable(server: Server) -> None:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        with pytest.raises(SshUnreachable):
            await connect(server.target(port=idle.getsockname()[1]), timeout=60)
        idle.listen()  # accepts by the kernel's hand and never speaks
        with pytest.raises(SshUnreachable):
            await connect(server.target(port=idle.getsockname()[1]), timeout=0.2)
    with pytest.raises(SshUnreachable):
        await connect(server.target(host="no-such-host.invalid"), timeout=60)


async def test_input_output_and_exit_code_come_through(server: Server) -> None:
    async with await connect(server.target(), timeout=60) as connection:
        completed = await run(connection, "cat; echo no >&2; exit 3", input="héllo", timeout=60)
    assert (completed.exit_code, completed.stdout, completed.stderr) == (3, "héllo", "no\n")


async def test_output_is_bounded_to_its_end(server: Server) -> None:
    async with await connect(server.target(), timeout=60) as connection:
        completed = await run(connection, "head -c 1000000 /dev/zero; echo end", timeout=60)
    assert len(completed.stdout) == MAX_OUTPUT
    assert completed.stdout.endswith("end\n")


async def test_a_command_over_its_time_is_told(server: Server) -> None:
    async with await connect(server.target(), timeout=60) as connection:
        with pytest.raises(CommandTimedOut):
            await run(connection, "sleep 2", timeout=0.1)
        assert (await run(connection, "echo still here", timeout=60)).stdout == "still here\n"


async def test_a_connection_lost_in_the_middle_is_unreachable(server: Server, tmp_path: Path) -> None:
    connection = await connect(server.target(), timeout=60)
    begun = tmp_path / "begun"
    running = asyncio.create_task(run(connection, f"touch {begun}; exec sleep 60", timeout=60))
    await becomes(lambda: asyncio.to_thread(begun.exists), True)
    connection.abort()
    with pytest.raises(SshUnreachable):
        await running
    with pytest.raises(SshUnreachable):
        await run(connection, "true", timeout=60)


async def test_http_reaches_a_port_of_the_machine(server: Server) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = b"ok" if b"X-Key: secret" in request and request.startswith(b"GET /health ") else b"no"
        writer.write(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n" + body + b"\r\n0\r\n\r\n")
        writer.close()

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = web.sockets[0].getsockname()[1]
    async with await connect(server.target(), timeout=60) as connection:
        assert await ssh_http_get(connection, port, "/health", {"X-Key": "secret"}, timeout=60) == (503, b"ok")
        web.close()
        await web.wait_closed()
        with pytest.raises(PortClosed):
            await ssh_http_get(connection, port, "/health", {}, timeout=60)


async def test_no_key_shows_when_a_target_is_printed(server: Server) -> None:
    assert "PRIVATE" not in repr(server.target())


async def test_a_command_that_ended_before_it_was_given_its_stdin_has_its_answer_all_the_same(server: Server) -> None:
    async with await connect(server.target(), timeout=60) as connection:
        process = await connection.create_process(AT_ONCE, encoding=None)
        await process.wait_closed()
        feed(process, b"too late")
        for _ in range(20):
            done = await run(connection, AT_ONCE, input="too late", timeout=60)
            assert (done.exit_code, done.stdout) == (3, "done\n")
            assert await run_bytes(connection, AT_ONCE, input=b"too late", timeout=60, most=100) == (3, b"done\n", "")
            assert [line async for line in lines(connection, AT_ONCE, input="too late", silence=60)] == ["done\n"]
