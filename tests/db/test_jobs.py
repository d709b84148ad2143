"""Jobs' transactions on a real PostgreSQL: the queue's order under concurrency, output that is kept once."""

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from db.instances.tables import Instance
from db.jobs import output
from db.jobs.jobs import (
    NotItsTurn,
    admit,
    cancel_job,
    create_job,
    env_of_job,
    next_in_queue,
    next_without_offer,
    place_in_queue,
)
from db.jobs.output import KEPT, append, read, tail, trim
from db.jobs.tables import Job, JobAttempt, JobOutput
from db.machines.leases import LeaseKeys
from db.machines.tables import Lease
from db.sealing import Sealer
from db.usage.spending import Limits
from domain.instances.phases import InstanceKind
from domain.jobs.phases import AttemptState, JobStatus, Stream, Waiting
from domain.jobs.spec import JobSpec
from domain.refusals import GpuLimitReached, NoOfferFree
from tests.db.ledger import PLENTY, Ledger, offer

SEALER = Sealer("k" * 40)


async def new_job(ledger: Ledger, **env: str) -> str:
    async with ledger.database.begin() as session:
        job = await create_job(
            session,
            SEALER,
            user_id=ledger.user_id,
            provider_key_id=ledger.key_id,
            name="test",
            spec=JobSpec(script="true"),
            env=env,
        )
    return job.id


async def admitted(ledger: Ledger, job_id: str, limits: Limits = PLENTY) -> str:
    """The lease that the job got."""
    async with ledger.database.begin() as session:
        job = await session.get_one(Job, job_id, with_for_update=True)
        offers = [offer(secrets.randbelow(1 << 40))]
        _, lease = await admit(session, job, ledger.account_id, offers, LeaseKeys("public", "sealed"), limits)
    return lease.id


async def wait_for(ledger: Ledger, job_id: str, waiting: Waiting) -> None:
    async with ledger.database.begin() as session:
        (await session.get_one(Job, job_id)).waiting = waiting


async def test_a_job_gets_an_instance_of_its_own_and_a_lease(ledger: Ledger) -> None:
    job_id = await new_job(ledger, TOKEN="secret")  # noqa: S106
    lease = await ledger.read(await admitted(ledger, job_id))
    async with ledger.database.begin() as session:
        job = await session.get_one(Job, job_id)
        attempt = (await session.scalars(select(JobAttempt).where(JobAttempt.job_id == job_id))).one()
        instance = await session.get_one(Instance, attempt.instance_id)
    assert (job.status, attempt.number, instance.kind) == (JobStatus.PROVISIONING, 1, InstanceKind.JOB)
    assert (lease.holder_id, lease.keeps_files) == (str(instance.id), False)
    assert env_of_job(SEALER, job) == {"TOKEN": "secret"}
    assert "secret" not in (job.sealed_env or "")


async def test_what_is_refused_writes_nothing(ledger: Ledger) -> None:
    job_id = await new_job(ledger)
    with pytest.raises(GpuLimitReached):
        await admitted(ledger, job_id, Limits(usd_per_day=1000, gpus=0))
    async with ledger.database.begin() as session:
        job = await session.get_one(Job, job_id, with_for_update=True)
        with pytest.raises(NoOfferFree):
            await admit(session, job, ledger.account_id, [], LeaseKeys("public", "sealed"), PLENTY)
        await session.rollback()
    async with ledger.database.begin() as session:
        assert (await session.get_one(Job, job_id)).status is JobStatus.QUEUED
        assert (await session.scalars(select(Instance).where(Instance.user_id == ledger.user_id))).all() == []


@pytest.mark.parametrize(
    ("waiting", "passes"),
    [
        (None, False),
        (Waiting.TURN, False),
        (Waiting.GPU_LIMIT, False),
        (Waiting.SPENDING_CAP, False),
        (Waiting.NO_OFFERS, True),
        (Waiting.PROVIDER, True),
    ],
)
async def test_the_limits_go_to_who_came_first(ledger: Ledger, waiting: Waiting | None, passes: bool) -> None:
    first, second = await new_job(ledger), await new_job(ledger)
    if waiting is not None:
        await wait_for(ledger, first, waiting)
    if passes:
        await admitted(ledger, second)
    else:
        with pytest.raises(NotItsTurn):
            await admitted(ledger, second)
    await admitted(ledger, first)


async def test_at_once_no_more_than_the_limit_are_admitted_and_in_order(ledger: Ledger) -> None:
    jobs = [await new_job(ledger) for _ in range(6)]
    limits = Limits(usd_per_day=1000, gpus=2)
    for _ in range(4):
        async with ledger.database.begin() as session:  # as the activity does: one that has its machine asks no more
            queued = [each for each in jobs if (await session.get_one(Job, each)).status is JobStatus.QUEUED]
        await asyncio.gather(*(admitted(ledger, each, limits) for each in queued), return_exceptions=True)
    async with ledger.database.begin() as session:
        rows = (await session.scalars(select(Job).where(Job.user_id == ledger.user_id).order_by(Job.number))).all()
        held = (await session.scalars(select(Lease).where(Lease.user_id == ledger.user_id))).all()
    assert [row.status for row in rows] == [JobStatus.PROVISIONING] * 2 + [JobStatus.QUEUED] * 4
    assert len(held) == 2


async def test_places_in_the_queue_and_who_is_next(ledger: Ledger) -> None:
    jobs = [await new_job(ledger) for _ in range(3)]
    async with ledger.database.begin() as session:
        rows = [await session.get_one(Job, each) for each in jobs]
        assert [await place_in_queue(session, row) for row in rows] == [1, 2, 3]
        assert await next_in_queue(session, ledger.user_id) == jobs[0]
        assert not await cancel_job(session, rows[0])
        await session.flush()
        assert [await place_in_queue(session, row) for row in rows[1:]] == [1, 2]
        assert await next_in_queue(session, ledger.user_id) == jobs[1]
    await wait_for(ledger, jobs[1], Waiting.NO_OFFERS)
    async with ledger.database.begin() as session:
        assert await next_in_queue(session, ledger.user_id) == jobs[2]
        assert await next_without_offer(session, ledger.key_id) == [jobs[1]]


async def test_a_job_with_a_machine_is_cancelled_by_its_flow(ledger: Ledger) -> None:
    job_id = await new_job(ledger)
    await admitted(ledger, job_id)
    async with ledger.database.begin() as session:
        job = await session.get_one(Job, job_id, with_for_update=True)
        assert await cancel_job(session, job)
        assert (job.status, job.wanted) == (JobStatus.PROVISIONING, False)


async def running(ledger: Ledger) -> str:
    """An attempt that runs."""
    job_id = await new_job(ledger)
    await admitted(ledger, job_id)
    async with ledger.database.begin() as session:
        (await session.get_one(JobAttempt, f"{job_id}.1")).state = AttemptState.RUNNING
    return f"{job_id}.1"


async def keep(ledger: Ledger, attempt: str, start: int, data: bytes) -> bool:
    async with ledger.database.begin() as session:
        return await append(session, attempt, Stream.STDOUT, start, data)


async def test_output_is_kept_once_by_its_place(ledger: Ledger) -> None:
    attempt = await running(ledger)
    assert await keep(ledger, attempt, 0, b"one\n")
    assert not await keep(ledger, attempt, 0, b"one\ntw")
    assert await keep(ledger, attempt, 4, b"two\n")
    async with ledger.database.begin() as session:
        assert await read(session, attempt, Stream.STDOUT, 0) == (0, b"one\ntwo\n")
        assert await read(session, attempt, Stream.STDOUT, 2, most=3) == (2, b"e\nt")
        assert await read(session, attempt, Stream.STDOUT, 8) == (8, b"")
        assert await read(session, attempt, Stream.STDERR, 0) == (0, b"")


async def test_two_who_follow_at_once_keep_each_byte_once(ledger: Ledger) -> None:
    attempt = await running(ledger)

    async def follow() -> None:
        for start in range(0, 60, 3):
            await keep(ledger, attempt, start, b"abc")

    await asyncio.gather(follow(), follow(), follow())
    async with ledger.database.begin() as session:
        start, data = await tail(session, await session.get_one(JobAttempt, attempt), Stream.STDOUT, 1000)
    assert (start, data) == (0, b"abc" * 20)


async def test_only_the_newest_is_kept_and_a_gap_is_seen(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT >= 1 << 20
    monkeypatch.setattr(output, "KEPT", 100)
    attempt = await running(ledger)
    for start in range(0, 500, 50):
        await keep(ledger, attempt, start, b"x" * 50)
    await keep(ledger, attempt, 700, b"y" * 20)
    async with ledger.database.begin() as session:
        kept = (await session.scalars(select(JobOutput.start).where(JobOutput.attempt_id == attempt))).all()
        assert min(kept) >= 720 - 150
        begins, data = await read(session, attempt, Stream.STDOUT, 0)
        assert (begins, data) == (700, b"y" * 20)
        row = await session.get_one(JobAttempt, attempt)
        assert await tail(session, row, Stream.STDOUT, 10) == (710, b"y" * 10)
        assert await tail(session, row, Stream.STDOUT, 1000) == (700, b"y" * 20)
        assert await tail(session, row, Stream.STDOUT, 0) == (720, b"")


async def test_long_after_the_end_only_the_last_of_it_stays(ledger: Ledger) -> None:
    old, new = await running(ledger), await running(ledger)
    for attempt in (old, new):
        for start in range(0, 3 << 20, 1 << 20):
            await keep(ledger, attempt, start, b"x" * (1 << 20))
    async with ledger.database.begin() as session:
        for attempt, age in ((old, timedelta(hours=2)), (new, timedelta(minutes=1))):
            row = await session.get_one(JobAttempt, attempt)
            row.ended_at = datetime.now(UTC) - age
    async with ledger.database.begin() as session:
        await trim(session, older_than=timedelta(hours=1))
    async with ledger.database.begin() as session:
        assert (await read(session, old, Stream.STDOUT, 0, most=1))[0] == 1 << 20
        assert (await read(session, new, Stream.STDOUT, 0, most=1))[0] == 0


async def test_admissions_and_other_reservations_at_once_never_wait_for_each_other(ledger: Ledger) -> None:
    jobs = [await new_job(ledger) for _ in range(8)]

    async def both(job_id: str) -> None:
        with suppress(NotItsTurn):
            await admitted(ledger, job_id)
        await ledger.reserve([offer(secrets.randbelow(1 << 40))])

    await asyncio.gather(*(both(each) for each in jobs))
