"""What only a real sshd on the machine grants, or limits: agents, UNIX sockets, sessions on one connection."""

import asyncio
from pathlib import Path

import pytest

from tests.gateway.asking import becomes
from tests.gateway.ssh.client import Client, exists, finished, shouted
from tests.gateway.ssh.conftest import client
from tests.gateway.ssh.place import Place
from tests.openssh import needs_real_sshd
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.usefixtures("place", "served"), needs_real_sshd]

SHOUT = """python3 -c "
import os, socket
s = socket.socket(socket.AF_UNIX); s.bind('{path}'); s.listen()
while True:
    c = s.accept()[0]; c.sendall(c.recv(100).upper()); c.close()
" """


async def test_an_agent_is_asked_from_the_machine_and_only_where_it_was_forwarded(place: Place, tmp_path: Path) -> None:
    socket = str(tmp_path / "agent")
    agent = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", socket, stdout=asyncio.subprocess.DEVNULL)

    async def added() -> int:
        return (await finished(["ssh-add", str(place.key)], SSH_AUTH_SOCK=socket)).code

    await becomes(added, 0)  # once the agent listens
    own = client(place)
    fingerprint = (await finished(["ssh-keygen", "-lf", str(place.key)])).out.split()[1]
    listed = await finished(own.command("-A", own.target, "ssh-add -l"), SSH_AUTH_SOCK=socket)
    assert fingerprint in listed.out, listed.err
    without = await finished(own.command(own.target, "echo ${SSH_AUTH_SOCK:-none}"), SSH_AUTH_SOCK=socket)
    assert without.out == "none\n"
    agent.terminate()
    await agent.wait()


async def test_a_unix_socket_of_the_machine_is_reached_from_here(place: Place, tmp_path: Path) -> None:
    own, there = client(place), f"/tmp/shout-{place.id}"  # noqa: S108 - on the machine
    server = await own.start("-tt", own.target, SHOUT.format(path=there))
    forward = await own.start("-N", "-L", f"{tmp_path}/to:{there}", own.target)
    await becomes(lambda: shouted(tmp_path / "to"), b"HELLO")
    for process in (forward, server):
        process.kill()
        await process.wait()


async def test_sessions_that_stay_fill_one_connection_after_the_other(place: Place, tmp_path: Path) -> None:
    """Those that began first go on, and those that come later do not disturb them."""
    own, control = client(place), str(tmp_path / "control")
    master = await own.start("-M", "-S", control, "-N", own.target)
    await becomes(lambda: exists(Path(control)), True)
    staying = [await _reader(own, control) for _ in range(23)]
    said = await asyncio.gather(*(each.communicate(f"{number}\n".encode()) for number, each in enumerate(staying)))
    assert [out.strip() for out, _ in said] == [f"{number}".encode() for number in range(23)]
    master.terminate()
    await master.wait()


async def _reader(own: Client, control: str) -> asyncio.subprocess.Process:
    """A session that has begun and waits for a line. Without the shared connection it would have none."""
    command = own.command("-S", control, "-o", "ProxyCommand=false", own.target, "echo ready >&2; head -n 1")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    assert await asyncio.wait_for(process.stderr.readline(), PATIENCE_SECONDS) == b"ready\n"
    return process
