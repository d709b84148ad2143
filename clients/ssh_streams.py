"""Over a connection of `clients/ssh.py`: files put on a machine, and a command's lines as they come."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh

from clients.ssh import SshUnreachable, wire_errors

MAX_LINE = 1 << 20


async def put(connection: asyncssh.SSHClientConnection, content: bytes | Path, path: str, *, timeout: float) -> None:
    """Write a file of the machine, executable by its owner; it appears whole or not at all. `timeout` in seconds.

    Raises:
        SshUnreachable: also when it cannot be written.
    """
    new = f"{path}.{id(content)}.new"
    with wire_errors(connection):
        async with asyncio.timeout(timeout), connection.start_sftp_client() as sftp:
            if isinstance(content, Path):
                await sftp.put(str(content), new)
            else:
                async with sftp.open(new, "wb") as file:
                    await file.write(content)
            await sftp.chmod(new, 0o700)
            await sftp.posix_rename(new, path)


async def lines(connection: asyncssh.SSHClientConnection, command: str, *, silence: float) -> AsyncIterator[str]:
    """The lines that a command prints, until it ends. More than `silence` seconds without one: the machine is away.

    Raises:
        SshUnreachable
    """
    with wire_errors(connection):
        async with connection.create_process(command, encoding="utf-8", errors="replace") as process:
            while True:
                try:
                    line = await asyncio.wait_for(process.stdout.readline(), silence)
                except TimeoutError as error:
                    raise SshUnreachable(f"not a word for {silence:g} s") from error
                if not line:
                    return
                yield line
