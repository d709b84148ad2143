"""A user with an account at the cloud and one key for it, as rows."""

import secrets

from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import Account, ProviderKey, User


async def add_account(session: AsyncSession) -> tuple[int, int, int]:
    """The ids of a new user, of their account, and of its key. No key is sealed in it: nothing here asks a cloud."""
    user = User(email=f"{secrets.token_hex(6)}@example.org", password_hash="-")  # noqa: S106 - no password has this hash
    account = Account(cloud="vast", url="http://cloud", cloud_user_id=secrets.token_hex(6))
    session.add_all([user, account])
    await session.flush()
    key = ProviderKey(account_id=account.id, cloud="vast", url="http://cloud", sealed="-", fingerprint="-", last4="-")
    session.add(key)
    await session.flush()
    return user.id, account.id, key.id
