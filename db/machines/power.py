"""Stopping and starting machines with their disks kept: the lease's transitions, each a compare-and-set.

Times are the database's. `ran_until` is when the machine last ran with users on it: a snapshot taken earlier does not
hold the newest files. A start that is given up before it reached `running` does not count: no user was let in, and
`onstart` runs again on any machine. One that comes up after it was given up, or whose holder called it off, does.
"""

from sqlalchemy import and_, case, func, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.tables import Lease
from domain.machines.machines import Seen
from domain.machines.phases import LeaseState, Power


async def mark_stopping(session: AsyncSession, lease_id: str) -> bool:
    """Called right before the cloud is asked to stop it. False: its holder wants it running by now.

    One that was seen up though it was stopped, or before its start was called off, has run, and may have written.
    """
    now = func.clock_timestamp()
    is_up = Lease.seen["state"].as_string() == Seen.UP.value
    has_run = or_(Lease.state == LeaseState.STOPPED, and_(Lease.state == LeaseState.STARTING, is_up))
    stopped = func.extract("epoch", now - func.coalesce(Lease.stopped_at, now))
    stopping = await session.execute(
        update(Lease)
        .where(
            Lease.id == lease_id,
            (Lease.power == Power.STOPPED) | Lease.start_refused.is_not(None),
            Lease.state.in_([LeaseState.RUNNING, LeaseState.STARTING, LeaseState.STOPPING, LeaseState.STOPPED]),
        )
        .values(
            state=LeaseState.STOPPING,
            ran_until=case((has_run, now), else_=Lease.ran_until),
            stopped_seconds=case((has_run, Lease.stopped_seconds + stopped), else_=Lease.stopped_seconds),
            stopped_at=case((has_run, None), else_=Lease.stopped_at),
        )
        .returning(Lease.id)
    )
    return stopping.scalar() is not None


async def mark_stopped(session: AsyncSession, lease_id: str, *, found: bool = False) -> None:
    """The cloud shows it stopped. `found`: we did not ask for that, so its last writes may be in no snapshot.

    What was found has to stand in the row as well: a word of it alone may be of a look that never came to stand there.
    """
    now = func.clock_timestamp()
    expected = [Lease.state == (LeaseState.RUNNING if found else LeaseState.STOPPING)]
    if found:
        expected.append(Lease.seen["state"].as_string().in_([Seen.STOPPED.value, Seen.BROKEN.value]))
    values: dict[str, object] = {
        "state": LeaseState.STOPPED,
        "stopped_at": func.coalesce(Lease.stopped_at, now),
        "ran_until": now if found else func.coalesce(Lease.ran_until, now),
    }
    if found:
        values["power"] = Power.STOPPED
    await session.execute(update(Lease).where(Lease.id == lease_id, *expected).values(values))


async def mark_starting(session: AsyncSession, lease_id: str) -> bool:
    """Called right before the cloud is asked to start it. False: its holder wants it stopped by now.

    From `stopping` too: a stop that never had an effect is called off so.
    """
    starting = await session.execute(
        update(Lease)
        .where(
            Lease.id == lease_id,
            Lease.power == Power.RUNNING,
            Lease.state.in_([LeaseState.STOPPING, LeaseState.STOPPED, LeaseState.STARTING]),
        )
        .values(state=LeaseState.STARTING)
        .returning(Lease.id)
    )
    return starting.scalar() is not None


async def mark_start_refused(session: AsyncSession, lease_id: str, reason: str) -> None:
    """It does not start and its queued start was cancelled: it counts as stopped again."""
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.state.in_([LeaseState.STARTING, LeaseState.STOPPED]))
        .values(state=LeaseState.STOPPED, start_refused=reason, stopped_at=func.coalesce(Lease.stopped_at, func.now()))
    )


async def mark_running_again(session: AsyncSession, lease_id: str) -> None:
    """SSH answers and the GPU works. The time it was stopped is added up, since it cost less."""
    now = func.clock_timestamp()
    stopped = func.extract("epoch", now - func.coalesce(Lease.stopped_at, now))
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.state == LeaseState.STARTING)
        .values(
            state=LeaseState.RUNNING,
            ran_until=now,
            stopped_seconds=Lease.stopped_seconds + stopped,
            stopped_at=None,
            running_at=now,
        )
    )
