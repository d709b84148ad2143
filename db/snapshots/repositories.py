"""An instance's repository in the vault: its password, and a lock for our own work on it."""

import secrets

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.sealing import Sealer
from db.snapshots.tables import VaultRepository

PASSWORD_PURPOSE = "vault-password"  # noqa: S105 - what it is sealed for
_TURNS = 7_264_503


async def ensure_repository(session: AsyncSession, sealer: Sealer, instance_id: int) -> str:
    """The repository's password, made at the first call. Commit before it is used."""
    made = sealer.seal(secrets.token_urlsafe(32), PASSWORD_PURPOSE)
    values = {"instance_id": instance_id, "sealed_password": made}
    await session.execute(insert(VaultRepository).values(values).on_conflict_do_nothing())
    return await password_of(session, sealer, instance_id)


async def password_of(session: AsyncSession, sealer: Sealer, instance_id: int) -> str:
    row = await session.get_one(VaultRepository, instance_id)
    return sealer.open(row.sealed_password, PASSWORD_PURPOSE)


async def take_turn(session: AsyncSession, instance_id: int) -> bool:
    """Lock the repository for tidying or making it, until the transaction ends. False: another process has it."""
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(_TURNS, instance_id))))


async def forget_repository(session: AsyncSession, instance_id: int) -> None:
    """The repository was removed from the store."""
    await session.execute(delete(VaultRepository).where(VaultRepository.instance_id == instance_id))
