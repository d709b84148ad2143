"""The real OpenSSH client, strict about host keys, against the gateway."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.gateway.ssh.place import Place

PATIENCE = 300.0


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Client:
    """One user's computer."""

    def __init__(self, place: Place, port: int, key: Path, login: str = "root") -> None:
        self.place, self.port, self.key, self.login = place, port, key, login

    @property
    def options(self) -> list[str]:
        """For ssh, scp and sftp alike."""
        pairs = {
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.place.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            "Port": str(self.port),
        }
        given = [word for name, value in pairs.items() for word in ("-o", f"{name}={value}")]
        return ["-F", "/dev/null", *given, "-i", str(self.key)]

    def trust(self, host_key: str) -> None:
        """Let known_hosts have this key for the gateway's port, and nothing else for it."""
        line = f"[127.0.0.1]:{self.port} {host_key}\n"
        known = self.place.known_hosts
        if not known.exists() or known.read_text() != line:  # a client may be reading it
            known.write_text(line)

    @property
    def target(self) -> str:
        return f"{self.login}@127.0.0.1"

    def command(self, *arguments: str) -> list[str]:
        return ["ssh", *self.options, *arguments]

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """`ssh <arguments>`, left running, with pipes."""
        return await started(self.command(*arguments))

    async def run(self, command: str, *extra: str, stdin: bytes = b"") -> Done:
        return await finished(self.command(*extra, self.target, command), stdin)

    async def scp(self, *arguments: str) -> Done:
        return await finished(["scp", *self.options, *arguments])

    async def sftp(self, batch: str) -> Done:
        return await finished(["sftp", *self.options, "-b", "-", self.target], batch.encode())


async def started(command: Sequence[str], **environment: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ | environment
    )


async def finished(command: Sequence[str], stdin: bytes = b"", **environment: str) -> Done:
    process = await started(command, **environment)
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    return Done(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


async def says(process: asyncio.subprocess.Process, text: str) -> None:
    """Wait until its stderr has a line with this; the lines up to it are dropped."""
    assert process.stderr is not None
    line = b""
    while text.encode() not in line:
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        assert line, f"it ended without a word of {text!r}"


async def exists(path: Path) -> bool:
    return await asyncio.to_thread(path.exists)


async def shouted(path: Path) -> bytes:
    """What a UNIX socket of this computer answers to a hello; nothing while nobody is there."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        answer = await reader.read()
        writer.close()
    except OSError:
        return b""
    return answer
