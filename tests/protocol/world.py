"""The real workflows and activities on a real database; around them a model cloud, and one clock for all.

What runs is what worker.py registers. What is modelled is in three places: Temporal's server (`temporal/`), the cloud
and its machines (`cloud.py`, `machines.py`), and what our activities reach on machines and in the vault (`seams.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx
from pydantic import SecretStr

import failpoints
import worker
from activities.instances.power import DataMachine, PowerRequest
from activities.machines.pairing import PairingActivities
from clouds.connections import Providers
from db.sealing import Sealer
from db.session import Database
from domain.ids import Prefix
from domain.instances.phases import InstanceStatus
from domain.workflow_contracts import REAP_WORKFLOW_ID, RECONCILE_WORKFLOW_ID
from failpoints import Failpoint
from settings import Settings
from tests.protocol.books import Books
from tests.protocol.clock import Clock
from tests.protocol.cloud import Cloud
from tests.protocol.deploys import Deploys
from tests.protocol.invariant import Invariant
from tests.protocol.rows import begin
from tests.protocol.seams import outside, shells_on
from tests.protocol.temporal.agenda import Agenda
from tests.protocol.temporal.attempts import Gates, given
from tests.protocol.temporal.client import client_of
from tests.protocol.temporal.runs import Run
from tests.protocol.temporal.server import ModelTemporal
from tests.protocol.vault import Vault
from workflow_client.client import WorkflowClient

SECRETS = "a secret of the protocol's tests that is long enough"
REAP_EVERY = 40.0
RECONCILE_EVERY = 45.0
EVENT_WEIGHT = 40
"""A history rolls over after fifty events instead of two thousand."""


def quick(cloud_pace: float, folder: Path) -> Settings:
    """The proportions of the real settings, in fewer steps."""
    return Settings(
        _env_file=None,
        secret_keys=SecretStr(SECRETS),
        vast_url="http://cloud",
        cloud_pace=cloud_pace,
        settle_seconds=5,
        watch_seconds=3,
        sweep_seconds=40,
        reconcile_seconds=30,
        boot_deadline_seconds=60,
        relay_after_seconds=20,
        model_deadline_seconds=60,
        wake_stall_seconds=30,
        snapshot_stall_seconds=30,
        snapshot_budget_seconds=60,
        reap_apart_seconds=15,
        orphan_grace_seconds=120,
        collect_seconds=10,
        collect_again_minutes=0.5,
        collect_hours=0.05,
        queue_seconds=10,
        default_spending_cap_per_day=10_000,
        idle_hibernate_minutes=60,
        data_dir=folder,
    )


class World:
    def __init__(self, database: Database, clock: Clock, cloud_pace: float, folder: Path) -> None:
        settings = quick(cloud_pace, folder)
        self.database, self.clock, self.gates = database, clock, Gates()
        clock.begin()
        self.agenda = Agenda(clock)
        self.books = Books(clock)
        self.cloud = Cloud(self.books, clock, self.gates.hit, self._is_late)
        self.vault = Vault(clock)
        self.shells = shells_on(self.books, clock)
        self.sealer = Sealer(SECRETS)
        self.temporal = ModelTemporal(self.agenda, worker.WORKFLOWS, EVENT_WEIGHT)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.cloud))
        client = client_of(self.temporal)
        clouds = Providers(database, self.sealer, settings, http)
        self.workflows = WorkflowClient(client, settings)
        self.deploys = Deploys(self.sealer, self.workflows)
        self.pairing = PairingActivities(database, client, settings)
        self.invariant = Invariant(database, self.books, self.vault, clock)
        self.books.judge = self.invariant.why_wrong
        self.books.judge_of_sales = self.invariant.why_twice
        self.temporal.listeners["record_instance"] = self.invariant.heard
        self.temporal.listeners["end_user_processes"] = self.invariant.judge_ended_programs
        with self.outside():
            activities = worker.build_activities(client, database, clouds, settings)
        self.temporal.activities = {each.__name__: each for each in activities}
        self._numbers = count()
        self.statuses_at_rest: list[InstanceStatus] = []

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Here everything outside is the model's."""
        failpoints.install(self._hit)
        try:
            with outside(self.clock, self.shells, self.vault, self.new_id):
                yield
        finally:
            failpoints.install(None)

    def new_id(self, prefix: Prefix) -> str:
        return f"{prefix}_{next(self._numbers):016d}"

    async def begin(self) -> None:
        await begin(self.database, self.sealer)
        await self._reap()
        await self._reconcile()

    async def _reap(self) -> None:
        """As its schedule does: not while the sweep before still runs."""
        self.temporal.start("ReapWorkflow", REAP_WORKFLOW_ID, [])
        self.agenda.after(REAP_EVERY, self._reap)

    async def _reconcile(self) -> None:
        self.temporal.start("ReconcileWorkflow", RECONCILE_WORKFLOW_ID, [])
        self.agenda.after(RECONCILE_EVERY, self._reconcile)

    async def _hit(self, point: Failpoint) -> None:
        """What was just committed is judged first: who hangs here is overtaken."""
        for each in given():
            if point is Failpoint.POWER_REQUESTED and isinstance(each, PowerRequest):
                await self.invariant.judge_power(each)
            if point is Failpoint.DATA_MACHINE_RECORDED and isinstance(each, DataMachine):
                await self.invariant.moved(each)
        await self.gates.hit(point.value)

    async def go(self, seconds: float) -> None:
        """Everything that is due in so many seconds, in the order of time."""
        await self.agenda.play(self.clock.after(seconds))

    def flows(self) -> list[Run]:
        """The running ones that somebody may click on; the sweeps are too short for that."""
        return [run for run in self.temporal.running() if run.kind not in ("ReapWorkflow", "ReconcileWorkflow")]

    def _is_late(self, seconds: float) -> None:
        """The cloud has something to carry out later."""
        self.agenda.after(seconds, self.books.carry_out_late_ones)

    async def close(self) -> None:
        await self.temporal.close()
