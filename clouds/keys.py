"""Keeping cloud keys: saved sealed, tried at the cloud, and found again for the user whose flows work with them."""

import hashlib
from collections.abc import Mapping

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from clouds.errors import KeyRefused, Throttled, Unavailable
from clouds.provider import Cloud, CloudAccount
from db.accounts.provider_keys import (
    installation_key,
    note_account,
    open_leases_elsewhere,
    own_key,
    retire_others,
    saved_key,
    use_key,
)
from db.accounts.tables import ProviderKey
from db.sealing import Sealer
from db.session import Database
from domain.accounts.phases import KeyStatus
from domain.refusals import AccountInUse, NoProviderKey, ProviderKeyRefused
from settings import Settings

KEY_PURPOSE = "provider-key"


class Keys:
    """`clouds`: by name; where nobody says which, the first is meant: flows rent there."""

    def __init__(self, database: Database, sealer: Sealer, settings: Settings, clouds: Mapping[str, Cloud]) -> None:
        self._database = database
        self._sealer = sealer
        self._settings = settings
        self._clouds = clouds

    def cloud(self, name: str | None = None) -> Cloud:
        return next(iter(self._clouds.values())) if name is None else self._clouds[name]

    async def of_user(self, user_id: int, cloud_name: str | None = None) -> ProviderKey:
        """The key that a user's flows work with: their own, else the installation's where it is shared.

        A key of another service than the present one (a simulator's, after the switch to the live one) is not used.

        Raises:
            NoProviderKey, ProviderKeyRefused
        """
        cloud = self.cloud(cloud_name)
        async with self._database.begin() as session:
            key = await own_key(session, user_id, cloud.url)
            if key is None and self._settings.shares_provider_key:
                key = await installation_key(session, cloud.url)
        if key is None:
            raise NoProviderKey(cloud.title, cloud.key_field)
        if key.status is KeyStatus.REFUSED or key.account_id is None:
            key = await self._recheck(key)
        if key.status is KeyStatus.REFUSED:
            raise ProviderKeyRefused(cloud.title)
        return key

    async def _recheck(self, key: ProviderKey) -> ProviderKey:
        """A key kept while its cloud was away, or refused before: ask again now that somebody needs it."""
        text = self._sealer.open(key.sealed, KEY_PURPOSE)
        return await self._save(key.user_id, text, self.cloud(key.cloud), key.url, strict=False)

    async def keep(
        self, user_id: int | None, key: str, cloud_name: str | None = None, *, strict: bool = False
    ) -> ProviderKey:
        """Save a user's key (None: the installation's) and try it at the cloud.

        An unreachable cloud leaves it `unchecked`; a refused one is kept as `refused` unless `strict`.

        Raises:
            ProviderKeyRefused: refused, and `strict`; nothing was saved.
            AccountInUse: it is another account's, and machines are open on the present one.
        """
        cloud = self.cloud(cloud_name)
        return await self._save(user_id, key, cloud, cloud.url, strict=strict)

    async def keep_installation_keys(self) -> None:
        """Save the keys that the installation's own settings have. Raises what `keep` does."""
        for name, cloud in self._clouds.items():
            if cloud.installation_key is not None:
                await self.keep(None, cloud.installation_key.get_secret_value(), name)

    async def _save(self, user_id: int | None, key: str, cloud: Cloud, url: str, *, strict: bool) -> ProviderKey:
        status, account = await _try(cloud, url, key)
        if strict and status is KeyStatus.REFUSED:
            raise ProviderKeyRefused(cloud.title)
        async with self._database.begin() as session:
            account_id = None if account is None else await remember_account(session, cloud.name, url, account)
            await _check_leases(session, user_id, account_id, cloud)
            row = await self._row(session, user_id, key, cloud, url)
            row.status, row.checked_at = status, func.clock_timestamp()
            row.account_id = account_id or row.account_id
            row.retired_at = None
            if user_id is None:
                await retire_others(session, row)
            await session.flush()
            if user_id is not None:
                await use_key(session, user_id, row.id)
            await session.refresh(row)
            return row

    async def _row(self, session: AsyncSession, user_id: int | None, key: str, cloud: Cloud, url: str) -> ProviderKey:
        fingerprint = hashlib.sha256(f"{url} {key}".encode()).hexdigest()
        row = await saved_key(session, user_id, fingerprint)
        if row is None:
            row = ProviderKey(
                user_id=user_id,
                cloud=cloud.name,
                url=url,
                sealed=self._sealer.seal(key, KEY_PURPOSE),
                fingerprint=fingerprint,
                last4=key[-4:],
            )
            session.add(row)
        return row


async def _try(cloud: Cloud, url: str, key: str) -> tuple[KeyStatus, CloudAccount | None]:
    try:
        return KeyStatus.VALID, await cloud.open(url, key).account()
    except KeyRefused:
        return KeyStatus.REFUSED, None
    except (Unavailable, Throttled):
        return KeyStatus.UNCHECKED, None


async def _check_leases(session: AsyncSession, user_id: int | None, account_id: int | None, cloud: Cloud) -> None:
    """An account's machines can only be released with its own keys, so it is not left while any is open."""
    if account_id is None or user_id is None:
        return
    if others := await open_leases_elsewhere(session, user_id, account_id, cloud.name):
        raise AccountInUse(others, cloud.title)


async def remember_account(session: AsyncSession, cloud_name: str, url: str, account: CloudAccount) -> int:
    """What the cloud says of a key's owner: the account's id, with its money as of now."""
    return await note_account(session, cloud_name, url, account.id, email=account.email, credit=account.credit)


def account_of(key: ProviderKey) -> int:
    """Whose key it is. While the cloud has not said so yet, nothing can be done with the key: `Unavailable`."""
    if key.account_id is None:
        raise Unavailable("the cloud has not told yet whose key this is")
    return key.account_id
