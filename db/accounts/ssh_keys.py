"""The SSH keys of users: good for every instance of theirs, from the commit on."""

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import SshKey
from db.notify import INSTANCES_CHANNEL
from domain.ids import new_id


async def keys_of_user(session: AsyncSession, user_id: int) -> list[SshKey]:
    """Oldest first."""
    rows = await session.scalars(select(SshKey).where(SshKey.user_id == user_id).order_by(SshKey.created_at, SshKey.id))
    return list(rows)


async def count_keys(session: AsyncSession, user_id: int) -> int:
    return await session.scalar(select(func.count()).select_from(SshKey).where(SshKey.user_id == user_id)) or 0


async def add_key(
    session: AsyncSession, user_id: int, name: str, public_key: str, fingerprint: str
) -> tuple[SshKey, bool]:
    """The user's key with this fingerprint, and whether it is new. A key that is there already keeps its name."""
    row = {"id": new_id("key"), "user_id": user_id, "name": name, "public_key": public_key, "fingerprint": fingerprint}
    once = insert(SshKey).values(row).on_conflict_do_nothing(index_elements=[SshKey.user_id, SshKey.fingerprint])
    made = (await session.scalars(once.returning(SshKey))).one_or_none()
    if made is not None:
        await _tell(session)
        return made, True
    same = select(SshKey).where(SshKey.user_id == user_id, SshKey.fingerprint == fingerprint)
    return (await session.scalars(same)).one(), False


async def delete_key(session: AsyncSession, user_id: int, key_id: str) -> bool:
    """Whether the user had such a key."""
    wanted = delete(SshKey).where(SshKey.id == key_id, SshKey.user_id == user_id).returning(SshKey.id)
    if await session.scalar(wanted) is None:
        return False
    await _tell(session)
    return True


async def _tell(session: AsyncSession) -> None:
    """Have the gateways read all keys again; no instance is named."""
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": INSTANCES_CHANNEL})
