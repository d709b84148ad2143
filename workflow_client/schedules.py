"""The sweeps that run by the clock."""

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
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from domain.workflow_contracts import (
    EXPIRE_SCHEDULE_ID,
    EXPIRE_WORKFLOW_ID,
    REAP_SCHEDULE_ID,
    REAP_WORKFLOW_ID,
    RECONCILE_SCHEDULE_ID,
    RECONCILE_WORKFLOW_ID,
    TASK_QUEUE,
)
from settings import Settings
from workflow_client.client import KIND
from workflow_client.kinds import Kind


async def make_sure_of_schedules(temporal: Client, settings: Settings) -> None:
    """Create what is missing, and bring what is there to the present settings. Safe from many processes."""
    every = {
        RECONCILE_SCHEDULE_ID: _every(
            settings.reconcile_seconds, "ReconcileWorkflow", RECONCILE_WORKFLOW_ID, "reconcile"
        ),
        REAP_SCHEDULE_ID: _every(settings.reap_seconds, "ReapWorkflow", REAP_WORKFLOW_ID, "reap"),
        EXPIRE_SCHEDULE_ID: _every(settings.expire_seconds, "ExpireWorkflow", EXPIRE_WORKFLOW_ID, "expire"),
    }
    for schedule_id, schedule in every.items():
        try:
            await temporal.create_schedule(schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            await temporal.get_schedule_handle(schedule_id).update(_to(schedule))


def _every(seconds: float, workflow: str, workflow_id: str, kind: Kind) -> Schedule:
    attributes = TypedSearchAttributes([SearchAttributePair(KIND, kind)])
    return Schedule(
        action=ScheduleActionStartWorkflow(
            workflow, id=workflow_id, task_queue=TASK_QUEUE, typed_search_attributes=attributes
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
