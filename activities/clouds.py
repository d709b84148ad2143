"""Accounts and keys: which cloud account a user works on, and a client for it. The only place where keys are opened."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from activities.errors import vast_errors
from activities.turns import PENALTY_SPACINGS, Endpoint, Urgency
from clients.vast import VastClient
from clients.vast_errors import VastKeyRefused, VastThrottled, VastUnavailable
from clients.vast_types import VastUser
from db.alarms import close_alarms, raise_alarm
from db.leases import OPEN
from db.limits import push_back, take_slot
from db.sealing import Sealer
from db.session import Database
from db.spending import Limits
from db.tables import Account, Lease, ProviderKey, UserSettings
from domain.phases import KeyStatus
from domain.refusals import AccountInUse, NoProviderKey, ProviderKeyRefused
from settings import Settings

KEY_PURPOSE = "provider-key"
REFUSED_ALARM = "key_refused"


class Clouds:
    """Opens provider keys and hands out clients; keeps the shared limiter."""

    def __init__(
        self, database: Database, sealer: Sealer, settings: Settings, http: httpx.AsyncClient | None = None
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.settings = settings
        self.default_limits = Limits(settings.default_spending_cap_per_day, settings.default_max_gpus)
        self._clients: dict[int, VastClient] = {}
        self._http = http or httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=20), follow_redirects=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def key_for_user(self, user_id: int) -> ProviderKey:
        """The key that a user's flows work with: their own, else the installation's where it is shared.

        A key of another cloud than the present one (a simulator's, after the switch to the live service) is not used.

        Raises:
            NoProviderKey, ProviderKeyRefused
        """
        async with self.database.begin() as session:
            key = await session.scalar(
                select(ProviderKey)
                .join(UserSettings, UserSettings.provider_key_id == ProviderKey.id)
                .where(UserSettings.user_id == user_id, ProviderKey.url == self.settings.vast_url)
            )
            if key is None and self.settings.shares_provider_key:
                key = await self._installation_key(session)
        if key is None:
            raise NoProviderKey
        if key.status is KeyStatus.REFUSED or key.account_id is None:
            key = await self._recheck(key)
        if key.status is KeyStatus.REFUSED:
            raise ProviderKeyRefused
        return key

    async def _installation_key(self, session: AsyncSession) -> ProviderKey | None:
        return await session.scalar(
            select(ProviderKey)
            .where(
                ProviderKey.user_id.is_(None),
                ProviderKey.retired_at.is_(None),
                ProviderKey.url == self.settings.vast_url,
            )
            .order_by(ProviderKey.id.desc())
        )

    async def _recheck(self, key: ProviderKey) -> ProviderKey:
        """A key kept while its cloud was away, or refused before: ask again now that somebody needs it."""
        return await self._save(key.user_id, self.sealer.open(key.sealed, KEY_PURPOSE), key.url, strict=False)

    @asynccontextmanager
    async def calling(self, provider_key_id: int, endpoint: Endpoint) -> AsyncIterator[VastClient]:
        """A client for one activity's requests, its errors as Temporal should see them.

        `endpoint`: the one that is left alone for a while when the cloud asks to slow down.

        A key that the cloud refuses is remembered as refused; while it is, another valid key of the same account serves
        in its place, so that what was rented with it can still be released. One that works again is remembered too.
        """
        key = await self._serving_key(provider_key_id)
        with vast_errors():
            try:
                yield await self.client(key.id)
            except VastKeyRefused:
                await self.remember_refused(key.id)
                raise
            except VastThrottled as error:
                if key.account_id is not None and error.retry_after is None:
                    error.retry_after = await self.told_to_slow_down(key.account_id, endpoint)
                raise
        if key.status is KeyStatus.REFUSED:
            await self._remember_accepted(key.id)

    async def _serving_key(self, provider_key_id: int) -> ProviderKey:
        async with self.database.begin() as session:
            key = await session.get_one(ProviderKey, provider_key_id)
            if key.status is not KeyStatus.REFUSED:
                return key
            other = await session.scalar(
                select(ProviderKey)
                .where(ProviderKey.account_id == key.account_id, ProviderKey.status == KeyStatus.VALID)
                .order_by(ProviderKey.id.desc())
            )
        return other or key

    async def remember_refused(self, provider_key_id: int) -> None:
        """The cloud does not take this key (any more): flows that need it are refused, and its user is told."""
        async with self.database.begin() as session:
            key = await session.get_one(ProviderKey, provider_key_id, with_for_update=True)
            key.status, key.checked_at = KeyStatus.REFUSED, func.clock_timestamp()
            await raise_alarm(session, REFUSED_ALARM, _refused_words(key), user_id=key.user_id)

    async def _remember_accepted(self, provider_key_id: int) -> None:
        """Nobody else tries a key that was refused before its user comes back."""
        async with self.database.begin() as session:
            key = await session.get_one(ProviderKey, provider_key_id, with_for_update=True)
            key.status, key.checked_at = KeyStatus.VALID, func.clock_timestamp()
            await close_alarms(session, REFUSED_ALARM, _refused_words(key))

    async def client(self, provider_key_id: int) -> VastClient:
        """A client for one saved key. What a row of keys says never changes, so it is opened once a process."""
        if provider_key_id not in self._clients:
            async with self.database.begin() as session:
                key = await session.get_one(ProviderKey, provider_key_id)
            self._clients[provider_key_id] = VastClient(key.url, self.sealer.open(key.sealed, KEY_PURPOSE), self._http)
        return self._clients[provider_key_id]

    async def seconds_to_wait(
        self, account_id: int, endpoint: Endpoint, urgency: Urgency | None = None, attempt: int = 1
    ) -> float:
        """Take our turn at an endpoint; 0.0 when it is ours now.

        The less urgent leave the endpoint idle for a moment first, in which the more urgent get in; from try to try
        they insist more, so that nobody waits for ever.
        """
        spacing = endpoint.spacing * self.settings.cloud_pace
        idle = spacing * (urgency or Urgency.HIGH).value / max(1, attempt)
        async with self.database.begin() as session:
            return await take_slot(session, account_id, endpoint.value[0], spacing, endpoint.burst, idle)

    async def told_to_slow_down(self, account_id: int, endpoint: Endpoint) -> float:
        """A 429: the endpoint is left alone for a while, by all of us. Returns the seconds."""
        pause = endpoint.spacing * self.settings.cloud_pace * PENALTY_SPACINGS
        async with self.database.begin() as session:
            await push_back(session, account_id, endpoint.value[0], pause)
        return pause.total_seconds()

    def pages(self, account_id: int) -> Callable[[], Awaitable[None]]:
        """The pause between the pages of one listing: each is a request of its own and needs its turn.

        This waits in the activity, a second or so a page, for half a listing is worth nothing to a later attempt.
        """

        async def turn() -> None:
            while wait := await self.seconds_to_wait(account_id, Endpoint.LIST):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(wait)

        return turn

    async def keep_key(self, user_id: int | None, key: str, *, strict: bool = False) -> ProviderKey:
        """Save a user's key (None: the installation's) and try it at the cloud.

        An unreachable cloud leaves it `unchecked`; a refused one is kept as `refused` unless `strict`.

        Raises:
            ProviderKeyRefused: refused, and `strict`; nothing was saved.
            AccountInUse: it is another account's, and machines are open on the present one.
        """
        return await self._save(user_id, key, self.settings.vast_url, strict=strict)

    async def _save(self, user_id: int | None, key: str, url: str, *, strict: bool) -> ProviderKey:
        status, cloud_user = await self._try(key, url)
        if strict and status is KeyStatus.REFUSED:
            raise ProviderKeyRefused
        async with self.database.begin() as session:
            account_id = None if cloud_user is None else await _account(session, url, cloud_user)
            await self._check_leases(session, user_id, account_id)
            row = await self._upsert(session, user_id, key, url)
            row.status, row.checked_at = status, func.clock_timestamp()
            row.account_id = account_id or row.account_id
            row.retired_at = None
            if user_id is None:
                await _retire_others(session, row, key_url=url)
            await session.flush()
            if user_id is not None:
                await _use(session, user_id, row.id)
            await session.refresh(row)
            return row

    async def _try(self, key: str, url: str) -> tuple[KeyStatus, VastUser | None]:
        try:
            return KeyStatus.VALID, await VastClient(url, key, self._http).current_user()
        except VastKeyRefused:
            return KeyStatus.REFUSED, None
        except (VastUnavailable, VastThrottled):
            return KeyStatus.UNCHECKED, None

    async def _check_leases(self, session: AsyncSession, user_id: int | None, account_id: int | None) -> None:
        """An account's machines can only be released with its own keys, so it is not left while any is open."""
        if account_id is None or user_id is None:
            return
        others = await session.scalar(
            select(func.count())
            .select_from(Lease)
            .where(OPEN, Lease.user_id == user_id, Lease.account_id != account_id)
        )
        if others:
            raise AccountInUse(others)

    async def _upsert(self, session: AsyncSession, user_id: int | None, key: str, url: str) -> ProviderKey:
        fingerprint = hashlib.sha256(f"{url} {key}".encode()).hexdigest()
        row = await session.scalar(
            select(ProviderKey)
            .where(ProviderKey.fingerprint == fingerprint, ProviderKey.user_id.is_not_distinct_from(user_id))
            .with_for_update()
        )
        if row is None:
            sealed = self.sealer.seal(key, KEY_PURPOSE)
            row = ProviderKey(user_id=user_id, url=url, sealed=sealed, fingerprint=fingerprint, last4=key[-4:])
            session.add(row)
        return row

    async def balance(self, key: ProviderKey, max_age_seconds: float = 60.0) -> VastUser:
        """The account's money; at most so old. Raises the client's errors when it must ask and cannot."""
        async with self.database.begin() as session:
            account = await session.get_one(Account, account_of(key))
            age = func.extract("epoch", func.clock_timestamp() - Account.credit_at)
            old = await session.scalar(select(age).where(Account.id == account.id))
        if account.credit is not None and old is not None and float(old) <= max_age_seconds:
            return VastUser(id=int(account.cloud_user_id), email=account.email, credit=account.credit)
        client = await self.client(key.id)
        user = await client.current_user()
        async with self.database.begin() as session:
            await _account(session, key.url, user)
        return user


def _refused_words(key: ProviderKey) -> str:
    return f"The cloud refuses the key ending in {key.last4}; machines rented with it wait for a working one."


async def _account(session: AsyncSession, url: str, user: VastUser) -> int:
    facts = {"email": user.email, "credit": user.credit, "credit_at": func.clock_timestamp()}
    found = await session.scalars(
        insert(Account)
        .values(cloud="vast", url=url, cloud_user_id=str(user.id), **facts)
        .on_conflict_do_update(index_elements=[Account.url, Account.cloud_user_id], set_=facts)
        .returning(Account.id)
    )
    account_id: int = found.one()
    return account_id


def account_of(key: ProviderKey) -> int:
    """Whose key it is. While the cloud has not said so yet, nothing can be done with the key: `VastUnavailable`."""
    if key.account_id is None:
        raise VastUnavailable("the cloud has not told yet whose key this is")
    return key.account_id


async def _retire_others(session: AsyncSession, kept: ProviderKey, key_url: str) -> None:
    """One installation key a cloud; the others only serve what was rented with them."""
    await session.flush()
    await session.execute(
        update(ProviderKey)
        .where(ProviderKey.user_id.is_(None), ProviderKey.url == key_url, ProviderKey.id != kept.id)
        .values(retired_at=func.coalesce(ProviderKey.retired_at, func.clock_timestamp()))
    )


async def _use(session: AsyncSession, user_id: int, provider_key_id: int) -> None:
    await session.execute(
        insert(UserSettings)
        .values(user_id=user_id, provider_key_id=provider_key_id, settings={})
        .on_conflict_do_update(index_elements=[UserSettings.user_id], set_={"provider_key_id": provider_key_id})
    )
