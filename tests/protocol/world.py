"""The real activities on a real database, around them a model cloud and a model of Temporal, and one clock for all."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
from pydantic import SecretStr

from activities.errors import NotYet
from activities.instances.instances import InstanceActivities
from activities.machines.leases import LeaseActivities
from activities.machines.machines import MachineActivities
from activities.machines.reaping import ReapActivities
from activities.machines.watching import WatchActivities
from clouds.connections import Providers
from db.instances.tables import Instance
from db.machines import leases
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.instances.phases import Desired
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseOutcome
from failpoints import Failpoint
from settings import Settings
from tests.protocol.attempts import Attempt, Gates
from tests.protocol.books import Books, Machine
from tests.protocol.clock import START, Clock
from tests.protocol.cloud import Cloud
from tests.protocol.flows import Flow
from tests.protocol.machine_flow import MachineFlow
from tests.protocol.other_flows import InstanceFlow, ReapFlow, ReconcileFlow, WatchFlow
from tests.protocol.rooms import ModelFlows, ModelMarket
from tests.protocol.rows import begin

SECRETS = "a secret of the protocol's tests that is long enough"
STEPS_AT_MOST = 20_000
OURS = re.compile(r"dumont/home/[^/]+")


def quick(cloud_pace: float) -> Settings:
    """The proportions of the real settings, in fewer steps."""
    return Settings(
        _env_file=None,
        secret_keys=SecretStr(SECRETS),
        vast_url="http://cloud",
        cloud_pace=cloud_pace,
        settle_seconds=5,
        watch_seconds=3,
        sweep_seconds=40,
        reap_apart_seconds=15,
        orphan_grace_seconds=120,
        default_spending_cap_per_day=10_000,
    )


class World:
    def __init__(self, database: Database, clock: Clock, cloud_pace: float) -> None:
        settings = quick(cloud_pace)
        self.database, self.clock, self.gates = database, clock, Gates()
        self.books = Books(clock)
        self.books.judge = self._why_wrong
        self.cloud = Cloud(self.books, clock, self.gates.hit)
        self.sealer = Sealer(SECRETS)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.cloud))
        clouds = Providers(database, self.sealer, settings, http)
        workflows = ModelFlows(self)
        self.machines = MachineActivities(clouds)
        self.leases = LeaseActivities(database, workflows)
        self.instances = InstanceActivities(clouds, ModelMarket(self.gates.hit), workflows)
        self.watching = WatchActivities(clouds, workflows)
        self.reaping = ReapActivities(clouds)
        self.patience = timedelta(seconds=3 * settings.settle_seconds)
        self.is_paired = True
        self.workflows: dict[str, Flow] = {}
        self.hanging: list[tuple[Flow, Attempt]] = []
        self.unforeseen: list[Exception] = []

    async def begin(self) -> None:
        self.clock.move_to(START)
        await begin(self.database, self.sealer)
        for account in (1, 2):
            self.workflows[f"reap-{account}"] = ReapFlow(self, account)
        self.workflows["reconcile"] = ReconcileFlow(self)

    async def hit(self, point: Failpoint) -> None:
        await self.gates.hit(point.value)

    async def go(self, seconds: float) -> None:
        """Everything that is due in so many seconds, in the order of time."""
        end = self.clock.after(seconds)
        for _ in range(STEPS_AT_MOST):
            flow = self._next(end.timestamp())
            if flow is None or flow.due is None:
                return self._move_to(end)
            if flow.due > self.clock.at:
                self._move_to(flow.due)
            await flow.step()
        raise AssertionError("something is due again and again, and time stands still")

    def _next(self, latest: float) -> Flow | None:
        due = [(flow.due.timestamp(), number) for number, flow in enumerate(self.workflows.values()) if flow.due]
        time, number = min(due, default=(latest + 1, 0))
        return list(self.workflows.values())[number] if time <= latest else None

    def _move_to(self, at: datetime) -> None:
        self.clock.move_to(at)
        self.books.carry_out_late_sales()

    async def resume(self, number: int) -> None:
        flow, attempt = self.hanging.pop(number % len(self.hanging))
        await attempt.go_on()
        await flow.hear(attempt)

    def start_machine(self, lease_id: str) -> None:
        self._start(f"machine-{lease_id}", lambda: MachineFlow(self, lease_id))

    def start_instance(self, instance_id: int) -> None:
        self._start(f"instance-{instance_id}", lambda: InstanceFlow(self, instance_id))

    def watch(self, account_id: int) -> None:
        self._start(f"watch-account-{account_id}", lambda: WatchFlow(self, account_id))
        self.signal(f"watch-account-{account_id}")

    def _start(self, workflow_id: str, make: Callable[[], Flow]) -> None:
        """Joins the running one, if there is one."""
        if workflow_id not in self.workflows or self.workflows[workflow_id].is_over:
            self.workflows.pop(workflow_id, None)
            self.workflows[workflow_id] = make()

    def signal(self, workflow_id: str) -> None:
        if workflow_id in self.workflows:
            self.workflows[workflow_id].signal()

    def seen(self, lease_id: str, seen: MachineSeen) -> None:
        flow = self.workflows.get(f"machine-{lease_id}")
        if isinstance(flow, MachineFlow):
            flow.seen = seen
            flow.signal()

    async def tell_holder(self, lease_id: str) -> None:
        async with self.database.begin() as session:
            lease = await session.get(Lease, lease_id)
        if lease is not None:
            self.signal(f"instance-{lease.holder_id}")

    async def probe(self, lease_id: str) -> None:
        """In place of SSH: the machine answers when it is up."""
        async with self.database.begin() as session:
            lease = await session.get_one(Lease, lease_id)
        machine = None if lease.cloud_id is None else self.books.find(lease.account_id, lease.cloud_id)
        if machine is None or not machine.is_up(self.clock.at):
            raise NotYet("the machine does not let us in", 1.0)
        async with self.database.begin() as session:
            await leases.mark_running(session, lease_id, "host key")

    async def instance(self, number: int) -> Instance | None:
        async with self.database.begin() as session:
            return await session.get(Instance, number)

    async def _why_wrong(self, machine: Machine) -> str | None:
        if OURS.fullmatch(machine.label) is None:
            return "it is not ours"
        async with self.database.begin() as session:
            lease = await session.scalar(leases.open_leases().where(Lease.label == machine.label))
            holder = None if lease is None else await session.get(Instance, int(lease.holder_id))
        if lease is None or lease.cloud_id not in (None, str(machine.id)):
            return None
        if lease.wanted:
            return "its lease is open and wanted"
        request_release = lease.outcome in (LeaseOutcome.SERVED, LeaseOutcome.CANCELLED)
        wishes = holder is not None and holder.lease_id == lease.id and holder.desired is Desired.RUNNING
        return "its holder wants it" if request_release and wishes else None
