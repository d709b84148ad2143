"""SSH ports: one for each instance, for life, and left alone for a while after it."""

from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.instance_tables import SshPort
from domain.refusals import Refusal

QUARANTINE = timedelta(days=30)
"""Somebody's known_hosts may still say that the last instance lives there."""

_ONE_AT_A_TIME = 7_264_502


class NoPortFree(Refusal):
    code = "no_ssh_port"

    def __init__(self) -> None:
        super().__init__("Every SSH port of this installation is taken. Widen DUMONT_SSH_PORTS, or destroy something.")


async def take_port(session: AsyncSession, shard: str, ports: range, instance_id: int) -> int:
    """The instance's port from now on: a spare one that a gateway listens on already, else the next of the range.

    Raises:
        NoPortFree
    """
    await session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    rows = (await session.scalars(select(SshPort).where(SshPort.shard == shard).order_by(SshPort.port))).all()
    now = await session.scalar(select(func.clock_timestamp()))
    over = [row for row in rows if row.freed_at is not None and now is not None and now - row.freed_at > QUARANTINE]
    spare = [row for row in rows if row.instance_id is None and row.freed_at is None]
    known = {row.port for row in rows}
    for row in spare + over:
        if row.port in ports:
            row.instance_id, row.freed_at = instance_id, None
            return row.port
    for port in ports:
        if port not in known:
            await session.execute(insert(SshPort).values(shard=shard, port=port, instance_id=instance_id))
            return port
    raise NoPortFree


async def free_port(session: AsyncSession, instance_id: int) -> None:
    """The instance is over: its port rests before another gets it."""
    await session.execute(
        update(SshPort)
        .where(SshPort.instance_id == instance_id)
        .values(instance_id=None, freed_at=func.clock_timestamp())
    )
