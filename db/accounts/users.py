"""Users: their tokens, API keys and failed logins."""

from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import ApiKey, LoginFailure, RevokedToken, User

FAILURES_ALLOWED = 10
FAILURE_WINDOW = timedelta(minutes=5)
_KEY_USE_NOTED_EVERY = timedelta(minutes=1)


async def add_user(session: AsyncSession, email: str, name: str | None, password_hash: str) -> User | None:
    """The new user, or None when the address is taken."""
    row = {"email": email, "name": name, "password_hash": password_hash}
    made = await session.scalars(insert(User).values(row).on_conflict_do_nothing().returning(User))
    return made.one_or_none()


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    return (await session.scalars(select(User).where(User.email == email))).one_or_none()


async def user_by_token(session: AsyncSession, user_id: int, jti: str, issued_at: datetime) -> User | None:
    """The user of a token that was neither revoked nor made before the last change of password."""
    revoked = exists().where(RevokedToken.jti == jti)
    found = await session.scalars(select(User).where(User.id == user_id, User.tokens_valid_from <= issued_at, ~revoked))
    return found.one_or_none()


async def user_by_key(session: AsyncSession, key_hash: str) -> tuple[User, str] | None:
    """The user of an API key and the key's id; notes the use, once a minute."""
    found = await session.execute(
        select(User, ApiKey.id, ApiKey.last_used_at < func.now() - _KEY_USE_NOTED_EVERY)
        .join(ApiKey, ApiKey.user_id == User.id)
        .where(ApiKey.key_hash == key_hash)
    )
    row = found.one_or_none()
    if row is None:
        return None
    user, key_id, stale = row
    if stale is not False:
        await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))
    return user, key_id


REVOKED_CHANNEL = "revoked"
"""On this channel gateways learn that a credential they may have cached was revoked."""


async def tell_revoked(session: AsyncSession) -> None:
    """Have every gateway look up credentials again, once this transaction commits."""
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": REVOKED_CHANNEL})


async def delete_api_key(session: AsyncSession, user_id: int, key_id: str) -> bool:
    """Whether the user had such a key."""
    wanted = delete(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id).returning(ApiKey.id)
    if await session.scalar(wanted) is None:
        return False
    await tell_revoked(session)
    return True


async def change_password(session: AsyncSession, user_id: int, password_hash: str) -> datetime:
    """Keep the new hash and void every token made before now, the moment returned."""
    changed = await session.scalars(
        update(User)
        .where(User.id == user_id)
        .values(password_hash=password_hash, tokens_valid_from=func.clock_timestamp())
        .returning(User.tokens_valid_from)
    )
    await tell_revoked(session)
    return changed.one()


async def revoke_token(session: AsyncSession, jti: str, expires_at: datetime) -> None:
    """Remember a token as logged out until it would have expired anyway."""
    await session.execute(delete(RevokedToken).where(RevokedToken.expires_at < func.now()))
    row = {"jti": jti, "expires_at": expires_at}
    await session.execute(insert(RevokedToken).values(row).on_conflict_do_nothing())
    await tell_revoked(session)


async def begin_login(session: AsyncSession, email: str, address: str) -> float:
    """Write a login down as failed before its password is looked at, so that many at once gain nothing.

    Returns 0.0, or the seconds to wait when this address failed too often on this account.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{email} {address}", 0))))
    recent = await session.scalars(
        select(func.extract("epoch", LoginFailure.at + FAILURE_WINDOW - func.now()))
        .where(LoginFailure.at > func.now() - FAILURE_WINDOW)
        .where(LoginFailure.email == email, LoginFailure.address == address)
        .order_by(LoginFailure.at.desc())
        .limit(FAILURES_ALLOWED)
    )
    waits = recent.all()
    if len(waits) == FAILURES_ALLOWED:
        return max(1.0, float(waits[-1]))
    await session.execute(delete(LoginFailure).where(LoginFailure.at < func.now() - FAILURE_WINDOW))
    session.add(LoginFailure(email=email, address=address))
    return 0.0


async def login_succeeded(session: AsyncSession, email: str, address: str) -> None:
    await session.execute(delete(LoginFailure).where(LoginFailure.email == email, LoginFailure.address == address))
