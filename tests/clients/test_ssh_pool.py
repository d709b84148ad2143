"""Kept connections: one login for many uses, and a dead one never outlives its first use."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncssh
import pytest

from clients.ssh import SshTarget, SshUnreachable, generate_keypair, run
from clients.ssh_pool import SshPool

TIMEOUT = 20.0


@dataclass
class Machine:
    target: SshTarget
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)


class _Server(asyncssh.SSHServer):
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._machine.connections.append(conn)


async def _answer(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stdout.write("done")
    process.exit(0)


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    private, public = generate_keypair()
    machine = Machine(SshTarget("127.0.0.1", 0, private))
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=asyncssh.import_authorized_keys(public),
        server_factory=lambda: _Server(machine),
        process_factory=_answer,
    )
    machine.target = SshTarget("127.0.0.1", server.get_port(), private)
    yield machine
    server.close()


async def use(pool: SshPool, machine: Machine) -> str:
    async with pool.connection(machine.target, timeout=TIMEOUT) as connection:
        return (await run(connection, "whatever", timeout=TIMEOUT)).stdout


async def test_one_login_serves_one_after_the_other_and_several_at_once(machine: Machine) -> None:
    pool = SshPool()
    assert await use(pool, machine) == "done"
    assert set(await asyncio.gather(*(use(pool, machine) for _ in range(5)))) == {"done"}
    assert len(machine.connections) == 1
    pool.close()


async def test_more_than_an_sshd_takes_go_over_another(machine: Machine) -> None:
    pool = SshPool()
    await use(pool, machine)
    assert set(await asyncio.gather(*(use(pool, machine) for _ in range(9)))) == {"done"}
    assert len(machine.connections) > 1
    pool.close()


async def test_a_dead_one_is_dropped_with_its_first_use(machine: Machine) -> None:
    pool = SshPool()
    async with pool.connection(machine.target, timeout=TIMEOUT) as connection:
        machine.connections[0].abort()
        with pytest.raises(SshUnreachable):
            await run(connection, "whatever", timeout=TIMEOUT)
    assert await use(pool, machine) == "done"
    assert len(machine.connections) == 2
    pool.close()


async def test_what_fails_inside_is_not_kept(machine: Machine) -> None:
    pool = SshPool()
    with pytest.raises(SshUnreachable):
        async with pool.connection(machine.target, timeout=TIMEOUT):
            raise SshUnreachable("lost in the middle")
    await use(pool, machine)
    assert len(machine.connections) == 2
    pool.close()


async def test_it_is_closed_after_a_while(machine: Machine) -> None:
    pool = SshPool(kept_seconds=0.01)
    async with pool.connection(machine.target, timeout=TIMEOUT) as connection:
        pass
    await asyncio.wait_for(connection.wait_closed(), TIMEOUT)
    assert await use(pool, machine) == "done"
    assert len(machine.connections) == 2
    pool.close()
