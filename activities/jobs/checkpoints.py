"""Checkpoints of jobs: `/workspace` saved while a script runs, so that another machine begins with it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel
from temporalio import activity

from db.instances.tables import Instance
from db.jobs.jobs import last_attempt, say
from db.jobs.tables import Job, JobAttempt
from db.session import Database, now
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.ids import new_id
from domain.jobs.phases import AttemptState
from domain.jobs.spec import JobSpec
from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.snapshots import CHECKPOINT_TAG, WORKSPACE, NothingRuns
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient


class CheckpointRestored(BaseModel):
    attempt_id: str
    snapshot_id: str
    files: int


class RestoreFailure(BaseModel):
    attempt_id: str
    snapshot_id: str
    reason: str


class CheckpointActivities:
    def __init__(self, database: Database, workflows: WorkflowClient) -> None:
        self._database = database
        self._workflows = workflows

    @activity.defn
    async def checkpoint_when_due(self, job_id: str) -> float:
        """Have the running script's `/workspace` saved, if that is due. Returns the seconds until the next time.

        One at a time: while one is being taken, none is due.
        """
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            attempt = await last_attempt(session, job_id)
            every = timedelta(minutes=JobSpec.model_validate(job.spec).checkpoint_minutes or 0)
            if attempt is None or attempt.state is not AttemptState.RUNNING or not every:
                return timedelta(days=1).total_seconds()
            instance = await session.get_one(Instance, attempt.instance_id, with_for_update=True)
            taken = await snapshots.of_instance(session, instance.id)
            left = every - (await now(session) - _latest(attempt, taken))
            if left > timedelta(0) or any(each.status is SnapshotStatus.CREATING for each in taken):
                return max(left, every / 10, timedelta(seconds=1)).total_seconds()
            try:
                row = await snapshots.begin(session, new_id("snap"), instance, paths=[WORKSPACE], tags=[CHECKPOINT_TAG])
            except NothingRuns:
                return every.total_seconds()
        await hit(Failpoint.CHECKPOINT_BEGUN)
        await self._workflows.start_snapshot(row.id, instance.id)
        return every.total_seconds()

    @activity.defn
    async def note_restored(self, restored: CheckpointRestored) -> None:
        """The attempt's `/workspace` is as it was at the checkpoint: its script may start."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, restored.attempt_id)
            job = await session.get_one(Job, attempt.job_id, with_for_update=True)
            instance = await session.get_one(Instance, attempt.instance_id, with_for_update=True)
            if instance.restore_snapshot_id != restored.snapshot_id:
                return
            instance.restore_snapshot_id, attempt.restored_from = None, restored.snapshot_id
            text = f"/workspace is as it was at checkpoint {restored.snapshot_id}: {restored.files} files."
            await say(session, job, "restored", text)

    @activity.defn
    async def note_not_restored(self, failure: RestoreFailure) -> None:
        """Say in the record why the attempt's machine is given up before its script began."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, failure.attempt_id)
            job = await session.get_one(Job, attempt.job_id, with_for_update=True)
            text = f"Attempt {attempt.number}: checkpoint {failure.snapshot_id} was not restored: {failure.reason}"
            if text not in job.notes:
                job.notes = [*job.notes, text]
                await say(session, job, "not_restored", text)


def _latest(attempt: JobAttempt, taken: Sequence[Snapshot]) -> datetime:
    """When the last one was begun, or else the script."""
    began = attempt.started_at or attempt.created_at
    return max([began, *(each.created_at for each in taken)])
