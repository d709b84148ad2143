"""Repositories from our own side: made, looked into, tidied. The database says whose turn it is, not restic's locks."""

import asyncio
import hashlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from activities.errors import NotYet
from clients import rclone
from clients.restic import Restic
from db.instances.tables import Instance
from db.sealing import Sealer
from db.session import Database
from db.snapshots import repositories, snapshots
from db.snapshots.tables import VaultRepository
from domain.snapshots.manifests import MANIFEST_PATH, Comparison, Disagreement, Entry, Held, Manifest
from domain.snapshots.snapshots import ORPHAN_AGE, prune_is_due, to_forget
from settings import Settings

TURN_PAUSE = 2.0
SAMPLE_FILES = 24
SAMPLE_BYTES = 256 * 1024 * 1024
"""At most so much of a snapshot is restored on our side to see that it comes back."""


class Repositories:
    def __init__(self, database: Database, sealer: Sealer, settings: Settings) -> None:
        self._database = database
        self._sealer = sealer
        self._store = settings.vault_store
        self._folder = settings.data_dir / "vault-work"
        self._kept = settings.snapshots_kept

    async def ready(self, instance_id: int, *, unlock: bool) -> str:
        """See that the instance's repository is there; its password. `unlock`: and that nobody dead keeps it locked.

        Raises:
            NotYet: it is being tidied.
        """
        async with self._database.begin() as session:
            password = await repositories.ensure_repository(session, self._sealer, instance_id)
            known = any(row.restic_id for row in await snapshots.of_instance(session, instance_id))
        async with self._turn(instance_id, lambda alone: alone <= 1) as alone:
            restic = self._restic(instance_id, password)
            if not known:
                await restic.make()
            if unlock and alone and await self._has_locks(instance_id):
                await restic.unlock()
        return password

    async def find(self, instance_id: int, claimed: str, snapshot_id: str) -> str | None:
        """The full id of a snapshot that the repository really has, and that was not taken as another one.

        What is in it its manifest says (`verify`). restic would take ten times as long to list them, and a GPU waits.
        """
        there = await self._stored(instance_id)
        async with self._database.begin() as session:
            others = await snapshots.restic_ids(session, instance_id, but=snapshot_id)
        return next((each for each in there if claimed and each.startswith(claimed) and each not in others), None)

    async def verify(self, instance_id: int, restic_id: str, snapshot_id: str) -> None:
        """Hold the manifest against the repository's listing, and a sample of files against the manifest.

        Raises:
            Disagreement
        """
        async with self._database.begin() as session:
            restic = self._restic(instance_id, await repositories.password_of(session, self._sealer, instance_id))
        manifest = await _manifest(restic, restic_id)
        if manifest.first.snapshot != snapshot_id:
            raise Disagreement("the manifest is another snapshot's")
        comparison = Comparison(manifest)
        async for node in restic.ls(restic_id):
            comparison.see(Held.model_validate(node.model_dump()))
        comparison.end()
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            await _compare_sample(restic, restic_id, sample(comparison.agreeing), Path(folder))

    async def tidy(self, instance_id: int) -> None:
        """Forget what is too old, deleted, or nobody's; remove the repository of an instance that is over.

        Not while a snapshot of it is taken or restored: then the next time will do.
        """
        async with self._turn(instance_id, lambda taken: taken == 0) as alone:
            if not alone:
                return
            async with self._database.begin() as session:
                instance = await session.get_one(Instance, instance_id)
                if await session.get(VaultRepository, instance_id) is None:
                    return
                password = await repositories.password_of(session, self._sealer, instance_id)
                is_empty = instance.status.is_over and not await snapshots.of_instance(session, instance_id)
            if is_empty:
                return await self._remove(instance_id)
            await self._forget(instance_id, self._restic(instance_id, password))

    async def _forget(self, instance_id: int, restic: Restic) -> None:
        """Who wants one of them restored holds its row first, so it is spared, or its request is refused."""
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            rows = await snapshots.of_instance(session, instance.id, lock=True)
            if await snapshots.being_restored(session, instance.id):
                return
            known, persist = [snapshots.facts(row) for row in rows], snapshots.persisting(instance)
            old = set(to_forget(known, self._kept, persist))
            for row in rows:
                if row.id in old:
                    row.deleted_at = datetime.now(UTC)
            await session.flush()
            deleted = await snapshots.deleted_ids(session, instance.id)
        alive = {row.restic_id for row in rows if row.restic_id and row.id not in old}
        if await self._stored(instance.id) <= alive:
            return
        there = await restic.snapshots()  # when each was taken, which takes ten times as long as their names
        orphaned = datetime.now(UTC) - ORPHAN_AGE
        going = [each.id for each in there if each.id in deleted or (each.id not in alive and each.time < orphaned)]
        if not going:
            return
        if await self._has_locks(instance.id):
            await restic.unlock()  # of machines that are gone, once they were silent for long enough
        await restic.forget(going)
        if prune_is_due(len(going), len(deleted) - len(going)):
            await restic.prune()

    async def _remove(self, instance_id: int) -> None:
        await rclone.purge(self._path(instance_id))
        async with self._database.begin() as session:
            await repositories.forget_repository(session, instance_id)

    async def _stored(self, instance_id: int) -> set[str]:
        """The ids of all the snapshots that its repository has: what their files are called."""
        return set(await rclone.names(f"{self._path(instance_id)}/snapshots") or [])

    async def _has_locks(self, instance_id: int) -> bool:
        return bool(await rclone.names(f"{self._path(instance_id)}/locks"))

    @asynccontextmanager
    async def _turn(self, instance_id: int, alone: Callable[[int], bool]) -> AsyncIterator[bool]:
        """Our turn at the repository, and whether so few snapshots are being taken there that we are alone with it.

        Raises:
            NotYet: it is another's turn.
        """
        async with self._database.begin() as session:
            if not await repositories.take_turn(session, instance_id):
                raise NotYet("the repository is being tidied", TURN_PAUSE)
            yield alone(await snapshots.being_taken(session, instance_id))

    def _path(self, instance_id: int) -> str:
        return f"{self._store}/{instance_id}"

    def _restic(self, instance_id: int, password: str) -> Restic:
        return Restic(self._path(instance_id), password, self._folder / "cache")


def sample(files: Sequence[Entry]) -> list[Entry]:
    """Some of the files, at random, as many as fit the budget; at least one of those that fit at all."""
    chosen, room = list[Entry](), SAMPLE_BYTES
    for entry in random.SystemRandom().sample(files, len(files)):
        if entry.is_named_plainly and entry.z <= room and len(chosen) < SAMPLE_FILES:
            chosen.append(entry)
            room -= entry.z
    return chosen


async def _manifest(restic: Restic, restic_id: str) -> Manifest:
    pieces = [piece async for piece in restic.dump(restic_id, MANIFEST_PATH)]
    return await asyncio.to_thread(lambda: Manifest(b"".join(pieces).split(b"\n")))


async def _compare_sample(restic: Restic, restic_id: str, chosen: Sequence[Entry], folder: Path) -> None:
    if not chosen:
        return
    await restic.restore(restic_id, [entry.p for entry in chosen], folder)
    for entry in chosen:
        if await asyncio.to_thread(_digest, folder / entry.p.lstrip("/")) != entry.h:
            raise Disagreement(f"{entry.p!r} comes back with other content than the manifest says")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
