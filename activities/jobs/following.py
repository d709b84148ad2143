"""Writing down what an attempt says: what it printed, how far it is, how it ended."""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from activities.jobs.runner import RunnerSays
from db.jobs.jobs import say
from db.jobs.output import append
from db.jobs.tables import Job, JobAttempt
from db.notify import notify_job
from domain.jobs.phases import AttemptEnd, AttemptState, JobStatus, Stage, Stream

MESSAGES = {
    Stage.SETUP: "Running the setup_script.",
    Stage.PACKAGES: "Installing pip_packages.",
    Stage.SCRIPT: "The script is running.",
}


async def write_start(session: AsyncSession, job: Job, attempt: JobAttempt) -> None:
    """The runner is at work: the time limit counts from here, by our clock. A second call changes nothing."""
    if attempt.state is not AttemptState.PROVISIONING:
        return
    attempt.state, attempt.started_at = AttemptState.RUNNING, func.clock_timestamp()
    job.status, job.started_at, job.message = JobStatus.RUNNING, func.clock_timestamp(), MESSAGES[Stage.SCRIPT]
    await say(session, job, JobStatus.RUNNING, f"Attempt {attempt.number} runs.")


async def write_output(
    session: AsyncSession, job: Job, attempt_id: str, offsets: dict[Stream, int], said: RunnerSays
) -> None:
    """Keep what was printed, at the places it was asked for; what another of us kept already is left out."""
    for stream, data in ((Stream.STDOUT, said.stdout), (Stream.STDERR, said.stderr)):
        if data:
            await append(session, attempt_id, stream, offsets[stream], data)
    if job.status is JobStatus.RUNNING and job.message != MESSAGES[said.stage]:
        job.message = MESSAGES[said.stage]
    await notify_job(session, job.number)


async def say_end(
    session: AsyncSession,
    job: Job,
    attempt: JobAttempt,
    end: AttemptEnd,
    *,
    exit_code: int | None = None,
    stage: Stage = Stage.SCRIPT,
    message: str = "",
) -> None:
    """The attempt has ended; what it left is collected next. The first word on it stands."""
    if attempt.state not in (AttemptState.PROVISIONING, AttemptState.RUNNING):
        return
    attempt.state, attempt.end, attempt.exit_code = AttemptState.ENDED, end, exit_code
    attempt.stage, attempt.message, attempt.ended_at = stage, message, func.clock_timestamp()
    job.status, job.exit_code, job.ended_at = JobStatus.COLLECTING, exit_code, func.clock_timestamp()
    job.message = "Collecting its output; then its machine goes."
    how = f"with exit code {exit_code}" if end is AttemptEnd.EXITED else f"by {end.value}"
    await say(session, job, f"ended_{end.value}", message or f"It ended {how}.")
