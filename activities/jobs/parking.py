"""A job's machine whose files cannot be fetched: stopped meanwhile, so that it costs its disk only."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from db.instances.tables import Instance
from db.jobs.jobs import last_attempt, say
from db.jobs.tables import Job, JobAttempt
from db.machines import power
from db.machines.tables import Lease
from db.session import Database, now
from domain.instances.phases import Desired
from domain.jobs.phases import AttemptState
from domain.workflow_contracts import machine_workflow_id
from failpoints import Failpoint, hit
from settings import Settings
from workflow_client.client import WorkflowClient


class ParkingActivities:
    def __init__(self, database: Database, workflows: WorkflowClient, settings: Settings) -> None:
        self._database = database
        self._workflows = workflows
        self._again = timedelta(minutes=settings.collect_again_minutes)
        self._longest = timedelta(hours=settings.collect_hours)

    @activity.defn
    async def park(self, job_id: str) -> None:
        """A try has failed: the machine stops until the next one. Its disk is all there is of the files."""
        async with self._database.begin() as session:
            if (waiting := await _locked(session, job_id)) is None:
                return
            job, attempt, instance = waiting
            lease = await session.get_one(Lease, instance.lease_id or "", with_for_update=True)
            present = await now(session)
            attempt.parked_until = attempt.parked_until or present + self._longest
            attempt.collect_at = present + self._again
            lease.keeps_files = True
            if instance.desired is not Desired.DESTROYED:
                instance.desired = Desired.PAUSED
            await power.request_stop(session, instance, lease.id, None)
            job.message = _waits(attempt)
            await say(session, job, "parked", job.message)
        await hit(Failpoint.PARK)
        await self._workflows.changed(machine_workflow_id(lease.id))

    @activity.defn
    async def unpark(self, job_id: str) -> None:
        """It is time for the next try: the machine starts."""
        async with self._database.begin() as session:
            if (waiting := await _locked(session, job_id)) is None:
                return
            job, _, instance = waiting
            if instance.desired is Desired.PAUSED:
                instance.desired = Desired.RUNNING
            if not await power.request_start(session, instance, instance.lease_id or ""):
                return
            job.message = "Starting its machine, to fetch its files."
            await say(session, job, "unparked", job.message)
        await hit(Failpoint.UNPARKED)
        await self._workflows.changed(machine_workflow_id(instance.lease_id or ""))


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
