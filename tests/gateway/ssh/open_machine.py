"""A machine with an sshd that grants what simulated machines do not: agents and UNIX sockets. Commands run here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

from clients.ssh import generate_keypair
from tests.gateway.ssh.place import Rented


class _Door(asyncssh.SSHServer):
    def unix_connection_requested(self, dest_path: str) -> bool:
        return True

    def unix_server_requested(self, listen_path: str) -> bool:
        return True


async def _run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    agent = process.channel.get_agent_path()
    child = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", process.command or "exit 9"),
        env={"PATH": "/usr/bin:/bin"} | ({"SSH_AUTH_SOCK": agent} if agent else {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    process.stdout.write(out)
    process.stderr.write(err)
    process.exit(child.returncode or 0)


@asynccontextmanager
async def open_machine() -> AsyncIterator[Rented]:
    private, public = generate_keypair()
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Door,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(public),
        process_factory=_run,
        encoding=None,
        agent_forwarding=True,
    )
    shown = host_key.export_public_key().decode().strip()
    try:
        yield Rented(0, private, public, "127.0.0.1", server.get_port(), shown)
    finally:
        server.close()
