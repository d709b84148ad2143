"""Snapshots: taken on the machine, recorded and checked on our side."""

import contextlib
import time
from collections.abc import Iterator
from typing import TypeGuard

from pydantic import BaseModel
from temporalio import activity

from activities.errors import Fault, Final, NotYet
from activities.machines.machines import MachineActivities
from activities.snapshots.repositories import Repositories
from activities.snapshots.transfer_progress import Noting, words
from activities.snapshots.transfers import Transfers
from clients.rclone import RcloneFailed
from clients.restic import ResticError
from db.events import record_event
from db.instances.tables import Instance
from db.machines.lease_tokens import VAULT, lease_token
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.machines.phases import LeaseState
from domain.snapshots.manifests import Disagreement
from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.snapshots import NothingRuns
from domain.snapshots.transfers import TransferKind, TransferOrder, TransferStatus
from failpoints import Failpoint, hit
from settings import Settings

STORE_PAUSE = 5.0
"""Seconds before a store that does not answer is asked again."""


class SnapshotOrder(BaseModel):
    """`paths` None: what persists of the instance. `final`: its user's processes have ended."""

    snapshot_id: str
    instance_id: int
    label: str | None = None
    paths: list[str] | None = None
    tags: list[str] = []
    final: bool = False


class SnapshotTaken(BaseModel):
    """`data_added_bytes`: what was not in the vault yet, compressed."""

    files: int
    size_bytes: int
    data_added_bytes: int
    seconds: float


class SnapshotFailure(BaseModel):
    snapshot_id: str
    message: str


class VaultActivities:
    def __init__(self, database: Database, sealer: Sealer, settings: Settings, machines: MachineActivities) -> None:
        self._database = database
        self._sealer = sealer
        self._settings = settings
        self._machines = machines
        self._repositories = Repositories(database, sealer, settings)
        self._transfers = Transfers(settings)

    @activity.defn
    async def begin_snapshot(self, order: SnapshotOrder) -> None:
        """Write the row of a snapshot; once.

        Raises:
            Final: SNAPSHOT_FAILED, no machine holds the instance's files.
        """
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, order.instance_id, with_for_update=True)
            try:
                await snapshots.begin(
                    session,
                    order.snapshot_id,
                    instance,
                    label=order.label,
                    paths=order.paths or (),
                    tags=order.tags,
                    final=order.final,
                )
            except NothingRuns as error:
                raise Final(Fault.SNAPSHOT_FAILED, str(error)) from error
        await hit(Failpoint.SNAPSHOT_BEGUN)

    @activity.defn
    async def take_snapshot(self, snapshot_id: str) -> SnapshotTaken:
        """Have the machine send its files to the vault, and see them there. Joins what an earlier attempt began.

        Raises:
            Final: SNAPSHOT_FAILED with a sentence. The row is still `creating` then; `fail_snapshot` ends it.
        """
        began = time.monotonic()
        row, lease = await wanted_snapshot(self._database, snapshot_id, Fault.SNAPSHOT_FAILED)
        if row.status is SnapshotStatus.READY:
            return _taken(row)
        target = self._machines.target(on_machine(lease, Fault.SNAPSHOT_FAILED))
        with self._store_errors():
            password = await self._repositories.ready(row.instance_id, unlock=row.taken_at is None)
        async with self._database.begin() as session:
            await snapshots.mark_begun(session, snapshot_id)
        order = TransferOrder(
            id=snapshot_id,
            kind=TransferKind.SNAPSHOT,
            restic="restic",
            repository=self._transfers.repository(row.instance_id),
            token=lease_token(self._sealer, row.lease_id, VAULT),
            password=password,
            stall_seconds=self._settings.snapshot_stall_seconds,
            paths=row.paths,
            tags=row.tags,
            final=row.final,
        )
        status = await self._transfers.work_off(target, order, self._noting(snapshot_id), Fault.SNAPSHOT_FAILED)
        await hit(Failpoint.SNAPSHOT_SENT)
        return await self._recorded(row, status, time.monotonic() - began)

    async def _recorded(self, row: Snapshot, status: TransferStatus, seconds: float) -> SnapshotTaken:
        """The machine says that it is there: believed when the repository says so too."""
        claimed = status.result.snapshot_id
        with self._store_errors():
            found = await self._repositories.find(row.instance_id, claimed, row.id)
        if found is None:
            raise Final(
                Fault.SNAPSHOT_FAILED, "The machine says that the snapshot is in the vault, and it is not there."
            )
        said = status.result
        async with self._database.begin() as session:
            size, added = said.size_bytes, said.data_added_bytes
            if not await snapshots.mark_ready(session, row, found, size=size, added=added, files=said.files):
                raise Final(Fault.NOT_WANTED, "The snapshot is not wanted any more.")
            text = f"Snapshot {row.id}: {said.files} files, {size / 1e6:.1f} MB, {added / 1e6:.1f} MB of it new."
            await record_event(session, row.user_id, f"instance:{row.instance_id}", "snapshot", text)
        await hit(Failpoint.SNAPSHOT_RECORDED)
        return SnapshotTaken(files=said.files, size_bytes=size, data_added_bytes=added, seconds=seconds)

    @activity.defn
    async def verify_snapshot(self, snapshot_id: str) -> None:
        """See on our side that the snapshot is what its manifest says, and that files of it come back.

        Raises:
            Final: SNAPSHOT_FAILED; the row says so too.
        """
        async with self._database.begin() as session:
            row = await session.get_one(Snapshot, snapshot_id)
        if row.verified:
            return
        if row.status is not SnapshotStatus.READY or row.restic_id is None:
            raise Final(Fault.SNAPSHOT_FAILED, row.message or "There is no such snapshot any more.")
        try:
            with self._store_errors():
                await self._repositories.verify(row.instance_id, row.restic_id, row.id)
        except Disagreement as error:
            await self.fail_snapshot(SnapshotFailure(snapshot_id=snapshot_id, message=f"Not as it should be: {error}."))
            raise Final(Fault.SNAPSHOT_FAILED, f"The snapshot is not as it should be: {error}.") from error
        async with self._database.begin() as session:
            await snapshots.mark_verified(session, snapshot_id)
        await hit(Failpoint.SNAPSHOT_VERIFIED)

    @activity.defn
    async def fail_snapshot(self, failure: SnapshotFailure) -> None:
        """Say in the row that it is no snapshot, and why."""
        async with self._database.begin() as session:
            await snapshots.mark_failed(session, failure.snapshot_id, failure.message)

    @activity.defn
    async def is_wanted(self, snapshot_id: str) -> bool:
        """Whether it is still to be taken."""
        async with self._database.begin() as session:
            return _is_wanted(await session.get(Snapshot, snapshot_id))

    @activity.defn
    async def forget_snapshots(self, instance_id: int) -> None:
        """Take away what is too old, deleted, or nobody's; all of it when the instance and its snapshots are over."""
        with self._store_errors():
            await self._repositories.tidy(instance_id)

    def _noting(self, snapshot_id: str) -> Noting:
        async def note(status: TransferStatus) -> None:
            async with self._database.begin() as session:
                await snapshots.mark_progress(session, snapshot_id, status.bytes_done, words(status))

        return Noting(note)

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        """A store that does not answer is waited for; what it has is unknown until then."""
        try:
            yield
        except (RcloneFailed, ResticError) as error:
            raise NotYet(f"the vault's store does not do as asked: {error}", STORE_PAUSE) from error


def _is_wanted(row: Snapshot | None) -> TypeGuard[Snapshot]:
    """Who wants a snapshot no longer deletes its row."""
    return row is not None and row.deleted_at is None


async def wanted_snapshot(database: Database, snapshot_id: str, fault: Fault) -> tuple[Snapshot, Lease]:
    """The row and the lease under which it is, or was, taken. Final when nobody wants it any more."""
    async with database.begin() as session:
        row = await session.get(Snapshot, snapshot_id)
        if not _is_wanted(row):
            raise Final(Fault.NOT_WANTED, "The snapshot is not wanted any more.")
        if row.status is SnapshotStatus.FAILED:
            raise Final(fault, row.message)
        lease = await session.get_one(Lease, row.lease_id)
        instance = await session.get_one(Instance, row.instance_id)
    if row.status is SnapshotStatus.CREATING and row.epoch != instance.epoch:
        raise Final(fault, "The instance's files have moved to another machine meanwhile.")
    return row, lease


def on_machine(lease: Lease, fault: Fault) -> Lease:
    """The lease, if its machine runs and is held; else Final, with `fault`."""
    if lease.state is not LeaseState.RUNNING or not lease.wanted:
        raise Final(fault, f"The machine is not there any more ({lease.reason or lease.state.value}).")
    return lease


def _taken(row: Snapshot) -> SnapshotTaken:
    took = 0.0 if row.ended_at is None or row.taken_at is None else (row.ended_at - row.taken_at).total_seconds()
    size, added = row.size_bytes or 0, row.data_added_bytes or 0
    return SnapshotTaken(files=row.files or 0, size_bytes=size, data_added_bytes=added, seconds=took)
