"""Over a connection of `clients/ssh.py`: files put on a machine, a command's lines as they come, and its bytes.

Bytes are as many as the command likes: read piece by piece, or whole up to a limit.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh

from clients.ssh import MAX_OUTPUT, CommandTimedOut, SshUnreachable, feed, wire_errors

MAX_LINE = 1 << 20
PIECE = 256 * 1024


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


async def lines(
    connection: asyncssh.SSHClientConnection, command: str, *, input: str = "", silence: float
) -> AsyncIterator[str]:
    """The lines that a command prints, until it ends. More than `silence` seconds without one: the machine is away.

    `input` goes to its stdin.

    Raises:
        SshUnreachable
    """
    with wire_errors(connection):
        async with connection.create_process(command, encoding="utf-8", errors="replace") as process:
            feed(process, input)
            while True:
                try:
                    line = await asyncio.wait_for(process.stdout.readline(), silence)
                except TimeoutError as error:
                    raise SshUnreachable(f"not a word for {silence:g} s") from error
                if not line:
                    return
                yield line


class Streamed:
    """A command that runs: iterate over its stdout first, then ask how it ended. `quiet_seconds`: the longest silence.

    Raises (while iterating):
        CommandTimedOut: nothing came for `quiet_seconds`. SshUnreachable.
    """

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], quiet_seconds: float) -> None:
        self._process, self._quiet = process, quiet_seconds
        self._stderr = asyncio.create_task(_last_of(process.stderr))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with wire_errors():
            while piece := await self._next():
                yield piece

    async def _next(self) -> bytes:
        try:
            return await asyncio.wait_for(self._process.stdout.read(PIECE), self._quiet)
        except TimeoutError as error:
            self._process.terminate()
            raise CommandTimedOut(f"silent for {self._quiet:g} s") from error

    async def ended(self) -> tuple[int, str]:
        """Its exit code and the end of its stderr; after the whole of stdout was read."""
        with wire_errors():
            stderr = await self._stderr
            await self._process.wait_closed()
        if self._process.returncode is None:
            raise SshUnreachable("the connection was lost before the command ended")
        return self._process.returncode, stderr

    def close(self) -> None:
        self._stderr.cancel()
        self._process.close()


async def stream(
    connection: asyncssh.SSHClientConnection, command: str, *, input: bytes = b"", quiet_seconds: float
) -> Streamed:
    """Start a command. `input` goes to its stdin. The caller closes what comes back."""
    with wire_errors(connection):
        process = await connection.create_process(command, encoding=None)
        feed(process, input)
    return Streamed(process, quiet_seconds)


async def run_bytes(
    connection: asyncssh.SSHClientConnection, command: str, *, input: bytes = b"", timeout: float, most: int
) -> tuple[int, bytes, str]:
    """Run to the end: exit code, stdout, the end of stderr. `timeout` in seconds for all of it.

    Raises:
        CommandTimedOut, SshUnreachable (also for more than `most` bytes: that is not what was asked for).
    """
    running = await stream(connection, command, input=input, quiet_seconds=timeout)
    answer = bytearray()
    try:
        async with asyncio.timeout(timeout):
            async for piece in running:
                answer += piece
                if len(answer) > most:
                    raise SshUnreachable(f"an answer of more than {most} bytes")
            code, stderr = await running.ended()
    except TimeoutError as error:
        raise CommandTimedOut(f"still running after {timeout:g} s") from error
    finally:
        running.close()
    return code, bytes(answer), stderr


async def _last_of(reader: asyncssh.SSHReader[bytes]) -> str:
    kept = bytearray()
    while piece := await reader.read(65536):
        kept += piece
        del kept[:-MAX_OUTPUT]
    return kept.decode(errors="replace")
