"""What the other workflows do: an instance, the watch of an account, the reaper."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from activities.errors import Fault, Final
from activities.instances.instances import ReleaseRequest, StatusChange
from activities.machines.reaping import Execution, Sweep
from activities.reconciling import OVER
from db.instances.tables import Instance
from db.machines.leases import OPEN
from db.machines.tables import Lease
from domain.instances.decisions import decide
from domain.instances.phases import InstanceStatus
from domain.instances.steps import InstanceFacts, Step
from domain.machines.phases import LeaseState
from tests.protocol.attempts import Activity
from tests.protocol.flows import Flow

if TYPE_CHECKING:
    from tests.protocol.world import World

REAP_EVERY = 25.0
RECONCILE_EVERY = 30.0
REAP_PATIENCE = 120.0


class InstanceFlow(Flow):
    """workflows/instance.py: one decision after every change."""

    def __init__(self, world: "World", instance_id: int) -> None:
        super().__init__(world)
        self.instance_id = instance_id
        self.step_taken = Step.NOTHING
        self._facts: InstanceFacts | None = None
        self._gave_up = False

    async def next_call(self) -> tuple[Activity, Any] | None:
        if self._facts is None:
            return self.world.instances.look_at_instance, self.instance_id
        return self._call_of(self.step_taken, self._facts)

    def _call_of(self, step: Step, facts: InstanceFacts) -> tuple[Activity, Any]:
        instances, lease = self.world.instances, facts.lease
        if step is Step.RESERVE:
            return instances.reserve_machine, self.instance_id
        if lease is not None and step is Step.WAIT_FOR_MACHINE:
            return instances.start_machine, lease.id
        if lease is not None and step is Step.REQUEST_RELEASE:
            return instances.request_release, ReleaseRequest(lease_id=lease.id, instance_id=self.instance_id)
        status = {
            Step.RECORD_RUNNING: InstanceStatus.RUNNING,
            Step.CONCLUDE_DESTROYED: InstanceStatus.DESTROYED,
            Step.CONCLUDE_FAILED: InstanceStatus.FAILED,
        }[step]
        return instances.record_instance, StatusChange(instance_id=self.instance_id, status=status)

    async def done(self, result: Any) -> None:
        if self._facts is None:
            self._facts = result
            result.gave_up = self._gave_up
            self.step_taken = decide(result)
            if self.step_taken not in (Step.STAY, Step.WAIT_FOR_RELEASE, Step.NOTHING):
                self.due = self.world.clock.at
                return
        if self.step_taken is Step.NOTHING:
            return self.end()
        self._facts = None
        waits = self.step_taken in (Step.STAY, Step.WAIT_FOR_RELEASE, Step.WAIT_FOR_MACHINE)
        self.rest(None if waits else self.world.clock.at)

    async def refused(self, error: Final) -> None:
        self._gave_up, self._facts = True, None
        self.due = self.world.clock.at


class WatchFlow(Flow):
    """workflows/watch.py. The activity asks to be called again by itself, until nothing is held."""

    def __init__(self, world: "World", account_id: int) -> None:
        super().__init__(world)
        self._account_id = account_id

    async def next_call(self) -> tuple[Activity, Any]:
        return self.world.watching.look_at_account, self._account_id

    async def done(self, result: Any) -> None:
        self.rest(None)


class ReapFlow(Flow):
    """workflows/reap.py, every so often; each account by itself."""

    def __init__(self, world: "World", account_id: int) -> None:
        super().__init__(world)
        self._account_id = account_id
        self._began = world.clock.at
        self._left: list[Execution] = []

    async def next_call(self) -> tuple[Activity, Any] | None:
        if (self.world.clock.at - self._began).total_seconds() > REAP_PATIENCE:
            self._rest()  # what does not work now is left to the next sweep
            return None
        return (self.world.reaping.carry_out, self._left[0]) if self._left else (self._sweep, self._account_id)

    async def _sweep(self, account_id: int) -> Sweep:
        if account_id not in await self.world.reaping.accounts_to_sweep():
            return Sweep(account_id=account_id, listed=0)
        return await self.world.reaping.sweep_account(account_id)

    async def done(self, result: Any) -> None:
        if isinstance(result, Sweep):
            found = result.action_requests if self.world.is_paired else []
            self._left = [Execution(account_id=self._account_id, action_request=each) for each in found]
        else:
            self._left.pop(0)
        if not self._left:
            return self._rest()
        self.due = self.world.clock.at

    async def refused(self, error: Final) -> None:
        assert error.type in set(Fault)
        self._rest()

    def _rest(self) -> None:
        self._left = []
        self.wait(REAP_EVERY)
        self._began = self.world.clock.after(REAP_EVERY)


class ReconcileFlow(Flow):
    """activities/reconciling.py without Temporal: rows are enough to start whatever is not running."""

    async def next_call(self) -> tuple[Activity, Any]:
        return self._start_what_rows_demand, None

    async def _start_what_rows_demand(self, _: None) -> None:
        async with self.world.database.begin() as session:
            leases = (await session.scalars(select(Lease).where(OPEN).order_by(Lease.id))).all()
            found = await session.scalars(select(Instance.id).where(Instance.status.not_in(OVER)).order_by(Instance.id))
            instances = found.all()
        for lease in leases:
            self.world.start_machine(lease.id)
            if not lease.wanted and lease.state is not LeaseState.RELEASING:
                self.world.signal(f"machine-{lease.id}")
        for instance_id in instances:
            self.world.start_instance(instance_id)
        for account_id in sorted({lease.account_id for lease in leases if lease.asked_at is not None}):
            if f"watch-account-{account_id}" not in self.world.workflows:
                self.world.watch(account_id)

    async def done(self, result: Any) -> None:
        self.wait(RECONCILE_EVERY)
