"""A job's rows, as its JobWorkflow lives by them: its turn, its machine given up, its end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import each_alone
from activities.instances.instances import lease_keys, machine_summary
from activities.jobs.following import say_end
from clouds.connections import Providers
from clouds.errors import KeyRefused, ProviderError
from clouds.keys import account_of
from clouds.offers import Market
from db.accounts.tables import ProviderKey
from db.instances.desired_state import ITS_JOB, set_desired
from db.instances.tables import Instance
from db.jobs.jobs import (
    NotItsTurn,
    admit,
    conclude,
    job_facts,
    last_attempt,
    leases_of_job,
    next_in_queue,
    next_without_offer,
    query_of,
    say,
)
from db.jobs.tables import Job
from db.machines import leases
from db.machines.tables import Lease
from db.usage.spending import limits_of
from domain.accounts.phases import KeyStatus
from domain.holders import instance_holder
from domain.instances.phases import Desired
from domain.instances.steps import WORTHLESS
from domain.jobs.phases import AttemptEnd, AttemptState, JobStatus, Waiting
from domain.jobs.spec import JobSpec
from domain.jobs.steps import JobFacts, after_attempt, end_without_a_word
from domain.market.offers import Offer
from domain.refusals import GpuLimitReached, NoOfferFree, SpendingCapReached
from domain.workflow_contracts import instance_workflow_id, job_workflow_id, machine_workflow_id
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_WAITS = {
    NotItsTurn: Waiting.TURN,
    GpuLimitReached: Waiting.GPU_LIMIT,
    SpendingCapReached: Waiting.SPENDING_CAP,
    NoOfferFree: Waiting.NO_OFFERS,
}
_NO_KEY = "The cloud refuses the key; save a working one in the settings."


class JobEnding(BaseModel):
    """What became of a job, in a sentence."""

    status: JobStatus
    reason: str = ""


class JobActivities:
    def __init__(self, providers: Providers, market: Market, workflows: WorkflowClient) -> None:
        self._providers = providers
        self._database = providers.database
        self._market = market
        self._workflows = workflows

    @activity.defn
    async def look_at_job(self, job_id: str) -> JobFacts:
        async with self._database.begin() as session:
            return await job_facts(session, await session.get_one(Job, job_id))

    @activity.defn
    async def seconds_left(self, job_id: str) -> float:
        """Of its time limit, by the database's clock."""
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id)
            ran = await session.scalar(
                select(func.extract("epoch", func.clock_timestamp() - Job.started_at)).where(Job.id == job_id)
            )
        return JobSpec.model_validate(job.spec).timeout_minutes * 60 - float(ran or 0.0)

    @activity.defn
    async def admit_job(self, job_id: str) -> bool:
        """Give a queued job an instance with a reserved offer, if it is its turn. False: it waits; its row says why.

        Whoever comes next in the user's queue is told. An attempt that finds what an earlier one wrote changes nothing.
        """
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id)
            key = await session.get_one(ProviderKey, job.provider_key_id)
            since = await _last_given_back(session, key)
        if key.status is KeyStatus.REFUSED:
            return await self._wait(job_id, Waiting.PROVIDER, _NO_KEY)
        try:
            offers = await self._market.offers_since(key, query_of(JobSpec.model_validate(job.spec)), since)
        except KeyRefused:
            await self._providers.remember_refused(key.id)
            return await self._wait(job_id, Waiting.PROVIDER, _NO_KEY)
        except ProviderError:
            return await self._wait(job_id, Waiting.PROVIDER, "The cloud does not answer; it is asked again.")
        try:
            lease = await self._admit(job_id, key, offers)
        except (NotItsTurn, GpuLimitReached, SpendingCapReached, NoOfferFree) as error:
            return await self._wait(job_id, _WAITS[type(error)], str(error))
        await hit(Failpoint.JOB_ADMITTED)
        if lease is not None:
            holder = leases.holder_of(lease)
            await self._workflows.start_machine(lease.id, machine_summary(lease), holder)
            await self._workflows.start_instance(holder.instance_id or 0, machine_summary(lease), lease.id)
            await self._call_next(job.user_id)
        return True

    async def _admit(self, job_id: str, key: ProviderKey, offers: Sequence[Offer]) -> Lease | None:
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            if job.status is not JobStatus.QUEUED or not job.wanted:
                return None
            limits = await limits_of(session, job.user_id, self._providers.default_limits)
            keys = lease_keys(self._providers.sealer)
            return (await admit(session, job, account_of(key), offers, keys, limits))[1]

    async def _wait(self, job_id: str, waiting: Waiting, reason: str) -> bool:
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            news = job.waiting is not waiting and job.status is JobStatus.QUEUED and job.wanted
            if news:
                await say(session, job, f"waiting_{waiting.value}", reason)
                job.waiting = waiting
            if news and waiting is Waiting.NO_OFFERS and job.spec.get("offer_id") is not None:
                keep_for = timedelta(days=self._providers.settings.artifact_days)
                await conclude(session, job, JobStatus.FAILED, "The offer is not free any more.", keep_for=keep_for)
            elif job.status is JobStatus.QUEUED:
                job.message = reason
        if news and not waiting.holds_up_others:
            await self._call_next(job.user_id)
        return False

    async def _call_next(self, user_id: int) -> None:
        async with self._database.begin() as session:
            following = await next_in_queue(session, user_id)
        if following is not None:
            await self._workflows.changed(job_workflow_id(following), "it may be its turn")

    @activity.defn
    async def end_attempt(self, job_id: str) -> None:
        """The attempt's machine is lost, never came, or is not wanted: the attempt ends without a word from it."""
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            attempt = await last_attempt(session, job_id, lock=True)
            facts = await job_facts(session, job)
            if attempt is None or attempt.state not in (AttemptState.PROVISIONING, AttemptState.RUNNING):
                return
            end = end_without_a_word(facts)
            instance = await session.get_one(Instance, attempt.instance_id)
            message = await _of_machine(session, instance, end)
            await say_end(session, job, attempt, end, message=message)
        await hit(Failpoint.JOB_ENDED)

    @activity.defn
    async def release_attempt(self, job_id: str) -> None:
        """The attempt needs its machine no longer: its instance's wish and its lease first, then their workflows."""
        async with self._database.begin() as session:
            attempt = await last_attempt(session, job_id)
            if attempt is None:
                return
            instance = await session.get_one(Instance, attempt.instance_id, with_for_update=True)
            await set_desired(session, instance, Desired.DESTROYED, by=ITS_JOB, why="Its job needs it no longer.")
            open_ones = (
                await session.scalars(select(Lease.id).where(leases.of_instance(instance.id), leases.OPEN))
            ).all()
            for lease_id in open_ones:
                await leases.request_release(session, lease_id, instance_holder(instance.id))
        await hit(Failpoint.JOB_RELEASE_REQUESTED)
        with each_alone() as alone:
            for lease_id in open_ones:
                with alone:
                    await self._workflows.changed(machine_workflow_id(lease_id), "its job needs it no longer")
        if not open_ones:  # else it hears of its machine's end
            await self._workflows.changed(instance_workflow_id(instance.id), "its job needs it no longer")

    @activity.defn
    async def conclude_job(self, job_id: str) -> JobEnding:
        """Judge the job by its last attempt: it is over, or queued for another machine. Whoever waits is told."""
        settings = self._providers.settings
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            if not await _is_judged(session, job):
                ending = await _judged(session, job, settings.attempts_per_instance)
                await _write_ending(session, job, ending, timedelta(days=settings.artifact_days))
            ending = JobEnding(status=job.status, reason=job.message)
            helped = await next_without_offer(session, job.provider_key_id)
        await hit(Failpoint.JOB_CONCLUDED)
        with each_alone() as alone:
            with alone:
                await self._call_next(job.user_id)
            for job_id in helped:
                with alone:
                    await self._workflows.changed(job_workflow_id(job_id), "a machine was given back")
        return ending


async def _last_given_back(session: AsyncSession, key: ProviderKey) -> datetime:
    """When a machine of this account was last seen gone: its offer is free again since then."""
    closed = select(func.max(Lease.closed_at)).where(Lease.account_id == key.account_id, Lease.cloud_id.is_not(None))
    return await session.scalar(closed) or _LONG_AGO


async def _of_machine(session: AsyncSession, instance: Instance, end: AttemptEnd) -> str:
    """What is known of why there is no machine (any more)."""
    if end is AttemptEnd.CANCELLED:
        return "Cancelled by its owner."
    lease = None if instance.lease_id is None else await session.get_one(Lease, instance.lease_id)
    reason = (lease.reason if lease is not None else "") or instance.message
    if end is AttemptEnd.LOST:
        return f"The machine was lost in the middle: {reason}." if reason else "The machine was lost in the middle."
    return instance.message or reason or "No machine came up."


async def _is_judged(session: AsyncSession, job: Job) -> bool:
    """Whether an earlier try of this activity has written what came of the last attempt."""
    attempt = await last_attempt(session, job.id)
    requeued = attempt is not None and attempt.state is AttemptState.OVER and job.wanted
    return job.status.is_over or requeued


async def _judged(session: AsyncSession, job: Job, boots_allowed: int) -> JobEnding:
    attempt = await last_attempt(session, job.id)
    if attempt is None or attempt.end is None:
        return JobEnding(status=JobStatus.CANCELLED, reason="Cancelled by its owner.")
    tried = await leases_of_job(session, job.id)
    failed = sum(lease.running_at is None and lease.outcome not in WORTHLESS for lease in tried)
    outlook = after_attempt(
        attempt.end,
        attempt.exit_code,
        attempt.stage,
        wanted=job.wanted,
        retries_left=JobSpec.model_validate(job.spec).max_retries - job.retries,
        boots_left=boots_allowed - failed,
        message=attempt.message,
    )
    return JobEnding(status=outlook.status, reason=outlook.reason)


async def _write_ending(session: AsyncSession, job: Job, ending: JobEnding, keep_for: timedelta) -> None:
    attempt = await last_attempt(session, job.id, lock=True)
    if attempt is not None:
        attempt.state = AttemptState.OVER
    if ending.status is not JobStatus.QUEUED:
        await conclude(session, job, ending.status, ending.reason, keep_for=keep_for)
        return
    if attempt is not None and attempt.end is not AttemptEnd.NO_MACHINE:
        job.retries += 1
        job.notes = [*job.notes, f"Attempt {attempt.number}: {ending.reason}"]
    job.status, job.waiting, job.message = JobStatus.QUEUED, None, ending.reason
    job.started_at = job.ended_at = job.exit_code = None
    await say(session, job, JobStatus.QUEUED, ending.reason)
