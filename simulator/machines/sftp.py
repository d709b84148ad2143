"""SFTP in the machine: asyncssh's own server, with every file operation done by a thread that lives in the machine's
file system, so that links and mounts mean what they mean there."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncssh
from asyncssh.sftp import SFTPName

from simulator.machines.box import Box

OPERATIONS = ("open", "open56", "close", "read", "write", "lstat", "fstat", "stat", "setstat", "lsetstat", "fsetstat",
              "remove", "mkdir", "rmdir", "realpath", "rename", "posix_rename", "readlink", "symlink", "link",
              "statvfs", "fstatvfs", "fsync")  # fmt: skip


class InsideFiles(asyncssh.SFTPServer):
    def __init__(self, box: Box, channel: "asyncssh.SSHServerChannel[bytes]") -> None:
        super().__init__(channel)
        self._thread = ThreadPoolExecutor(1, "sftp", initializer=box.enter_files)
        for name in OPERATIONS:
            setattr(self, name, self._in_machine(getattr(super(), name)))

    def _in_machine(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*arguments: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._thread, operation, *arguments)

        return run

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        for name in await self._in_machine(_listing)(path):
            yield name

    def exit(self) -> None:
        self._thread.shutdown(wait=False)
        self.channel.exit(0)  # as sftp-server does; without it, scp takes a whole copy for a failed one


def _listing(path: bytes) -> list[SFTPName]:
    found = []
    for name in (b".", b"..", *os.listdir(path)):
        with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
            attributes = asyncssh.SFTPAttrs.from_local(os.lstat(os.path.join(path, name)))
            found.append(SFTPName(name, attrs=attributes))
    return found
