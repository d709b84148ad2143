"""Housekeeping: the sweeps that run by the clock, and the reconciler that runs for ever."""

from collections.abc import Callable
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import WorkflowIDConflictPolicy

from domain.workflow_contracts import (
    EXPIRE_SCHEDULE_ID,
    EXPIRE_WORKFLOW_ID,
    REAP_SCHEDULE_ID,
    REAP_WORKFLOW_ID,
    RECONCILE_WORKFLOW,
    RECONCILE_WORKFLOW_ID,
    TASK_QUEUE,
)
from settings import Settings
from workflow_client.client import RPC_DEADLINE, search_attributes
from workflow_client.kinds import Kind


async def keep_housekeeping_running(temporal: Client, settings: Settings) -> None:
    """Create what is missing, and bring what is there to the present settings. Safe from many processes."""
    await temporal.start_workflow(
        RECONCILE_WORKFLOW,
        id=RECONCILE_WORKFLOW_ID,
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=search_attributes("reconcile"),
        static_summary="Starts whatever an open row demands and nobody serves",
        rpc_timeout=RPC_DEADLINE,
    )
    every = {
        REAP_SCHEDULE_ID: _every(settings.reap_seconds, "ReapWorkflow", REAP_WORKFLOW_ID, "reap"),
        EXPIRE_SCHEDULE_ID: _every(settings.expire_seconds, "ExpireWorkflow", EXPIRE_WORKFLOW_ID, "expire"),
    }
    for schedule_id, schedule in every.items():
        try:
            await temporal.create_schedule(schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            await temporal.get_schedule_handle(schedule_id).update(_to(schedule))


def _every(seconds: float, workflow: str, workflow_id: str, kind: Kind) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            workflow,
            id=workflow_id,
            task_queue=TASK_QUEUE,
            typed_search_attributes=search_attributes(kind),
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=seconds))]),
        # a laptop that wakes up after a night does not run a night's worth of sweeps
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=60)),
    )


def _to(wanted: Schedule) -> Callable[[ScheduleUpdateInput], ScheduleUpdate | None]:
    """A change of the interval alone: the note in its state is another's (activities/machines/pairing.py)."""

    def update(present: ScheduleUpdateInput) -> ScheduleUpdate | None:
        schedule = present.description.schedule
        if schedule.spec.intervals == wanted.spec.intervals:
            return None
        schedule.spec = wanted.spec
        return ScheduleUpdate(schedule)

    return update
