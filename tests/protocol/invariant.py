"""What no schedule may break, as one predicate over what is done to machines and what instances wake up with.

No holder rents twice. No machine is destroyed or stopped while its holder wants it, and no machine that has an
instance's files as they are now goes before the vault has files as new as these; what is woken has files as new as
those that a pause kept, or that the vault had when its machine was lost. No snapshot is deleted, unless by force, that
has newer files than what is left. What its owner puts back as a whole makes void whatever was saved before.
"""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.instances.instances import StatusChange
from activities.instances.power import DataMachine, PowerRequest
from db.instances.tables import Instance
from db.machines import leases
from db.machines.tables import Lease
from db.session import Database
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.instances.phases import Desired, InstanceStatus
from domain.lifecycles import LIFECYCLES
from domain.machines.phases import LeaseOutcome, LeaseState, Power
from domain.snapshots.phases import SnapshotStatus
from tests.protocol.books import Books
from tests.protocol.clock import Clock
from tests.protocol.machines import Machine
from tests.protocol.vault import Vault

PutBackNow = tuple[dict[int, str], set[str]]
OURS = re.compile(r"dumont/home/[^/]+")


@dataclass
class Slept:
    """What a pause kept: on the disk of its lease's machine, and, when it was protected, in the vault."""

    lease_id: str
    on_disk: float
    in_vault: float


class Invariant:
    def __init__(self, database: Database, books: Books, vault: Vault, clock: Clock) -> None:
        self._database, self._books, self._vault, self._clock = database, books, vault, clock
        self._slept: dict[int, Slept] = {}
        self._put_back: dict[int, str] = {}
        """What an owner wants back, and is not on the machine yet."""
        self._void: set[str] = set()
        """Snapshots whose files nobody wants any more."""
        self.lost: list[str] = []

    async def why_wrong(self, machine: Machine, done: str) -> str | None:
        """Why that must not be done to it now; None when it may."""
        if OURS.fullmatch(machine.label) is None:
            return "it is not ours"
        async with self._database.begin() as session:
            lease = await session.scalar(leases.open_leases().where(Lease.label == machine.label))
            holder = None if lease is None else await session.get(Instance, int(lease.holder_id))
            if lease is None or holder is None or lease.cloud_id not in (None, str(machine.id)):
                return None
            if done == "stopped":
                works = lease.wanted and lease.power is Power.RUNNING and lease.state is LeaseState.RUNNING
                return "its lease is wanted running" if works else None
            if lease.wanted:
                return "its lease is open and wanted"
            if LIFECYCLES[holder.kind].keeps_files:
                return await self._unsaved(session, holder, lease, machine)
        request_release = lease.outcome in (LeaseOutcome.SERVED, LeaseOutcome.CANCELLED)
        is_wanted = holder.lease_id == lease.id and holder.desired is Desired.RUNNING
        return "its holder wants it" if request_release and is_wanted else None

    async def why_twice(self, label: str) -> str | None:
        """Why nothing may be rented for this label's lease now: its holder has a good one already."""
        async with self._database.begin() as session:
            lease = await session.scalar(leases.open_leases().where(Lease.label == label))
            if lease is None or not lease.wanted:
                return None
            mine = leases.of_holder(leases.holder_of(lease)), leases.GOOD, Lease.id != lease.id
            others = (await session.scalars(select(Lease.id).where(*mine))).all()
        return f"its holder has {', '.join(others)} too" if others else None

    async def judge_power(self, request: PowerRequest) -> None:
        """Right after it was written what a machine shall be: none is told to stop that its owner wants to run."""
        async with self._database.begin() as session:
            holder = await session.get_one(Instance, request.instance_id)
            lease = await session.get_one(Lease, request.lease_id)
        if request.power is Power.STOPPED is lease.power and holder.desired is Desired.RUNNING:
            self._books.wrongs.append(f"{lease.id} was told to stop: instance {holder.id} is wanted running")

    async def judge_ended_programs(self, lease_id: str) -> None:
        """Right after a machine's programs were ended: not those of an instance that its owner wants to run."""
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, lease_id)
            holder = await session.get_one(Instance, int(lease.holder_id))
        if holder.desired is Desired.RUNNING:
            self._books.wrongs.append(f"the programs of instance {holder.id} were ended: it is wanted running")

    async def _unsaved(self, session: AsyncSession, holder: Instance, lease: Lease, machine: Machine) -> str | None:
        over = holder.desired is Desired.DESTROYED or holder.status.is_over
        if over or holder.data_lease_id != lease.id:
            return None
        version, best = machine.version(self._clock.at), await self._in_vault(session, holder)
        if best >= version:
            return None
        return f"instance {holder.id}'s files are of {version:g}, the vault's of {best:g}"

    async def _in_vault(self, session: AsyncSession, holder: Instance) -> float:
        """How new the newest of its files in the vault are; -1: none are there."""
        rows = await snapshots.of_instance(session, holder.id)
        ready = [each for each in rows if each.status is SnapshotStatus.READY and each.id not in self._void]
        there = [self._vault.version(holder.id, each.restic_id) for each in ready]
        restored = (
            None if holder.restore_snapshot_id is None else await session.get(Snapshot, holder.restore_snapshot_id)
        )
        if restored is not None:
            there.append(self._vault.version(restored.instance_id, restored.restic_id))
        return max((each for each in there if each is not None), default=-1.0)

    async def heard(self, change: StatusChange) -> None:
        """An instance's status was written."""
        async with self._database.begin() as session:
            holder = await session.get(Instance, change.instance_id)
            if holder is None or not LIFECYCLES[holder.kind].keeps_files or holder.status is not change.status:
                return
            lease = None if holder.lease_id is None else await session.get(Lease, holder.lease_id)
            machine = self._machine(lease)
            if change.status is InstanceStatus.RUNNING and machine is not None and lease is not None:
                self._woke(holder, lease, machine)
            elif change.status in (InstanceStatus.PAUSED, InstanceStatus.HIBERNATED):
                await self._sleeps(session, holder, lease, machine)
            elif change.status is InstanceStatus.FAILED:
                slept = self._slept.pop(holder.id, None)
                if slept is not None and slept.in_vault >= 0:
                    self.lost.append(f"instance {holder.id} failed, and the vault had its files of {slept.in_vault:g}")

    def put_back(self, instance_id: int, snapshot_id: str) -> None:
        """Its owner wants the files of this one of its snapshots back, whatever there are now."""
        self._slept.pop(instance_id, None)
        self._put_back[instance_id] = snapshot_id

    async def moved(self, home: DataMachine) -> None:
        """Right after it was written that a snapshot's files are on the machine.

        What is not whole by now comes too late. When its owner put that one back, it alone counts of all there are.
        """
        if home.snapshot_id is None:
            return
        async with self._database.begin() as session:
            rows = await snapshots.of_instance(session, home.instance_id)
        if put_back := self._put_back.get(home.instance_id) == home.snapshot_id:
            del self._put_back[home.instance_id]
        self._void.update(each.id for each in rows if put_back or each.status is SnapshotStatus.CREATING)
        self._void.discard(home.snapshot_id)

    def kept(self) -> PutBackNow:
        return dict(self._put_back), set(self._void)

    def restored(self, kept: PutBackNow) -> None:
        """The database is as it was then, and knows nothing of what slept since."""
        self._put_back, self._void = dict(kept[0]), set(kept[1])
        self._slept.clear()

    async def deleted(self, instance_id: int, snapshot: Snapshot) -> None:
        """Right after its owner deleted one: nothing newer than what is left, unless a machine has it and is held."""
        async with self._database.begin() as session:
            holder = await session.get_one(Instance, instance_id)
            data = None if holder.data_lease_id is None else await session.get(Lease, holder.data_lease_id)
            left = await self._in_vault(session, holder)
        slept = self._slept.get(instance_id)
        is_over = holder.desired is Desired.DESTROYED or holder.status.is_over
        if is_over or not LIFECYCLES[holder.kind].keeps_files or snapshot.id in self._void:
            return
        version = self._vault.version(instance_id, snapshot.restic_id)
        if data is None or not data.wanted:
            if version is not None and version > left:
                self.lost.append(f"instance {instance_id}'s files of {version:g} were deleted, {left:g} are left")
        elif slept is not None:
            slept.in_vault = min(slept.in_vault, left)

    def _machine(self, lease: Lease | None) -> Machine | None:
        if lease is None or lease.cloud_id is None:
            return None
        return self._books.find(lease.account_id, lease.cloud_id)

    def _woke(self, holder: Instance, lease: Lease, machine: Machine) -> None:
        slept, has = self._slept.pop(holder.id, None), machine.version(self._clock.at)
        if slept is not None:
            kept = slept.on_disk if slept.lease_id == lease.id else slept.in_vault
            if has < kept:
                self.lost.append(f"instance {holder.id} slept with files of {kept:g} and woke with {has:g}")
        machine.use(self._clock.at)

    async def _sleeps(
        self, session: AsyncSession, holder: Instance, lease: Lease | None, machine: Machine | None
    ) -> None:
        in_vault = await self._in_vault(session, holder)
        if holder.restore_snapshot_id is None:
            self._put_back.pop(holder.id, None)
        if lease is not None and machine is not None and holder.data_lease_id == lease.id:
            self._slept[holder.id] = Slept(lease.id, machine.version(self._clock.at), in_vault)
        elif (slept := self._slept.get(holder.id)) is not None:
            slept.in_vault = max(slept.in_vault, in_vault)
        elif holder.id not in self._put_back:
            self._slept[holder.id] = Slept("", 0.0, in_vault)  # its machine was lost in use

    async def present(self) -> list[str]:
        """What is wrong by now that nobody did just now: files that a snapshot should hold, and that are nowhere."""
        async with self._database.begin() as session:
            asleep = Instance.status == InstanceStatus.HIBERNATED
            for holder in (await session.scalars(select(Instance).where(asleep))).all():
                slept = self._slept.get(holder.id)
                if slept is not None and await self._in_vault(session, holder) < slept.in_vault:
                    self.lost.append(
                        f"instance {holder.id} is hibernated, and its files of {slept.in_vault:g} are gone"
                    )
        return self.lost
