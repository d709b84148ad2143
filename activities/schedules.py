"""The sweeps that run by the clock."""

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

from domain.flows import RECONCILE_SCHEDULE_ID, RECONCILE_WORKFLOW_ID, TASK_QUEUE
from settings import Settings

RECONCILE_WORKFLOW = "ReconcileWorkflow"


async def make_sure_of_schedules(temporal: Client, settings: Settings) -> None:
    """Create what is missing, and bring what is there to the present settings. Safe from many processes."""
    schedule = _reconcile(settings)
    try:
        await temporal.create_schedule(RECONCILE_SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        handle = temporal.get_schedule_handle(RECONCILE_SCHEDULE_ID)
        await handle.update(lambda present: _update(present, schedule))


def _reconcile(settings: Settings) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(RECONCILE_WORKFLOW, id=RECONCILE_WORKFLOW_ID, task_queue=TASK_QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=settings.reconcile_seconds))]),
        # a laptop that wakes up after a night does not run a night's worth of sweeps
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=60)),
    )


def _update(present: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate | None:
    if present.description.schedule.spec.intervals == wanted.spec.intervals:
        return None
    return ScheduleUpdate(wanted)
