"""An instance's rows while it falls asleep and wakes: what its machine shall be, and where its files are."""

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import each_alone
from activities.instances.instances import facts_now
from db.instances import power
from db.instances.desired_state import request_action, set_desired
from db.instances.facts import holds_all
from db.instances.idle_policy import hibernate_after
from db.instances.tables import Instance
from db.instances.wakes import report_of
from db.instances.warnings import add_warning
from db.machines import leases
from db.machines.tables import Lease
from db.notify import notify_instance
from db.session import Database, now
from db.snapshots.snapshots import newest
from db.snapshots.tables import Snapshot
from domain.holders import instance_holder
from domain.instances.actions import InstanceAction
from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceFacts
from domain.instances.wakes import WakeReport
from domain.machines.phases import LeaseState, Power
from domain.workflow_contracts import machine_workflow_id
from failpoints import Failpoint, hit
from settings import Settings
from workflow_client.client import WorkflowClient

IDLE_CLOCK = "the idle clock"
US = "Dumont Cloud"


class PowerRequest(BaseModel):
    """An instance's machine shall run, or stop."""

    instance_id: int
    lease_id: str
    power: Power
    ran: bool = False
    """It was in use until now, so nothing holds all its files but `snapshot_id`, taken after its programs had ended."""
    snapshot_id: str | None = None


class DesiredChange(BaseModel):
    """What an instance shall be instead, should nobody have wished otherwise since it was looked at."""

    instance_id: int
    seen: Desired
    desired: Desired
    why: str
    failed_wake: bool = False


class DataMachine(BaseModel):
    """Where the files are from now on. `snapshot_id`: they came from there, so what was elsewhere before is void."""

    instance_id: int
    lease_id: str
    snapshot_id: str | None = None


class Caution(BaseModel):
    instance_id: int
    text: str
    restore_failed: bool = False
    """The snapshot that was wished onto the machine is not wished any more."""


class IdlePause(BaseModel):
    """`why`: the sentence of the timeline."""

    instance_id: int
    why: str


class WakeEnding(BaseModel):
    instance_id: int
    worked: bool
    reason: str = ""


class InstancePowerActivities:
    def __init__(self, database: Database, workflows: WorkflowClient, settings: Settings) -> None:
        self._database = database
        self._workflows = workflows
        self._settings = settings

    @activity.defn
    async def request_power(self, order: PowerRequest) -> InstanceFacts:
        """Write what the machine shall be, then tell its flow, unless the instance's owner wants otherwise by now.

        Returns what the next step depends on.
        """
        async with self._database.begin() as session:
            instance = await self._locked(session, order.instance_id)
            if order.power is Power.RUNNING:
                is_wanted = await power.request_start(session, instance, order.lease_id)
            else:
                ran_until = await _ran_until(session, order) if order.ran else None
                is_wanted = await power.request_stop(session, instance, order.lease_id, ran_until)
            facts = await facts_now(session, instance, self._settings)
        await hit(Failpoint.POWER_REQUESTED)
        if is_wanted:
            await self._workflows.changed(machine_workflow_id(order.lease_id), f"it shall be {order.power.value}")
        return facts

    @activity.defn
    async def change_desired(self, change: DesiredChange) -> None:
        """What was wanted cannot be: want what can, and say so where the user looks."""
        async with self._database.begin() as session:
            instance = await self._locked(session, change.instance_id)
            instance.failed_wakes += change.failed_wake
            if instance.desired is not change.seen:
                return
            if change.failed_wake:
                instance.restore_snapshot_id = None
            await set_desired(session, instance, change.desired, by=US, why=change.why)
            await add_warning(session, instance, change.why)

    @activity.defn
    async def warn(self, warning: Caution) -> None:
        """Add a sentence to the instance's warnings and to its timeline."""
        async with self._database.begin() as session:
            instance = await self._locked(session, warning.instance_id)
            if warning.restore_failed:
                instance.restore_snapshot_id = None
                instance.failed_wakes += 1
            await add_warning(session, instance, warning.text)

    @activity.defn
    async def record_data_machine(self, home: DataMachine) -> None:
        """The files are on this lease's machine, and nowhere newer."""
        async with self._database.begin() as session:
            instance = await self._locked(session, home.instance_id)
            if home.snapshot_id is not None and _is_news(instance, home):
                instance.epoch += 1
                await _take_along(session, instance, home.snapshot_id)
            instance.data_lease_id = home.lease_id
            if instance.restore_snapshot_id == home.snapshot_id:
                instance.restore_snapshot_id = None  # else it comes next, over these files
            await notify_instance(session, instance.id)
        await hit(Failpoint.DATA_MACHINE_RECORDED)

    @activity.defn
    async def return_to_data_machine(self, instance_id: int) -> None:
        """Give the machine back that was to be moved to, if it is not home, and live on the old one again."""
        async with self._database.begin() as session:
            instance = await self._locked(session, instance_id)
            left, instance.lease_id = instance.lease_id, instance.data_lease_id
            if left is not None and left != instance.data_lease_id:
                await leases.request_release(session, left, instance_holder(instance_id))
        if left is not None:
            await self._workflows.changed(machine_workflow_id(left), "its instance lives elsewhere")

    @activity.defn
    async def release_others(self, instance_id: int) -> None:
        """Give back every machine but the present one."""
        async with self._database.begin() as session:
            instance = await self._locked(session, instance_id)
            every = await leases.leases_of_instance(session, instance_id)
            others = [each for each in every if each.wanted and each.state.is_open and each.id != instance.lease_id]
            for each in others:
                await leases.request_release(session, each.id, instance_holder(instance_id))
        with each_alone() as alone:
            for each in others:
                with alone:
                    await self._workflows.changed(machine_workflow_id(each.id), "its instance lives elsewhere")

    @activity.defn
    async def release_if_saved(self, instance_id: int) -> None:
        """Let go of the stopped machine, if its files are safe elsewhere and it has not run since."""
        async with self._database.begin() as session:
            instance = await self._locked(session, instance_id)
            lease = await session.get_one(Lease, instance.lease_id or "", with_for_update=True)
            snapshot = await newest(session, instance, lock=True)
            asleep = lease.state is LeaseState.STOPPED and lease.power is Power.STOPPED
            safe = snapshot is not None and snapshot.verified and holds_all(snapshot, lease, instance)
            if instance.desired is not Desired.HIBERNATED or not asleep or not safe:
                return
            await leases.request_release(session, lease.id, instance_holder(instance_id))
        await hit(Failpoint.REQUEST_RELEASE)
        await self._workflows.changed(machine_workflow_id(lease.id), "its files are saved")

    @activity.defn
    async def pause_idle(self, pause: IdlePause) -> None:
        """Wish an idle instance paused, unless its owner wished something else just now."""
        async with self._database.begin() as session:
            instance = await self._locked(session, pause.instance_id)
            if instance.desired is Desired.RUNNING and instance.status is InstanceStatus.RUNNING:
                await request_action(session, instance, InstanceAction.PAUSE, by=IDLE_CLOCK, why=pause.why)

    @activity.defn
    async def hibernate_when_due(self, instance_id: int) -> float | None:
        """Wish a paused instance hibernated when its window is over. Returns the seconds until then; None: not now.

        One whose files are in no verified snapshot keeps its machine: its disk is all there is of them.
        """
        async with self._database.begin() as session:
            instance = await self._locked(session, instance_id)
            window = await hibernate_after(session, instance, self._settings.idle_hibernate_minutes)
            if instance.desired is not Desired.PAUSED or window is None or instance.status_at is None:
                instance.will_hibernate_at = None
                return None
            lease = await session.get_one(Lease, instance.lease_id or "")
            if not holds_all(await newest(session, instance), lease, instance):
                instance.will_hibernate_at = None
                return None
            instance.will_hibernate_at = instance.status_at + window
            present = await now(session)
            left = (instance.will_hibernate_at - present).total_seconds()
            if left > 0:
                return float(left)
            told = f"Paused for {window.total_seconds() / 60:g} minutes: its machine is given back."
            await request_action(session, instance, InstanceAction.HIBERNATE, by=IDLE_CLOCK, why=told)
            return 0.0

    @activity.defn
    async def conclude_wake(self, ending: WakeEnding) -> None:
        """Write the report of the wake that has just ended, well or not."""
        async with self._database.begin() as session:
            instance = await self._locked(session, ending.instance_id)
            if _is_reported(instance):
                return
            report = await report_of(session, instance, worked=ending.worked, reason=ending.reason)
            instance.last_wake = report.model_dump(mode="json")
            if ending.worked:
                instance.failed_wakes = 0
            await notify_instance(session, instance.id)

    async def _locked(self, session: AsyncSession, instance_id: int) -> Instance:
        return await session.get_one(Instance, instance_id, with_for_update=True)


def _is_reported(instance: Instance) -> bool:
    """Nobody woke it (a restore while it runs, or at its making), or what came of that wish is reported already."""
    if instance.requested_at is None:
        return True
    return (
        instance.last_wake is not None
        and WakeReport.model_validate(instance.last_wake).began_at == instance.requested_at
    )


def _is_news(instance: Instance, home: DataMachine) -> bool:
    """Not when an earlier attempt has written it already."""
    return instance.data_lease_id != home.lease_id or instance.restore_snapshot_id is not None


async def _take_along(session: AsyncSession, instance: Instance, snapshot_id: str) -> None:
    """What the files came from is their newest copy under the new epoch, until there is a newer one."""
    mine = Snapshot.id == snapshot_id, Snapshot.instance_id == instance.id
    await session.execute(update(Snapshot).where(*mine).values(epoch=instance.epoch))


async def _ran_until(session: AsyncSession, order: PowerRequest) -> datetime:
    """What was written later than this is in no snapshot."""
    snapshot = None if order.snapshot_id is None else await session.get(Snapshot, order.snapshot_id)
    return (None if snapshot is None else snapshot.taken_at) or await now(session)
