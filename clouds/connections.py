"""Clients for clouds, each with its account's key, and whose turn it is there. Keys are kept by clouds/keys.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import func, select

from activities.errors import vast_errors
from clients.vast import VastClient
from clients.vast_errors import VastKeyRefused, VastThrottled
from clients.vast_types import VastUser
from clouds.keys import KEY_PURPOSE, Keys, account_of, remember_user
from clouds.rate_limits import PENALTY_SPACINGS, ApiQuota, Urgency
from db.accounts.provider_keys import serving_key
from db.accounts.tables import Account, ProviderKey
from db.alarms import close_alarms, raise_alarm
from db.machines.rate_limits import push_back, take_slot
from db.sealing import Sealer
from db.session import Database
from db.usage.spending import Limits
from domain.accounts.phases import KeyStatus
from settings import Settings

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
        self.keys = Keys(database, sealer, settings, self._connect)

    def _connect(self, url: str, key: str) -> VastClient:
        return VastClient(url, key, self._http)

    async def close(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def calling(self, provider_key_id: int, endpoint: ApiQuota) -> AsyncIterator[VastClient]:
        """A client for one activity's requests, its errors as Temporal should see them.

        `endpoint`: the one that is left alone for a while when the cloud asks to slow down.

        A key that the cloud refuses is remembered as refused; while it is, another valid key of the same account serves
        in its place, so that what was rented with it can still be released. One that works again is remembered too.
        """
        async with self.database.begin() as session:
            key = await serving_key(session, provider_key_id)
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
            self._clients[provider_key_id] = self._connect(key.url, self.sealer.open(key.sealed, KEY_PURPOSE))
        return self._clients[provider_key_id]

    async def seconds_to_wait(
        self, account_id: int, endpoint: ApiQuota, urgency: Urgency | None = None, attempt: int = 1
    ) -> float:
        """Take our turn at an endpoint; 0.0 when it is ours now.

        The less urgent leave the endpoint idle for a moment first, in which the more urgent get in; from try to try
        they insist more, so that nobody waits for ever.
        """
        spacing = endpoint.spacing * self.settings.cloud_pace
        idle = spacing * (urgency or Urgency.HIGH).value / max(1, attempt)
        async with self.database.begin() as session:
            return await take_slot(session, account_id, endpoint.value[0], spacing, endpoint.burst, idle)

    async def told_to_slow_down(self, account_id: int, endpoint: ApiQuota) -> float:
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
            while wait := await self.seconds_to_wait(account_id, ApiQuota.LIST):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(wait)

        return turn

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
            await remember_user(session, key.url, user)
        return user


def _refused_words(key: ProviderKey) -> str:
    return f"The cloud refuses the key ending in {key.last4}; machines rented with it wait for a working one."
