"""Restores: a snapshot's files fetched by a machine, checked there, and put into their places."""

import hashlib

from pydantic import BaseModel
from sqlalchemy import update
from temporalio import activity

from activities.errors import Fault, Final
from activities.machines.machines import MachineActivities
from activities.snapshots.transfer_progress import Noting, words
from activities.snapshots.transfers import Transfers
from activities.snapshots.vault import on_machine, wanted_snapshot
from db.instances.tables import Instance
from db.machines.lease_tokens import VAULT, lease_token
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from db.snapshots.repositories import password_of
from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.transfers import TransferKind, TransferOrder, TransferStatus
from failpoints import Failpoint, hit
from settings import Settings


class RestoreOrder(BaseModel):
    """The lease's machine shall have the snapshot's files."""

    instance_id: int
    lease_id: str
    snapshot_id: str


class Restored(BaseModel):
    """`replaced`: files that were there before and are in `.dumont-before-restore` now."""

    files: int
    bytes: int
    seconds: float
    replaced: int = 0


class RestoreActivities:
    def __init__(self, database: Database, sealer: Sealer, settings: Settings, machines: MachineActivities) -> None:
        self._database = database
        self._sealer = sealer
        self._settings = settings
        self._machines = machines
        self._transfers = Transfers(settings)

    @activity.defn
    async def restore(self, order: RestoreOrder) -> Restored:
        """Have the machine fetch the snapshot's files, check all of them, and put them into their places.

        Raises:
            Final: RESTORE_FAILED with a sentence; what was on the machine before is still there then.
        """
        row, _ = await wanted_snapshot(self._database, order.snapshot_id, Fault.RESTORE_FAILED)
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, order.lease_id)
            instance = await session.get_one(Instance, order.instance_id)
            password = await password_of(session, self._sealer, row.instance_id)
        if row.status is not SnapshotStatus.READY or row.restic_id is None or row.user_id != instance.user_id:
            raise Final(Fault.RESTORE_FAILED, "There is no such snapshot any more.")
        target = self._machines.target(on_machine(lease, Fault.RESTORE_FAILED))
        job = TransferOrder(
            id=_job_of_this_activity(),
            kind=TransferKind.RESTORE,
            restic="restic",
            repository=self._transfers.repository(row.instance_id),
            token=lease_token(self._sealer, order.lease_id, VAULT),
            password=password,
            stall_seconds=self._settings.snapshot_stall_seconds,
            snapshot=row.restic_id,
        )
        status = await self._transfers.work_off(target, job, self._saying(order.instance_id), Fault.RESTORE_FAILED)
        await hit(Failpoint.RESTORED)
        said = status.result
        return Restored(files=said.files, bytes=said.bytes, seconds=said.seconds, replaced=said.replaced)

    def _saying(self, instance_id: int) -> Noting:
        async def say(status: TransferStatus) -> None:
            async with self._database.begin() as session:
                change = update(Instance).where(Instance.id == instance_id)
                await session.execute(change.values(message=f"restoring its files: {words(status)}"))

        return Noting(say)


def _job_of_this_activity() -> str:
    """The same for every attempt of it, and never the same for two of them."""
    info = activity.info()
    told = f"{info.workflow_id} {info.workflow_run_id} {info.activity_id}"
    return f"restore-{hashlib.sha256(told.encode()).hexdigest()[:24]}"
