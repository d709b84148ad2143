"""The rows that a schedule begins with, and the whole ledger kept and put back."""

from typing import Any

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from clouds.keys import KEY_PURPOSE
from db.accounts.tables import Account, ProviderKey, User
from db.endpoints.tables import Deployment, Endpoint
from db.instances.tables import Instance, SshPort
from db.jobs.tables import Job, JobArtifact, JobAttempt, JobOutput
from db.machines.tables import Lease, Orphan
from db.sealing import Sealer
from db.session import Database
from db.snapshots.tables import Snapshot, VaultRepository
from db.tables import Installation, Table
from domain.accounts.phases import KeyStatus
from domain.instances.instances import InstanceSpec
from domain.instances.phases import InstanceKind
from domain.market.offers import OfferQuery
from tests.protocol.cloud import URL

HOME = "home"
ACCOUNT_OF_USER = [1, 1, 2]
LEDGER: list[type[Table]] = [
    *(Instance, SshPort, Lease, Orphan, Snapshot, VaultRepository),
    *(Endpoint, Deployment, Job, JobAttempt, JobOutput, JobArtifact),
]
"""What a backup holds, what is referred to first."""
KEPT = {"clock", "alembic_version"}
Copy = dict[type[Table], list[dict[str, Any]]]


async def begin(database: Database, sealer: Sealer) -> None:
    """An empty ledger, three users, two accounts; each user has a key of their own."""
    async with database.begin() as session:
        names = [table.name for table in Table.metadata.sorted_tables if table.name not in KEPT]
        await session.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE"))
        session.add(Installation(id=1, uid=HOME, pairing_nonce="-"))
        session.add_all([Account(id=each, cloud="vast", url=URL, cloud_user_id=str(each)) for each in (1, 2)])
        no_hash = "-"
        session.add_all([User(id=id, email=f"{id}@example.org", password_hash=no_hash) for id in (1, 2, 3)])
        await session.flush()
        session.add_all([_key(user_id, account_id, sealer) for user_id, account_id in enumerate(ACCOUNT_OF_USER, 1)])


def _key(user_id: int, account_id: int, sealer: Sealer) -> ProviderKey:
    return ProviderKey(
        id=user_id,
        user_id=user_id,
        account_id=account_id,
        cloud="vast",
        url=URL,
        sealed=sealer.seal(f"key-{account_id}", KEY_PURPOSE),
        fingerprint=f"{user_id}",
        last4="-",
        status=KeyStatus.VALID,
    )


def instance(kind: InstanceKind, user: int, **facts: Any) -> Instance:
    spec = InstanceSpec(query=OfferQuery()).model_dump(mode="json")
    return Instance(user_id=user, provider_key_id=user, kind=kind, spec=spec, **facts)


async def kept(session: AsyncSession) -> Copy:
    copy = {}
    for table in LEDGER:
        found = await session.execute(select(table.__table__))
        copy[table] = [dict(row) for row in found.mappings()]
    return copy


async def put_back(session: AsyncSession, copy: Copy) -> None:
    for table in reversed(LEDGER):
        await session.execute(delete(table))
    for table, rows in copy.items():
        if rows:
            await session.execute(insert(table), rows)
