"""A copied data folder becomes an installation of its own before anything else of it runs.

Its rows name machines that the original holds. The copy takes a new id, closes those leases without asking the cloud
for anything, and keeps the old id, to report those machines if the original is gone.
"""

import secrets

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints.tables import Deployment, Endpoint
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.tables import Installation
from domain.endpoints.phases import DeploymentStatus, EndpointState
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseOutcome, LeaseState

WHY = "It belongs to the installation that this one was copied from."
_OVER = [InstanceStatus.DESTROYED, InstanceStatus.FAILED]


async def ensure_installation(session: AsyncSession) -> None:
    """Give this database its identity at the first start; safe from several processes at once."""
    row = {"id": 1, "uid": secrets.token_hex(8), "pairing_nonce": secrets.token_hex(16)}
    await session.execute(insert(Installation).values(row).on_conflict_do_nothing())


def settle(connection: Connection, home: str, *, moved: bool) -> bool:
    """Make the database the one of this data folder. True: it came from another, and took a new id.

    `home` names the folder; `moved`: the operator says that the original is gone, so everything stays as it is.
    """
    first = {"id": 1, "uid": secrets.token_hex(8), "pairing_nonce": secrets.token_hex(16), "home": home}
    connection.execute(insert(Installation).values(first).on_conflict_do_nothing())
    row = connection.execute(select(Installation.home, Installation.uid, Installation.former_uids)).one()
    if row.home == home:
        return False
    separate = row.home is not None and not moved
    if separate:
        connection.execute(
            update(Installation).values(uid=secrets.token_hex(8), former_uids=[*row.former_uids, row.uid])
        )
        _disown(connection)
    connection.execute(update(Installation).values(home=home))
    return separate


def _disown(connection: Connection) -> None:
    now = func.clock_timestamp()
    connection.execute(
        update(Lease)
        .where(Lease.state != LeaseState.CLOSED)
        .values(state=LeaseState.CLOSED, outcome=LeaseOutcome.CANCELLED, reason=WHY, wanted=False, closed_at=now)
    )
    connection.execute(
        update(Instance)
        .where(Instance.status.not_in(_OVER))
        .values(status=InstanceStatus.FAILED, desired=Desired.DESTROYED, message=WHY, ended_at=now)
    )
    connection.execute(
        update(Deployment)
        .where(Deployment.status.in_([DeploymentStatus.DEPLOYING, DeploymentStatus.READY]))
        .values(status=DeploymentStatus.FAILED, wanted=False, message=WHY, ended_at=now)
    )
    connection.execute(
        update(Endpoint)
        .where(Endpoint.state != EndpointState.CLOSED)
        .values(state=EndpointState.CLOSED, lease_id=None, version=Endpoint.version + 1)
    )
