"""Jobs' rows: made, admitted to a machine in order, judged, ended."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import User
from db.events import record_event
from db.instances.instances import reserve_machine
from db.instances.tables import Instance
from db.jobs.tables import Job, JobAttempt
from db.machines.leases import OPEN, LeaseKeys, leases_of_instance, of_instance
from db.machines.tables import Lease
from db.notify import notify_job
from db.sealing import Sealer
from db.session import now
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from db.usage.spending import Limits
from domain.ids import new_id
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.jobs.phases import AttemptState, JobStatus, Waiting
from domain.jobs.spec import JobSpec
from domain.jobs.steps import AttemptFacts, JobFacts, Parked
from domain.machines.phases import LeaseState, Power
from domain.market.offers import MachineType, Offer, OfferQuery
from domain.refusals import Refusal

ENV_PURPOSE = "job-env"
CALLED_AT_ONCE = 3
OVER = [status for status in JobStatus if status.is_over]


class NotItsTurn(Refusal):
    """Earlier jobs of the same user wait for the same limits."""

    code = "not_its_turn"


async def create_job(
    session: AsyncSession,
    sealer: Sealer,
    *,
    user_id: int,
    provider_key_id: int,
    name: str,
    spec: JobSpec,
    env: dict[str, str],
) -> Job:
    """Write a queued job. Everything that follows is started because of this row."""
    job = Job(
        id=new_id("job"),
        user_id=user_id,
        provider_key_id=provider_key_id,
        name=name,
        spec=spec.model_dump(mode="json"),
        sealed_env=sealer.seal_env(env, ENV_PURPOSE),
        message="Waiting for its turn.",
        notes=[],
    )
    session.add(job)
    await session.flush()
    await session.refresh(job)
    await say(session, job, "created", f"{name} is queued.")
    return job


def env_of_job(sealer: Sealer, job: Job) -> dict[str, str]:
    return sealer.open_env(job.sealed_env, ENV_PURPOSE)


async def say(session: AsyncSession, job: Job, kind: str, text: str) -> None:
    """Add a sentence to its timeline, and notify those who watch it."""
    await record_event(session, job.user_id, f"job:{job.id}", kind, text)
    await notify_job(session, job.number)


def query_of(spec: JobSpec) -> OfferQuery:
    return OfferQuery(
        gpu_name=spec.gpu_name,
        offer_id=spec.offer_id,
        num_gpus=spec.num_gpus,
        min_disk=spec.disk_size,
        max_price=spec.max_price,
        machine_type=MachineType.INTERRUPTIBLE if spec.use_spot else MachineType.ON_DEMAND,
    )


async def last_attempt(session: AsyncSession, job_id: str, *, lock: bool = False) -> JobAttempt | None:
    query = select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.number.desc()).limit(1)
    return await session.scalar(query.with_for_update() if lock else query)


async def job_facts(session: AsyncSession, job: Job) -> JobFacts:
    """Everything that the job's next step depends on."""
    attempt = await last_attempt(session, job.id)
    summary = f"{job.name} ({job.id})"
    facts = None if attempt is None else await _attempt_facts(session, attempt)
    checkpoints = job.spec.get("checkpoint_minutes") is not None
    return JobFacts(status=job.status, wanted=job.wanted, attempt=facts, summary=summary, has_checkpoints=checkpoints)


async def _attempt_facts(session: AsyncSession, attempt: JobAttempt) -> AttemptFacts:
    instance = await session.get_one(Instance, attempt.instance_id)
    lease = None if instance.lease_id is None else await session.get_one(Lease, instance.lease_id)
    held = lease is not None and lease.state.is_held and lease.wanted
    runs = lease is not None and lease.state is LeaseState.RUNNING and lease.power is Power.RUNNING
    still_open = await session.scalar(select(func.count()).select_from(Lease).where(of_instance(instance.id), OPEN))
    return AttemptFacts(
        id=attempt.id,
        number=attempt.number,
        state=attempt.state,
        end=attempt.end,
        instance_id=instance.id,
        instance_status=instance.status,
        instance_wanted=instance.desired is not Desired.DESTROYED,
        instance_ran=instance.running_at is not None,
        machine_up=held and runs and (instance.status, instance.desired) == (InstanceStatus.RUNNING, Desired.RUNNING),
        is_released=still_open == 0 and instance.status.is_over,
        lease_id=instance.lease_id,
        machine_held=held,
        is_parked=instance.desired is Desired.PAUSED,
        start_refused=lease is not None and lease.power is Power.RUNNING and lease.start_refused is not None,
        parked=await _parked(session, attempt),
        restore=instance.restore_snapshot_id,
    )


async def _parked(session: AsyncSession, attempt: JobAttempt) -> Parked | None:
    if attempt.collect_at is None or attempt.parked_until is None:
        return None
    present = await now(session)
    due, over = attempt.collect_at - present, attempt.parked_until - present
    seconds = max(0.0, min(due, over).total_seconds())
    return Parked(is_due=due <= timedelta(0), is_over=over <= timedelta(0), seconds=seconds)


def waiting_before(job: Job) -> ColumnElement[bool]:
    """The condition that a job of the same user is queued before this one."""
    queued = (Job.user_id == job.user_id) & (Job.status == JobStatus.QUEUED) & Job.wanted
    return queued & (Job.number < job.number)


def _holding_up() -> ColumnElement[bool]:
    """Not tried yet, or waiting for what later jobs would take from it."""
    return or_(Job.waiting.is_(None), Job.waiting.in_([each for each in Waiting if each.holds_up_others]))


async def place_in_queue(session: AsyncSession, job: Job) -> int:
    """Its place among the queued jobs of its user; 1: the next."""
    before = await session.scalar(select(func.count()).select_from(Job).where(waiting_before(job)))
    return (before or 0) + 1


async def next_in_queue(session: AsyncSession, user_id: int) -> str | None:
    """The user's job to try next, when something became free."""
    first = select(Job.id).where(Job.user_id == user_id, Job.status == JobStatus.QUEUED, Job.wanted, _holding_up())
    return await session.scalar(first.order_by(Job.number).limit(1))


async def next_without_offer(session: AsyncSession, provider_key_id: int) -> Sequence[str]:
    """The oldest few jobs, of all users, that may start now that a machine of this key was released."""
    waiting = Job.status == JobStatus.QUEUED, Job.waiting == Waiting.NO_OFFERS, Job.wanted
    first = select(Job.id).where(Job.provider_key_id == provider_key_id, *waiting).order_by(Job.number)
    return (await session.scalars(first.limit(CALLED_AT_ONCE))).all()


async def admit(
    session: AsyncSession, job: Job, account_id: int, offers: Sequence[Offer], keys: LeaseKeys, limits: Limits
) -> tuple[JobAttempt, Lease]:
    """Give a queued job its next attempt: an instance of its own, and the lease that gets it a machine.

    A user's jobs are admitted one at a time, in the order of arrival. The caller holds the job's row.

    Raises:
        NotItsTurn, SpendingCapReached, GpuLimitReached, NoOfferFree
    """
    # `key_share` does not block writers of rows that refer to the user (leases, events), so no deadlock is possible
    await session.execute(select(User.id).where(User.id == job.user_id).with_for_update(key_share=True))
    ahead = await session.scalar(select(func.count()).select_from(Job).where(waiting_before(job), _holding_up()))
    if ahead:
        raise NotItsTurn(f"{ahead} earlier job(s) of yours wait for the same limits.")
    spec = JobSpec.model_validate(job.spec)
    last = await last_attempt(session, job.id)
    number = 1 if last is None else last.number + 1
    checkpoint = await last_checkpoint(session, job)
    wanted = InstanceSpec(query=query_of(spec), image=spec.image, disk_size=spec.disk_size)
    instance = Instance(
        user_id=job.user_id,
        provider_key_id=job.provider_key_id,
        kind=InstanceKind.JOB,
        label=f"{job.name} ({job.id})"[:200],
        spec=wanted.model_dump(mode="json"),
        restore_snapshot_id=None if checkpoint is None else checkpoint.id,
    )
    session.add(instance)
    await session.flush()
    attempt = JobAttempt(id=f"{job.id}.{number}", job_id=job.id, number=number, instance_id=instance.id)
    session.add(attempt)
    lease = await reserve_machine(session, instance, account_id, offers, keys, limits)
    job.status, job.waiting, job.message = JobStatus.PROVISIONING, None, "Renting a machine and waiting until it is up."
    await say(session, job, JobStatus.PROVISIONING, f"Attempt {number}, on {lease.gpu_name}, instance {instance.id}.")
    return attempt, lease


async def instances_of_job(session: AsyncSession, job_id: str) -> Sequence[Instance]:
    """One for each attempt, the first one first."""
    mine = select(Instance).join(JobAttempt, JobAttempt.instance_id == Instance.id).where(JobAttempt.job_id == job_id)
    return (await session.scalars(mine.order_by(JobAttempt.number))).all()


async def last_checkpoint(session: AsyncSession, job: Job) -> Snapshot | None:
    """The newest state of `/workspace` that is in the vault, whichever attempt it is of."""
    if job.spec.get("checkpoint_minutes") is None:
        return None
    for instance in reversed(await instances_of_job(session, job.id)):
        if (found := await snapshots.newest(session, instance)) is not None:
            return found
    return None


async def leases_of_job(session: AsyncSession, job_id: str) -> Sequence[Lease]:
    """Every offer tried for any of its attempts, the first one first."""
    found = [await leases_of_instance(session, each.id) for each in await instances_of_job(session, job_id)]
    return [lease for each in found for lease in each]


def open_jobs() -> Select[Job]:
    return select(Job).where(Job.status.not_in(OVER))


async def cancel_job(session: AsyncSession, job: Job) -> bool:
    """Cancel the job. True: its workflow has work to do; a job without a machine is over at once.

    The caller holds the row, and has seen that it is not over.
    """
    if not job.wanted:
        return True
    job.wanted = False
    attempt = await last_attempt(session, job.id)
    if job.status is JobStatus.QUEUED and (attempt is None or attempt.state is AttemptState.OVER):
        await conclude(session, job, JobStatus.CANCELLED, "Cancelled by its owner.", keep_for=None)
        return False
    await say(session, job, "cancelling", "Its owner cancelled it.")
    return True


async def conclude(
    session: AsyncSession, job: Job, status: JobStatus, reason: str, *, keep_for: timedelta | None
) -> None:
    """Conclude the job and drop its checkpoints. `keep_for`: how long its artifacts are kept."""
    for instance in await instances_of_job(session, job.id):
        await snapshots.delete_all(session, instance.id)
    job.status, job.message, job.waiting = status, reason, None
    job.completed_at = func.clock_timestamp()
    if keep_for is not None:
        job.expires_at = func.clock_timestamp() + keep_for
    await say(session, job, status, reason or "Done.")
