"""What an attempt printed, as it was followed: pieces by their place in the stream, the newest few megabytes of each.

Place and data are written in one transaction, so a crash neither loses nor repeats output. The
whole of it is in `stdout.log` and `stderr.log` of the artifacts once the job has ended.
"""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.jobs.tables import Job, JobAttempt, JobOutput
from db.session import now
from domain.jobs.phases import Stream

KEPT = 16 << 20
"""Bytes of each stream."""
KEPT_AFTERWARDS = 1 << 20
FOLLOWED_LATELY = timedelta(seconds=15)
NOTED_EVERY = timedelta(seconds=5)


async def append(session: AsyncSession, attempt_id: str, stream: Stream, start: int, data: bytes) -> bool:
    """Add what was printed from byte `start` on. False: somebody else has added that already; nothing was written.

    A `start` beyond what is there leaves a gap: what lies between is in the log only.
    """
    attempt = await session.get_one(JobAttempt, attempt_id, with_for_update=True, populate_existing=True)
    if start < known(attempt, stream):
        return False
    session.add(JobOutput(attempt_id=attempt_id, stream=stream, start=start, data=data))
    end = start + len(data)
    if stream is Stream.STDOUT:
        attempt.stdout_bytes = end
    else:
        attempt.stderr_bytes = end
    old = (JobOutput.attempt_id == attempt_id) & (JobOutput.stream == stream)
    await session.execute(delete(JobOutput).where(old, JobOutput.start < end - KEPT))
    return True


def known(attempt: JobAttempt, stream: Stream) -> int:
    """How many bytes of a stream have been fetched so far."""
    return attempt.stdout_bytes if stream is Stream.STDOUT else attempt.stderr_bytes


async def read(
    session: AsyncSession, attempt_id: str, stream: Stream, start: int, most: int = 1 << 20
) -> tuple[int, bytes]:
    """The output from byte `start` on: where it really begins (later, if older output is gone), and the bytes."""
    mine = (JobOutput.attempt_id == attempt_id) & (JobOutput.stream == stream)
    rows = (
        await session.execute(
            select(JobOutput.start, JobOutput.data)
            .where(mine, JobOutput.start + func.length(JobOutput.data) > start)
            .order_by(JobOutput.start)
            .limit(16)
        )
    ).all()
    if not rows:
        return start, b""
    begins = max(start, rows[0].start)
    found = bytearray(rows[0].data[begins - rows[0].start :])
    for row in rows[1:]:
        if row.start != begins + len(found) or len(found) >= most:
            break
        found += row.data
    return begins, bytes(found[:most])


async def tail(session: AsyncSession, attempt: JobAttempt, stream: Stream, most: int) -> tuple[int, bytes]:
    """The last `most` bytes, or fewer after a gap: where they begin, and the bytes."""
    end = known(attempt, stream)
    start, data = await read(session, attempt.id, stream, max(0, end - most), most)
    while start + len(data) < end:
        begins, more = await read(session, attempt.id, stream, start + len(data), most)
        if not more:
            break
        start, data = (start, data + more) if begins == start + len(data) else (begins, more)
    return start, data[-most:] if most else b""


async def trim(session: AsyncSession, *, older_than: timedelta) -> None:
    """Delete all but the last pieces of attempts that ended before this time."""
    ended = (JobAttempt.id == JobOutput.attempt_id) & (JobAttempt.ended_at < func.clock_timestamp() - older_than)
    sizes = {Stream.STDOUT: JobAttempt.stdout_bytes, Stream.STDERR: JobAttempt.stderr_bytes}
    for stream, size in sizes.items():
        early = JobOutput.start + func.length(JobOutput.data) < size - KEPT_AFTERWARDS
        await session.execute(delete(JobOutput).where(ended, JobOutput.stream == stream, early))


async def note_follower(session: AsyncSession, job: Job) -> None:
    """Note that somebody watches the output, so that it is fetched more often for a while."""
    present = await now(session)
    if job.followed_at is None or present - job.followed_at > NOTED_EVERY:
        row = await session.get_one(Job, job.id, with_for_update=True)
        row.followed_at = present


async def is_followed(session: AsyncSession, job_id: str) -> bool:
    lately = Job.followed_at > func.clock_timestamp() - FOLLOWED_LATELY
    return await session.scalar(select(Job.id).where(Job.id == job_id, lately)) is not None
