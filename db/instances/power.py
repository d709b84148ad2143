"""What an instance wants of its machine: to run, or to be stopped with its disk kept. Written to the lease."""

from datetime import datetime

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.instances.desired_state import set_desired
from db.instances.tables import Instance
from db.machines.leases import holder_of, of_instance
from db.machines.tables import Lease
from domain.instances.phases import Desired
from domain.machines.phases import LeaseState, Power

_STOPPED = (Desired.PAUSED, Desired.HIBERNATED)


async def request_stop(session: AsyncSession, instance: Instance, lease_id: str, ran_until: datetime | None) -> bool:
    """The instance's machine shall stop, unless somebody wants the instance running by now (false).

    From here on its disk is what counts, so a machine that is found stopped is kept. `ran_until`: what was written
    later is in no snapshot; None keeps what the lease says of when it last ran. The caller holds the instance's row.
    """
    if instance.desired not in _STOPPED:
        return False
    values: dict[str, object] = {"power": Power.STOPPED, "keeps_files": True}
    if ran_until is not None:
        values["ran_until"] = ran_until
    await session.execute(update(Lease).where(Lease.id == lease_id, of_instance(instance.id)).values(values))
    return True


async def request_start(session: AsyncSession, instance: Instance, lease_id: str) -> bool:
    """The instance's machine shall run again, unless nobody wants that any more (false)."""
    if instance.desired is not Desired.RUNNING:
        return False
    start = update(Lease).where(Lease.id == lease_id, of_instance(instance.id))
    await session.execute(start.values(power=Power.RUNNING, start_refused=None))
    return True


async def mark_found_running(session: AsyncSession, lease_id: str) -> bool:
    """Somebody started it at the cloud: it comes up as if we had.

    False: its instance lives on another machine by now, so it shall be stopped again.
    """
    instance_id = holder_of(await session.get_one(Lease, lease_id)).instance_id
    instance = None if instance_id is None else await session.get(Instance, instance_id, with_for_update=True)
    lease = await session.get_one(Lease, lease_id, with_for_update=True, populate_existing=True)
    if (
        holder_of(lease).instance_id != instance_id
        or lease.state is not LeaseState.STOPPED
        or lease.power is not Power.STOPPED
    ):
        return True
    if instance is None or instance.lease_id != lease_id or instance.desired is Desired.DESTROYED:
        lease.start_refused = "its instance lives on another machine by now"
        return False
    lease.state, lease.power, lease.ran_until = LeaseState.STARTING, Power.RUNNING, func.clock_timestamp()
    why = "Its machine was started at the provider, not by us."
    await set_desired(session, instance, Desired.RUNNING, by="somebody at the provider", why=why)
    return True
