"""The restic program, from our own side of the vault: it sees the store itself and may do everything.

    ResticError
    ├── RepositoryLocked    somebody else works on it
    └── SnapshotMissing     no such snapshot in the repository

The password goes into the child's environment, never on its command line. Nothing is retried here. Reading takes no
lock, so that a machine's lock that was left behind is in nobody's way.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from clients import rclone
from clients.restic_config import config_file
from clients.restic_keys import key_file

LINE_LIMIT = 1 << 22
MINIMUM = (0, 14)
"""Older ones do not read the repositories that we make (format 2, which compresses)."""

_VERSION = re.compile(r"restic (\d+)\.(\d+)")


class ResticError(Exception):
    """It failed; the text is its last line."""


class RepositoryLocked(ResticError):
    pass


class SnapshotMissing(ResticError):
    pass


class RepositorySnapshot(BaseModel):
    """A snapshot as the repository knows it. `time` is by the clock of who took it."""

    id: str
    time: datetime
    tags: list[str] | None = None
    paths: list[str] = []


class Node(BaseModel):
    """A line of `ls`."""

    path: str
    type: str
    size: int = 0
    mtime: datetime | None = None
    ctime: datetime | None = None


def program() -> str | None:
    return shutil.which("restic")


def is_recent(version: str) -> bool:
    """Whether the program that calls itself so (`restic version`) reads our repositories."""
    found = _VERSION.search(version)
    return found is not None and (int(found[1]), int(found[2])) >= MINIMUM


class Restic:
    """One repository: `store` is a folder, or an rclone remote such as `s3:bucket/path`."""

    def __init__(self, store: str, password: str, cache: Path) -> None:
        self._store = store
        self._password = password
        self._cache = cache
        self._environment = {
            **os.environ,
            "RESTIC_REPOSITORY": store if rclone.is_folder(store) else f"rclone:{store}",
            "RESTIC_PASSWORD": password,
            "RESTIC_CACHE_DIR": str(cache),
        }

    async def make(self) -> None:
        """Make the repository if there is none, as `restic init` does, without its slow key.

        What opens it and its `config` follow from the password, so whoever was killed here, came late, or writes at the
        same time has written the same. `config` comes last: with it the repository is made. The folders below are made
        by whoever writes into them first: restic in a folder, and rclone.
        """
        there = await rclone.names(self._store)
        if there is not None and "config" in there:
            return
        if rclone.is_folder(self._store):
            os.makedirs(self._store, mode=0o700, exist_ok=True)
        key = key_file(self._password)
        await rclone.write(f"{self._store}/keys/{hashlib.sha256(key).hexdigest()}", key)
        await rclone.write(f"{self._store}/config", config_file(self._password))

    async def snapshots(self) -> list[RepositorySnapshot]:
        out = await self._whole("snapshots", "--json", "--no-lock")
        return [RepositorySnapshot.model_validate(each) for each in json.loads(out) or []]

    async def dump(self, snapshot: str, path: str) -> AsyncIterator[bytes]:
        """A file of a snapshot, in pieces."""
        async with self._running("dump", "--no-lock", snapshot, path) as process:
            assert process.stdout is not None  # noqa: S101 - asked for above
            while piece := await process.stdout.read(1 << 20):
                yield piece

    async def ls(self, snapshot: str) -> AsyncIterator[Node]:
        """Everything in a snapshot."""
        async with self._running("ls", "--json", "--no-lock", snapshot) as process:
            assert process.stdout is not None  # noqa: S101 - asked for above
            async for line in process.stdout:
                said = json.loads(line)
                if said.get("struct_type") == "node":
                    yield Node.model_validate(said)

    async def restore(self, snapshot: str, paths: Sequence[str], target: Path) -> None:
        """These paths of a snapshot, below `target`."""
        chosen = [f"--include={escaped(path)}" for path in paths]
        await self._whole("restore", "--no-lock", snapshot, "--target", str(target), *chosen)

    async def forget(self, snapshots: Sequence[str]) -> None:
        """Exactly these, by id; one that is gone already is no failure."""
        if snapshots:
            await self._whole("forget", *snapshots)

    async def prune(self) -> None:
        await self._whole("prune", "--max-unused", "10%")

    async def check(self) -> None:
        """Whether the repository is whole, as far as its structure tells."""
        await self._whole("check", "--no-lock")

    async def unlock(self) -> None:
        """Remove the locks of the dead: of processes of this computer that are gone, and of who was silent for 30 min.

        Never all: who was told that nobody works on it may be told so after losing its database, in the middle of a
        prune, and a backup beside a prune loses files.
        """
        await self._whole("unlock")

    async def _whole(self, *arguments: str) -> bytes:
        async with self._running(*arguments) as process:
            assert process.stdout is not None  # noqa: S101 - asked for above
            return await process.stdout.read()

    @asynccontextmanager
    async def _running(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program while it runs; leaving the block early ends it, leaving it at the end sees how it ended."""
        found = program()
        if found is None:
            raise ResticError("restic is not installed")
        self._cache.mkdir(parents=True, exist_ok=True)
        through = [] if rclone.is_folder(self._store) else ["-o", f"rclone.program={rclone.program()}"]
        process = await asyncio.create_subprocess_exec(
            found, *through, *arguments, env=self._environment, stdin=-3, stdout=-1, stderr=-1, limit=LINE_LIMIT
        )
        assert process.stderr is not None  # noqa: S101 - asked for above
        complaints = asyncio.create_task(process.stderr.read())
        try:
            yield process
            code, said = await process.wait(), (await complaints).decode(errors="replace")
        finally:
            complaints.cancel()
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if code != 0:
            raise _failure(said)


def escaped(path: str) -> str:
    """A path as a pattern that means just that path."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


def _failure(said: str) -> ResticError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = next((line for line in lines if "Fatal" in line), lines[-1] if lines else "no reason given")[:300]
    if "already locked" in said:
        return RepositoryLocked(text)
    if "no matching ID" in said or "no snapshot found" in said:
        return SnapshotMissing(text)
    return ResticError(text)
