"""The windows that users really have, three idle minutes and thirty paused ones, on a clock that skips.

The workflow is the real one, and so is the judgement of idleness; in place of the rest there is one row in memory,
whose machine obeys at once.
"""

import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.errors import NotYet
from activities.instances.idleness import IdleWatch
from activities.instances.instances import StatusChange
from activities.instances.power import IdlePause, PowerRequest
from activities.machines.shell import ProgramsEnded
from activities.snapshots.vault import SnapshotOrder, SnapshotTaken
from domain.instances.idleness import IdleDecision, IdleFacts, IdlePolicy, judge
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.instances.steps import InstanceFacts, LeaseFacts, NewestSnapshot
from domain.lifecycles import LIFECYCLES
from domain.machines.phases import LeaseOutcome, LeaseState, Power
from domain.workflow_contracts import INSTANCE_WORKFLOW, InstanceInput
from tests.patience import PATIENCE_SECONDS
from tests.workflows.sandbox import SANDBOX
from workflows.instance import InstanceWorkflow

POLICY = IdlePolicy(
    pause_after=timedelta(minutes=3),
    report_every=timedelta(seconds=10),
    repair_after=timedelta(minutes=15),
    unattended_usd=5,
)
HIBERNATE_AFTER = timedelta(minutes=30)
LEASE = "lease_1"


class World:
    """One instance that runs, its machine and its snapshot. `now` is the clock that skips."""

    def __init__(self, now: Callable[[], Any]) -> None:
        self._now = now
        self.desired, self.status = Desired.RUNNING, InstanceStatus.RUNNING
        self.lease, self.power, self.wanted = LeaseState.RUNNING, Power.RUNNING, True
        self.snapshot: NewestSnapshot | None = None
        self.became: dict[InstanceStatus, datetime] = {}

    async def begin(self) -> None:
        self.used_at = await self._now()

    @activity.defn
    async def look_at_instance(self, _: int) -> InstanceFacts:
        return self._facts()

    def _facts(self) -> InstanceFacts:
        lease = LeaseFacts(
            id=LEASE,
            state=self.lease,
            wanted=self.wanted,
            outcome=LeaseOutcome.WORKING,
            power=self.power,
            is_saved=self.snapshot is not None and self.lease is LeaseState.STOPPED,
        )
        return InstanceFacts(
            desired=self.desired,
            status=self.status,
            lease=lease,
            open_leases=int(self.lease is not LeaseState.CLOSED),
            was_running=True,
            lifecycle=LIFECYCLES[InstanceKind.INTERACTIVE],
            data_lease_id=LEASE,
            data_lease_is_open=self.lease is not LeaseState.CLOSED,
            snapshot=self.snapshot,
        )

    @activity.defn
    async def await_idleness(self, watch: IdleWatch) -> IdleDecision:
        now = await self._now()
        decision = judge(IdleFacts(now=now, policy=POLICY, running_since=self.used_at, known_until=now))
        if decision.pause or (decision.warn and decision.idle_since != watch.warned_since):
            return decision
        raise NotYet(decision.why, decision.look_again or 60.0)

    @activity.defn
    async def pause_idle(self, _: IdlePause) -> None:
        self.desired = Desired.PAUSED

    @activity.defn
    async def record_instance(self, news: StatusChange) -> InstanceFacts:
        self.status = news.status
        self.became.setdefault(news.status, await self._now())
        return self._facts()

    @activity.defn
    async def request_power(self, order: PowerRequest) -> InstanceFacts:
        self.power, self.lease = order.power, LeaseState.STOPPED
        return self._facts()

    @activity.defn
    async def hibernate_when_due(self, _: int) -> float | None:
        left = (self.became[InstanceStatus.PAUSED] + HIBERNATE_AFTER - await self._now()).total_seconds()
        if left <= 0:
            self.desired = Desired.HIBERNATED
        return max(0.0, float(left))

    @activity.defn
    async def release_if_saved(self, _: int) -> None:
        self.wanted, self.lease = False, LeaseState.CLOSED

    @activity.defn
    async def begin_snapshot(self, order: SnapshotOrder) -> None:
        self.snapshot = NewestSnapshot(id=order.snapshot_id)

    @activity.defn
    async def take_snapshot(self, _: str) -> SnapshotTaken:
        return SnapshotTaken(files=1, size_bytes=1, data_added_bytes=1, seconds=1)

    @activity.defn
    async def verify_snapshot(self, snapshot_id: str) -> None:
        self.snapshot = NewestSnapshot(id=snapshot_id, is_verified=True)

    @activity.defn
    async def forget_snapshots(self, _: int) -> None:
        return

    @activity.defn
    async def end_user_processes(self, _: str) -> ProgramsEnded:
        return ProgramsEnded(left=0)

    @activity.defn
    async def warn_users(self, _: int) -> bool:
        return True

    def activities(self) -> list[Any]:
        return [
            *(self.look_at_instance, self.await_idleness, self.pause_idle, self.record_instance, self.request_power),
            *(self.hibernate_when_due, self.release_if_saved, self.begin_snapshot, self.take_snapshot),
            *(self.verify_snapshot, self.forget_snapshots, self.end_user_processes, self.warn_users),
        ]


@pytest_asyncio.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    server = Path(sys.executable).parent / "temporal-test-server"  # of a wheel
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server),
        test_server_startup_timeout=timedelta(seconds=PATIENCE_SECONDS),
        data_converter=pydantic_data_converter,
    ) as environment:
        phase = AddSearchAttributesRequest(
            namespace="default", search_attributes={"DumontPhase": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}
        )
        await environment.client.operator_service.add_search_attributes(phase)
        yield environment


@pytest.mark.parametrize("idle_before", [timedelta(0), timedelta(minutes=2)])
async def test_three_idle_minutes_pause_and_thirty_paused_ones_hibernate(
    skipping: WorkflowEnvironment, idle_before: timedelta
) -> None:
    world = World(skipping.get_current_time)
    await world.begin()
    began, world.used_at = world.used_at, world.used_at - idle_before
    worker = Worker(
        skipping.client,
        task_queue="windows",
        workflows=[InstanceWorkflow],
        workflow_runner=SANDBOX,
        activities=world.activities(),
    )
    async with worker:
        handle = await skipping.client.start_workflow(
            INSTANCE_WORKFLOW, InstanceInput(instance_id=1), id=f"instance-{idle_before}", task_queue="windows"
        )
        for _ in range(60):
            if InstanceStatus.HIBERNATED in world.became:
                break
            await skipping.sleep(timedelta(minutes=1))
        await handle.terminate()
    paused = world.became[InstanceStatus.PAUSED] - began
    hibernated = world.became[InstanceStatus.HIBERNATED] - world.became[InstanceStatus.PAUSED]
    assert timedelta(minutes=3) - idle_before <= paused < timedelta(minutes=4) - idle_before
    assert timedelta(minutes=30) <= hibernated < timedelta(minutes=31)
