"""SSH ports: one for each instance, for life. A port is not given to another instance for a while afterwards.

Gateways listen on every port that is not resting and keep a few spare ones, so that a new instance gets a port that is
bound already.
"""

from datetime import timedelta

from sqlalchemy import Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.instances.tables import SshPort
from db.notify import notify_instance
from domain.refusals import Refusal

QUARANTINE = timedelta(days=30)
"""How long a port rests: users' known_hosts may still have the last instance's key for it."""

_ONE_AT_A_TIME = 7_264_502


class NoPortFree(Refusal):
    code = "no_ssh_port"

    def __init__(self) -> None:
        super().__init__("Every SSH port of this installation is taken. Widen DUMONT_SSH_PORTS, or destroy something.")


async def take_port(session: AsyncSession, shard: str, ports: range, instance_id: int) -> int:
    """The instance's port from now on: its own when it has one, a spare one that is bound already, else the next.

    One that rested for `QUARANTINE` is taken before a new one. Gateways hear of it when the transaction commits.

    Raises:
        NoPortFree
    """
    await session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    own = select(SshPort.port).where(SshPort.shard == shard, SshPort.instance_id == instance_id)
    if (port := await session.scalar(own)) is not None:
        return port
    for known in (_spare(shard, ports), _rested(shard, ports)):
        if (port := await session.scalar(known.order_by(SshPort.port).limit(1))) is not None:
            row = update(SshPort).where(SshPort.shard == shard, SshPort.port == port)
            await session.execute(row.values(instance_id=instance_id, freed_at=None))
            break
    else:
        port = await _new(session, shard, ports, instance_id)
    await notify_instance(session, instance_id)
    return port


async def free_port(session: AsyncSession, instance_id: int) -> None:
    """The instance is over: its port rests before another instance gets it."""
    await session.execute(
        update(SshPort)
        .where(SshPort.instance_id == instance_id)
        .values(instance_id=None, freed_at=func.clock_timestamp())
    )


async def next_spare(session: AsyncSession, shard: str, ports: range, wanted: int) -> int | None:
    """A port that nobody has had yet, while there are fewer than `wanted` spare ones; None when there are enough."""
    if len((await session.scalars(_spare(shard, ports))).all()) >= wanted:
        return None
    return await _unknown(session, shard, ports)


async def keep_spare(session: AsyncSession, shard: str, port: int, *, usable: bool) -> None:
    """Record a port as bound and spare. One that another program has rests like a used one."""
    freed_at = None if usable else func.clock_timestamp()
    row = insert(SshPort).values(shard=shard, port=port, instance_id=None, freed_at=freed_at)
    await session.execute(row.on_conflict_do_nothing())


async def rest_port(session: AsyncSession, shard: str, port: int) -> None:
    """Let a spare port rest that cannot be bound any more. An instance's port stays with its instance."""
    row = update(SshPort).where(SshPort.shard == shard, SshPort.port == port, SshPort.instance_id.is_(None))
    await session.execute(row.where(SshPort.freed_at.is_(None)).values(freed_at=func.clock_timestamp()))


def _within(shard: str, ports: range) -> Select[int]:
    return select(SshPort.port).where(SshPort.shard == shard, SshPort.port.between(ports.start, ports.stop - 1))


def _spare(shard: str, ports: range) -> Select[int]:
    return _within(shard, ports).where(SshPort.instance_id.is_(None), SshPort.freed_at.is_(None))


def _rested(shard: str, ports: range) -> Select[int]:
    long_ago = SshPort.freed_at < func.clock_timestamp() - literal(QUARANTINE)
    return _within(shard, ports).where(SshPort.instance_id.is_(None), long_ago)


async def _unknown(session: AsyncSession, shard: str, ports: range) -> int | None:
    known = set(await session.scalars(_within(shard, ports)))
    return next((port for port in ports if port not in known), None)


async def _new(session: AsyncSession, shard: str, ports: range, instance_id: int) -> int:
    port = await _unknown(session, shard, ports)
    if port is None:
        raise NoPortFree
    await session.execute(insert(SshPort).values(shard=shard, port=port, instance_id=instance_id))
    return port
