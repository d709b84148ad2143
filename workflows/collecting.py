"""A job's files: fetched before its machine goes. One whose files cannot be fetched waits for them, stopped."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.jobs.artifacts import ArtifactActivities
    from activities.jobs.parking import ParkingActivities
    from domain.jobs.steps import AttemptFacts, JobFacts, JobStep, waits_for_files
    from domain.workflow_contracts import JobInput

from workflows.failures import fault_of, reason_of
from workflows.options import COLLECT, RECORD


class CollectableJob(Protocol):
    """What is needed of the JobWorkflow."""

    input: JobInput
    facts: JobFacts

    @property
    def attempt(self) -> AttemptFacts: ...
    async def look(self) -> None: ...
    async def await_news(self, longest: timedelta) -> None: ...


class Collecting:
    """The steps from a script's end until its machine may go. Each may be begun again from its beginning."""

    def __init__(self, job: CollectableJob) -> None:
        self._job = job
        self.steps: dict[JobStep, Callable[[], Awaitable[None]]] = {
            JobStep.COLLECT: self._collect,
            JobStep.PARK: self._park,
            JobStep.WAIT_PARKED: self._wait_parked,
            JobStep.UNPARK: self._unpark,
            JobStep.GIVE_UP_FILES: self._give_up_files,
        }

    async def _collect(self) -> None:
        try:
            await workflow.execute_activity_method(
                ArtifactActivities.collect_artifacts, self._job.attempt.id, summary="fetch its files", **COLLECT
            )
        except ActivityError as error:
            workflow.logger.info("not collected: %s", reason_of(error))
            await self._not_collected(fault_of(error))

    async def _not_collected(self, fault: Fault | None) -> None:
        if fault is Fault.NOT_COLLECTED:
            await self._job.look()
            if waits_for_files(self._job.facts):
                return await self._park()
        await self._give_up_files()

    async def _park(self) -> None:
        await workflow.execute_local_activity_method(
            ParkingActivities.park, self._job.input.job_id, summary="its machine waits stopped", **RECORD
        )

    async def _wait_parked(self) -> None:
        """Until the next try, or until its owner wants one now, or none any more."""
        parked = self._job.attempt.parked
        await self._job.await_news(timedelta(seconds=0 if parked is None else parked.seconds))

    async def _unpark(self) -> None:
        await workflow.execute_local_activity_method(
            ParkingActivities.unpark, self._job.input.job_id, summary="its machine starts, for the next try", **RECORD
        )

    async def _give_up_files(self) -> None:
        await workflow.execute_activity_method(
            ArtifactActivities.keep_what_was_seen,
            self._job.attempt.id,
            summary="keep the logs as followed",
            **COLLECT,
        )
