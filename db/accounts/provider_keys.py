"""Cloud keys, the accounts they belong to, and which key serves which user. Rows hold keys sealed."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import Account, ProviderKey, UserSettings
from db.machines.leases import OPEN
from db.machines.tables import Lease
from domain.accounts.phases import KeyStatus


async def own_key(session: AsyncSession, user_id: int, url: str) -> ProviderKey | None:
    """The key that a user saved for this cloud and works with."""
    return await session.scalar(
        select(ProviderKey)
        .join(UserSettings, UserSettings.provider_key_id == ProviderKey.id)
        .where(UserSettings.user_id == user_id, ProviderKey.url == url)
    )


async def installation_key(session: AsyncSession, url: str) -> ProviderKey | None:
    """The operator's key, for users without one of their own."""
    return await session.scalar(
        select(ProviderKey)
        .where(ProviderKey.user_id.is_(None), ProviderKey.retired_at.is_(None), ProviderKey.url == url)
        .order_by(ProviderKey.id.desc())
    )


async def serving_key(session: AsyncSession, provider_key_id: int) -> ProviderKey:
    """This key, or another valid key of the same account while the cloud refuses this one."""
    key = await session.get_one(ProviderKey, provider_key_id)
    if key.status is not KeyStatus.REFUSED:
        return key
    other = await session.scalar(
        select(ProviderKey)
        .where(ProviderKey.account_id == key.account_id, ProviderKey.status == KeyStatus.VALID)
        .order_by(ProviderKey.id.desc())
    )
    return other or key


async def note_account(
    session: AsyncSession, cloud: str, url: str, cloud_user_id: str, *, email: str | None, credit: float
) -> int:
    """The account's row, made or brought up to date. `credit` in USD. Returns its id."""
    facts = {"email": email, "credit": credit, "credit_at": func.clock_timestamp()}
    found = await session.scalars(
        insert(Account)
        .values(cloud=cloud, url=url, cloud_user_id=cloud_user_id, **facts)
        .on_conflict_do_update(index_elements=[Account.url, Account.cloud_user_id], set_=facts)
        .returning(Account.id)
    )
    account_id: int = found.one()
    return account_id


async def open_leases_elsewhere(session: AsyncSession, user_id: int, account_id: int, cloud: str) -> int:
    """How many of the user's leases are open on other accounts at this cloud; only their own keys release them."""
    return (
        await session.scalar(
            select(func.count())
            .select_from(Lease)
            .join(Account, Account.id == Lease.account_id)
            .where(OPEN, Lease.user_id == user_id, Lease.account_id != account_id, Account.cloud == cloud)
        )
        or 0
    )


async def saved_key(session: AsyncSession, user_id: int | None, fingerprint: str) -> ProviderKey | None:
    """The row of a key that its owner (None: the operator) saved before, locked."""
    return await session.scalar(
        select(ProviderKey)
        .where(ProviderKey.fingerprint == fingerprint, ProviderKey.user_id.is_not_distinct_from(user_id))
        .with_for_update()
    )


async def retire_others(session: AsyncSession, kept: ProviderKey) -> None:
    """Make this the installation's key for its cloud. Earlier ones serve only what was rented with them."""
    await session.flush()
    await session.execute(
        update(ProviderKey)
        .where(ProviderKey.user_id.is_(None), ProviderKey.url == kept.url, ProviderKey.id != kept.id)
        .values(retired_at=func.coalesce(ProviderKey.retired_at, func.clock_timestamp()))
    )


async def use_key(session: AsyncSession, user_id: int, provider_key_id: int) -> None:
    """From now on the user's flows work with this key."""
    await session.execute(
        insert(UserSettings)
        .values(user_id=user_id, provider_key_id=provider_key_id, settings={})
        .on_conflict_do_update(index_elements=[UserSettings.user_id], set_={"provider_key_id": provider_key_id})
    )
