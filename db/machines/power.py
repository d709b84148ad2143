"""Stopping and starting machines that keep files: the lease's transitions, each a compare-and-set.

Times are the database's. `ran_until` is when the machine last ran with users on it: a snapshot taken earlier does not
hold the newest files. A start that never reached `running` does not count: no user was let in, and `onstart` runs again
on any machine.
"""

from datetime import datetime

from sqlalchemy import Update, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.instances.tables import Instance
from db.machines.tables import Lease
from domain.instances.phases import Desired
from domain.machines.phases import LeaseState, Power

_ASLEEP = (Desired.PAUSED, Desired.HIBERNATED)


async def request_stop(session: AsyncSession, instance: Instance, lease_id: str, ran_until: datetime | None) -> bool:
    """Ask for a stop of the instance's machine. False: the instance is wanted running by now.

    `ran_until`: what was written later is in no snapshot; None keeps the lease's own value. The caller holds the
    instance's row.
    """
    if instance.desired not in _ASLEEP:
        return False
    values: dict[str, object] = {"power": Power.STOPPED}
    if ran_until is not None:
        values["ran_until"] = ran_until
    await session.execute(_of(lease_id, instance.id).values(values))
    return True


async def request_start(session: AsyncSession, instance: Instance, lease_id: str) -> bool:
    """Ask for a start of the instance's machine. False: nobody wants that any more."""
    if instance.desired is not Desired.RUNNING:
        return False
    await session.execute(_of(lease_id, instance.id).values(power=Power.RUNNING, start_refused=None))
    return True


def _of(lease_id: str, instance_id: int) -> Update:
    mine = Lease.holder_kind == "instance", Lease.holder_id == str(instance_id)
    return update(Lease).where(Lease.id == lease_id, *mine)


async def mark_stopping(session: AsyncSession, lease_id: str) -> bool:
    """Called right before the cloud is asked to stop it. False: its holder wants it running by now."""
    stopping = await session.execute(
        update(Lease)
        .where(
            Lease.id == lease_id,
            (Lease.power == Power.STOPPED) | Lease.start_refused.is_not(None),
            Lease.state.in_([LeaseState.RUNNING, LeaseState.STARTING, LeaseState.STOPPING, LeaseState.STOPPED]),
        )
        .values(state=LeaseState.STOPPING)
        .returning(Lease.id)
    )
    return stopping.scalar() is not None


async def mark_stopped(session: AsyncSession, lease_id: str, *, found: bool = False) -> None:
    """The cloud shows it stopped. `found`: we did not ask for that, so its last writes may be in no snapshot."""
    now = func.clock_timestamp()
    expected = LeaseState.RUNNING if found else LeaseState.STOPPING
    values: dict[str, object] = {
        "state": LeaseState.STOPPED,
        "stopped_at": func.coalesce(Lease.stopped_at, now),
        "ran_until": now if found else func.coalesce(Lease.ran_until, now),
    }
    if found:
        values["power"] = Power.STOPPED
    await session.execute(update(Lease).where(Lease.id == lease_id, Lease.state == expected).values(values))


async def mark_starting(session: AsyncSession, lease_id: str) -> bool:
    """Called right before the cloud is asked to start it. False: its holder wants it stopped by now."""
    starting = await session.execute(
        update(Lease)
        .where(
            Lease.id == lease_id,
            Lease.power == Power.RUNNING,
            Lease.state.in_([LeaseState.STOPPED, LeaseState.STARTING]),
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


async def mark_found_running(session: AsyncSession, lease_id: str) -> bool:
    """Somebody started it at the cloud: treat it as if we had.

    False: its instance is on another machine by now, so stop it again.
    """
    lease = await session.get_one(Lease, lease_id, with_for_update=True)
    instance = await session.get_one(Instance, int(lease.holder_id), with_for_update=True)
    if lease.state is not LeaseState.STOPPED or lease.power is not Power.STOPPED:
        return True
    if instance.lease_id != lease_id or instance.desired is Desired.DESTROYED:
        lease.start_refused = "its instance lives on another machine by now"
        return False
    lease.state, lease.power, lease.ran_until = LeaseState.STARTING, Power.RUNNING, func.clock_timestamp()
    instance.desired, instance.requested_by = Desired.RUNNING, "somebody at the provider"
    instance.requested_at = func.clock_timestamp()
    return True


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
