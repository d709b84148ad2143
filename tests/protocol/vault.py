"""The model vault: what the repositories hold, and how machines copy files to it and from it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activities.snapshots.repositories import Repositories
from activities.snapshots.transfers import Note, Transfers
from clients.rclone import RcloneFailed
from clients.restic import RepositorySnapshot, ResticError
from clients.ssh import SshUnreachable
from domain.snapshots.manifests import Disagreement
from domain.snapshots.transfers import TransferKind, TransferOrder, TransferResult, TransferState, TransferStatus
from tests.protocol.clock import Clock
from tests.protocol.machines import Copying, Machine
from tests.protocol.shells import Login
from tests.protocol.temporal.attempts import rest

A_PART = "/workspace/part"
"""Saved alone it has none of the files whose newness is counted, and put back alone it brings none of them."""

COPY_SECONDS = 4.0
STEP_SECONDS = 1.0


@dataclass
class Kept:
    """`version`: how new the files in it are; None: it has those of a part. `of`: the order that it was taken for."""

    of: str
    version: float | None
    at: datetime
    is_spoilt: bool = False


class Vault:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.repositories: dict[str, dict[str, Kept]] = {}
        self.is_away = False
        self.spoils_next = False

    def version(self, instance_id: int, restic_id: str | None) -> float | None:
        kept = self.repositories.get(str(instance_id), {}).get(restic_id or "")
        return None if kept is None or kept.is_spoilt else kept.version

    def of(self, path: str) -> dict[str, Kept]:
        if self.is_away:
            raise ResticError("the store does not answer")
        return self.repositories.setdefault(path.rstrip("/").rpartition("/")[2], {})

    # In place of clients/rclone.py

    async def names(self, folder: str) -> list[str] | None:
        if self.is_away:
            raise RcloneFailed("the store does not answer")
        repository, _, what = folder.rpartition("/")
        return list(self.of(repository)) if what == "snapshots" else []

    async def purge(self, folder: str) -> None:
        self.of(folder).clear()

    # In place of clients/restic.py

    def restic(self, path: str, *_: Any) -> "ModelRestic":
        return ModelRestic(self, path)

    # In place of reading a snapshot back on our side

    async def verify(self, _: Repositories, instance_id: int, restic_id: str, snapshot_id: str) -> None:
        kept = self.of(str(instance_id)).get(restic_id)
        if kept is None or kept.is_spoilt or kept.of != snapshot_id:
            raise Disagreement("it is not what its manifest says")

    # In place of the copying program on a machine

    async def followed(self, _: Transfers, login: Login, order: TransferOrder, note: Note) -> TransferStatus | None:
        machine, repository = login.machine, order.repository.rstrip("/").rpartition("/")[2]
        copying = machine.copies.get(order.id) or self._begin(machine, repository, order)
        if copying is None:
            return TransferStatus(state=TransferState.FAILED, reason="There is no such snapshot")
        while (self.clock.at - copying.began).total_seconds() < COPY_SECONDS:
            await note(TransferStatus(state=TransferState.RUNNING, step="sending"))
            await rest(STEP_SECONDS)
            login.check()
            if machine.copies.get(order.id) is not copying:
                return TransferStatus(state=TransferState.LOST)
        if self.is_away:
            raise SshUnreachable("the vault does not answer the machine")
        self._end(machine, repository, order, copying)
        result = TransferResult(snapshot_id=copying.restic_id, size_bytes=1, files=1, bytes=1)
        return TransferStatus(state=TransferState.DONE, result=result)

    def _begin(self, machine: Machine, repository: str, order: TransferOrder) -> Copying | None:
        restic_id = order.snapshot
        version: float | None = machine.version(self.clock.at)
        if order.kind is TransferKind.SNAPSHOT:
            version = None if order.paths == [A_PART] else version
            restic_id = hashlib.sha256(f"{order.id} {machine.id} {self.clock.at}".encode()).hexdigest()
        else:
            kept = self.repositories.get(repository, {}).get(restic_id)
            if kept is None or kept.is_spoilt:
                return None
            version = kept.version
        machine.copies[order.id] = copying = Copying(self.clock.at, version, restic_id)
        return copying

    def _end(self, machine: Machine, repository: str, order: TransferOrder, copying: Copying) -> None:
        if order.kind is TransferKind.RESTORE:
            return None if copying.version is None else machine.put(copying.version, self.clock.at)
        kept = Kept(order.id, copying.version, copying.began, self.spoils_next)
        self.spoils_next = False
        self.repositories.setdefault(repository, {})[copying.restic_id] = kept


class ModelRestic:
    def __init__(self, vault: Vault, path: str) -> None:
        self._vault, self._path = vault, path

    async def make(self) -> None:
        self._vault.of(self._path)

    async def unlock(self) -> None:
        return None

    async def prune(self) -> None:
        return None

    async def snapshots(self) -> list[RepositorySnapshot]:
        return [RepositorySnapshot(id=id, time=kept.at) for id, kept in self._vault.of(self._path).items()]

    async def forget(self, going: Sequence[str]) -> None:
        there = self._vault.of(self._path)
        for each in going:
            there.pop(each, None)
