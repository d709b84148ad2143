"""A job's machine whose files cannot be fetched: stopped meanwhile, so that it costs its disk only."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from db.instances.desired_state import set_desired
from db.instances.tables import Instance
from db.jobs.jobs import last_attempt, say
from db.jobs.tables import Job, JobAttempt
from db.session import Database, now
from domain.instances.phases import Desired
from domain.jobs.phases import AttemptState
from domain.workflow_contracts import instance_workflow_id
from failpoints import Failpoint, hit
from settings import Settings
from workflow_client.client import WorkflowClient

BY = "its job"


class ParkingActivities:
    def __init__(self, database: Database, workflows: WorkflowClient, settings: Settings) -> None:
        self._database = database
        self._workflows = workflows
        self._again = timedelta(minutes=settings.collect_again_minutes)
        self._longest = timedelta(hours=settings.collect_hours)

    @activity.defn
    async def park(self, job_id: str) -> None:
        """A try has failed: its instance stops its machine until the next one. The files are on its disk alone."""
        async with self._database.begin() as session:
            if (waiting := await _locked(session, job_id)) is None:
                return
            job, attempt, instance = waiting
            present = await now(session)
            attempt.parked_until = attempt.parked_until or present + self._longest
            attempt.collect_at = present + self._again
            job.message = _waits(attempt)
            await set_desired(session, instance, Desired.PAUSED, by=BY, why="Its job's files wait on its disk.")
            await say(session, job, "parked", job.message)
        await hit(Failpoint.PARK)
        await self._workflows.changed(instance_workflow_id(instance.id), "its job parks it")

    @activity.defn
    async def unpark(self, job_id: str) -> None:
        """It is time for the next try: its instance starts its machine."""
        async with self._database.begin() as session:
            if (waiting := await _locked(session, job_id)) is None:
                return
            job, _, instance = waiting
            job.message = "Starting its machine, to fetch its files."
            if await set_desired(session, instance, Desired.RUNNING, by=BY, why="Its job fetches its files."):
                await say(session, job, "unparked", job.message)
        await hit(Failpoint.UNPARKED)
        await self._workflows.changed(instance_workflow_id(instance.id), "its job needs it running")


async def _locked(session: AsyncSession, job_id: str) -> tuple[Job, JobAttempt, Instance] | None:
    """The rows of a job whose last attempt has ended and has not given its files; None: it is past that."""
    job = await session.get_one(Job, job_id, with_for_update=True)
    attempt = await last_attempt(session, job_id, lock=True)
    if attempt is None or attempt.state is not AttemptState.ENDED:
        return None
    return job, attempt, await session.get_one(Instance, attempt.instance_id, with_for_update=True)


def _waits(attempt: JobAttempt) -> str:
    until, again = f"{attempt.parked_until:%Y-%m-%d %H:%M} UTC", f"{attempt.collect_at:%Y-%m-%d %H:%M} UTC"
    return f"Its files could not be fetched. Its machine is stopped and keeps them until {until}; next try: {again}."
