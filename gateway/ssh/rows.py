"""Reads instances for SSH from the database: all of them, in one query of few columns that runs often."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import SshKey
from db.instances.tables import Instance, SshPort
from db.machines.tables import Lease
from domain.instances.phases import Desired, InstanceStatus, SshWake
from domain.lifecycles import kinds_that
from domain.machines.machines import MachineSeen, ssh_address
from gateway.routes import RELEASED, LeaseAddress
from gateway.ssh.instances import SshInstance, fingerprint_of, wake_seconds_of

_OVER = (InstanceStatus.DESTROYED, InstanceStatus.FAILED)


async def read_ports(session: AsyncSession, shard: str) -> dict[int, int | None]:
    """The shard's ports in use, and which instance has each; None: spare."""
    mine = select(SshPort.port, SshPort.instance_id).where(SshPort.shard == shard, SshPort.freed_at.is_(None))
    return {port: instance_id for port, instance_id in await session.execute(mine)}


class InstanceReader:
    """Reads every instance that is not over and has an SSH identity, with the keys of its owner.

    Between two readings hardly any row changes, so the object made from a row is kept as long as the row is the same.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[tuple[Any, ...], SshInstance]] = {}

    async def read(self, session: AsyncSession) -> list[SshInstance]:
        rows = (await session.execute(_every())).all()
        keys: dict[int, set[str]] = defaultdict(set)
        known = select(SshKey.user_id, SshKey.fingerprint).where(SshKey.user_id.in_({row.user_id for row in rows}))
        for user_id, fingerprint in await session.execute(known):
            keys[user_id].add(fingerprint)
        self._made = {row.id: self._kept_or_made(row, keys[row.user_id]) for row in rows}
        return [instance for _, instance in self._made.values()]

    def _kept_or_made(self, row: Row[Any], keys: set[str]) -> tuple[tuple[Any, ...], SshInstance]:
        now = (*row, keys)
        kept = self._made.get(row.id)
        return kept if kept is not None and kept[0] == now else (now, _instance(row, keys))


def _every() -> Select[Any]:
    """Joined with the present lease, else with the last one: for the price."""
    behind = func.coalesce(Instance.lease_id, Instance.data_lease_id)
    columns = (
        *(Instance.id, Instance.user_id, Instance.label, Instance.status, Instance.desired, Instance.message),
        *(Instance.ssh_wake, Instance.failed_wakes, Instance.last_wake, Instance.ssh_public_keys),
        *(Instance.sealed_ssh_host_key, Instance.lease_id),
        *(Lease.dph_total, Lease.state.label("lease_state"), Lease.seen, Lease.ssh_way),
        *(Lease.host_key, Lease.sealed_private_key),
    )
    alive = Instance.kind.in_(kinds_that("has_ssh_address")), Instance.status.not_in(_OVER)
    query = select(*columns).outerjoin(Lease, Lease.id == behind)
    return query.where(*alive, Instance.sealed_ssh_host_key.is_not(None)).order_by(Instance.id)


def _instance(row: Row[Any], keys_of_user: set[str]) -> SshInstance:
    own = {found for line in row.ssh_public_keys if (found := fingerprint_of(str(line))) is not None}
    return SshInstance(
        id=row.id,
        user_id=row.user_id,
        label=row.label,
        status=InstanceStatus(row.status),
        desired=Desired(row.desired),
        message=row.message,
        wake=SshWake(row.ssh_wake),
        failed_wakes=row.failed_wakes,
        wake_seconds=wake_seconds_of(row.last_wake),
        keys=frozenset(keys_of_user | own),
        sealed_host_key=row.sealed_ssh_host_key,
        price=row.dph_total,
        lease=_address(row),
    )


def _address(row: Row[Any]) -> LeaseAddress | None:
    """The same as `routes.address_of`, from columns."""
    if row.lease_id is None or row.lease_state is None or row.lease_state in RELEASED or not row.host_key:
        return None
    host, port = ssh_address(MachineSeen.model_validate(row.seen), row.ssh_way) or (None, None)
    return LeaseAddress(row.lease_id, host, port, row.host_key, row.sealed_private_key)
