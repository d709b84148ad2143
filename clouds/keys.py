"""Keeping cloud keys: saved sealed, tried at the cloud, and found again for the user whose flows work with them."""

import hashlib
from collections.abc import Callable

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from clients.vast import VastClient
from clients.vast_errors import VastKeyRefused, VastThrottled, VastUnavailable
from clients.vast_types import VastUser
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
    """`connect` makes a client for a cloud's URL and a key."""

    def __init__(
        self, database: Database, sealer: Sealer, settings: Settings, connect: Callable[[str, str], VastClient]
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._settings = settings
        self._connect = connect

    async def of_user(self, user_id: int) -> ProviderKey:
        """The key that a user's flows work with: their own, else the installation's where it is shared.

        A key of another cloud than the present one (a simulator's, after the switch to the live service) is not used.

        Raises:
            NoProviderKey, ProviderKeyRefused
        """
        url = self._settings.vast_url
        async with self._database.begin() as session:
            key = await own_key(session, user_id, url)
            if key is None and self._settings.shares_provider_key:
                key = await installation_key(session, url)
        if key is None:
            raise NoProviderKey
        if key.status is KeyStatus.REFUSED or key.account_id is None:
            key = await self._recheck(key)
        if key.status is KeyStatus.REFUSED:
            raise ProviderKeyRefused
        return key

    async def _recheck(self, key: ProviderKey) -> ProviderKey:
        """A key kept while its cloud was away, or refused before: ask again now that somebody needs it."""
        return await self._save(key.user_id, self._sealer.open(key.sealed, KEY_PURPOSE), key.url, strict=False)

    async def keep(self, user_id: int | None, key: str, *, strict: bool = False) -> ProviderKey:
        """Save a user's key (None: the installation's) and try it at the cloud.

        An unreachable cloud leaves it `unchecked`; a refused one is kept as `refused` unless `strict`.

        Raises:
            ProviderKeyRefused: refused, and `strict`; nothing was saved.
            AccountInUse: it is another account's, and machines are open on the present one.
        """
        return await self._save(user_id, key, self._settings.vast_url, strict=strict)

    async def _save(self, user_id: int | None, key: str, url: str, *, strict: bool) -> ProviderKey:
        status, cloud_user = await self._try(key, url)
        if strict and status is KeyStatus.REFUSED:
            raise ProviderKeyRefused
        async with self._database.begin() as session:
            account_id = None if cloud_user is None else await remember_user(session, url, cloud_user)
            await _check_leases(session, user_id, account_id)
            row = await self._row(session, user_id, key, url)
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

    async def _try(self, key: str, url: str) -> tuple[KeyStatus, VastUser | None]:
        try:
            return KeyStatus.VALID, await self._connect(url, key).current_user()
        except VastKeyRefused:
            return KeyStatus.REFUSED, None
        except (VastUnavailable, VastThrottled):
            return KeyStatus.UNCHECKED, None

    async def _row(self, session: AsyncSession, user_id: int | None, key: str, url: str) -> ProviderKey:
        fingerprint = hashlib.sha256(f"{url} {key}".encode()).hexdigest()
        row = await saved_key(session, user_id, fingerprint)
        if row is None:
            sealed = self._sealer.seal(key, KEY_PURPOSE)
            row = ProviderKey(user_id=user_id, url=url, sealed=sealed, fingerprint=fingerprint, last4=key[-4:])
            session.add(row)
        return row


async def _check_leases(session: AsyncSession, user_id: int | None, account_id: int | None) -> None:
    """An account's machines can only be released with its own keys, so it is not left while any is open."""
    if account_id is None or user_id is None:
        return
    if others := await open_leases_elsewhere(session, user_id, account_id):
        raise AccountInUse(others)


async def remember_user(session: AsyncSession, url: str, user: VastUser) -> int:
    """What the cloud says of a key's owner: the account's id, with its money as of now."""
    return await note_account(session, url, str(user.id), email=user.email, credit=user.credit)


def account_of(key: ProviderKey) -> int:
    """Whose key it is. While the cloud has not said so yet, nothing can be done with the key: `VastUnavailable`."""
    if key.account_id is None:
        raise VastUnavailable("the cloud has not told yet whose key this is")
    return key.account_id
