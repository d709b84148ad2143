"""Jobs as they are shown."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.endpoints.schemas import TriedAnswer, tried_answer
from api.schemas import Answer, Time
from db.jobs.jobs import last_attempt, last_checkpoint, leases_of_job, place_in_queue
from db.jobs.tables import Job, JobArtifact, JobAttempt
from db.machines.tables import Lease
from db.snapshots.tables import Snapshot
from db.usage.costs import cost_of
from domain.jobs.phases import JobStatus, Waiting
from domain.jobs.spec import JobSpec
from domain.workflow_contracts import job_workflow_id


class JobAnswer(Answer):
    """`message`: what is going on, or why it waits. `error_message`: why it did not complete.

    `restored_from`: the checkpoint that the present attempt began with. `collect_again_at`: its files could not be
    fetched; its machine waits stopped, and is started for the next try then, `files_wait_until` at the longest.

    `machine_released`: nothing rented for it is left. `duration_seconds`: of the script, up to now while it runs.
    """

    id: str
    job_id: str
    name: str
    status: JobStatus
    message: str
    gpu_type: str | None
    gpu_name: str | None
    num_gpus: int
    use_spot: bool
    image: str
    disk_size: float
    timeout_minutes: float
    output_paths: list[str]
    max_retries: int
    checkpoint_minutes: float | None
    retries: int
    attempts: int
    cancel_requested: bool
    last_checkpoint_at: Time | None
    restored_from: str | None
    collect_again_at: Time | None
    files_wait_until: Time | None
    queue_position: int | None
    waiting_for: Waiting | None
    instance_id: int | None
    exit_code: int | None
    error_message: str | None
    notes: list[str]
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    duration_seconds: float | None
    total_cost: float
    offers_tried: list[TriedAnswer]
    artifacts_count: int
    artifacts_expire_at: Time | None
    machine_released: bool
    workflow_id: str


async def shown_job(session: AsyncSession, job: Job) -> JobAnswer:
    attempt = await last_attempt(session, job.id)
    leases = await leases_of_job(session, job.id)
    counted = select(func.count()).select_from(JobArtifact).where(JobArtifact.job_id == job.id)
    queued = job.status is JobStatus.QUEUED
    return _answer(
        job,
        attempt,
        leases,
        await last_checkpoint(session, job),
        artifacts=await session.scalar(counted) or 0,
        place=await place_in_queue(session, job) if queued else None,
    )


def _answer(
    job: Job,
    attempt: JobAttempt | None,
    leases: Sequence[Lease],
    checkpoint: Snapshot | None,
    *,
    artifacts: int,
    place: int | None,
) -> JobAnswer:
    spec = JobSpec.model_validate(job.spec)
    waiting = attempt if attempt is not None and attempt.files_wait else None
    failed = job.status.is_over and job.status is not JobStatus.COMPLETED
    return JobAnswer(
        id=job.id,
        job_id=job.id,
        name=job.name,
        status=job.status,
        message=job.message,
        gpu_type=spec.gpu_name,
        gpu_name=leases[-1].gpu_name if leases else None,
        num_gpus=spec.num_gpus,
        use_spot=spec.use_spot,
        image=spec.image,
        disk_size=spec.disk_size,
        timeout_minutes=spec.timeout_minutes,
        output_paths=spec.output_paths,
        max_retries=spec.max_retries,
        checkpoint_minutes=spec.checkpoint_minutes,
        retries=job.retries,
        attempts=0 if attempt is None else attempt.number,
        cancel_requested=not job.wanted,
        last_checkpoint_at=None if checkpoint is None else checkpoint.taken_at,
        restored_from=None if attempt is None else attempt.restored_from,
        collect_again_at=None if waiting is None else waiting.collect_at,
        files_wait_until=None if waiting is None else waiting.parked_until,
        queue_position=place,
        waiting_for=job.waiting,
        instance_id=None if attempt is None else attempt.instance_id,
        exit_code=job.exit_code,
        error_message=job.message if failed else None,
        notes=job.notes,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        duration_seconds=_duration(job),
        total_cost=round(sum(map(cost_of, leases)), 6),
        offers_tried=[tried_answer(lease) for lease in leases],
        artifacts_count=artifacts,
        artifacts_expire_at=job.expires_at,
        machine_released=not any(lease.state.is_open for lease in leases),
        workflow_id=job_workflow_id(job.id),
    )


def _duration(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return round(((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds(), 3)
