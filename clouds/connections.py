"""Providers opened for accounts: with which key, in whose turn, and what is remembered of refused keys."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import func, select

from clouds.errors import KeyRefused, NotOurTurn, ProviderError, Throttled
from clouds.keys import KEY_PURPOSE, Keys, account_of, remember_account
from clouds.provider import Cloud, CloudAccount, Provider, Turn, Verb
from clouds.rate_limits import RateLimits, Urgency
from clouds.registry import clouds_of
from db.accounts.provider_keys import serving_key
from db.accounts.tables import Account, ProviderKey
from db.alarms import close_alarms, raise_alarm
from db.sealing import CannotOpen, Sealer
from db.session import Database
from db.usage.spending import Limits
from domain.accounts.phases import KeyStatus
from settings import Settings

REFUSED_ALARM = "key_refused"


class Providers:
    """`http` is shared by all that is opened; `clouds`: the kinds that there are (clouds/registry.py)."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        settings: Settings,
        http: httpx.AsyncClient | None = None,
        clouds: Mapping[str, Cloud] | None = None,
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.settings = settings
        self.default_limits = Limits(settings.default_spending_cap_per_day, settings.default_max_gpus)
        self._http = http or httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=20), follow_redirects=False
        )
        self.clouds = clouds_of(settings, self._http) if clouds is None else clouds
        self.keys = Keys(database, sealer, settings, self.clouds)
        self._rate_limits = RateLimits(database, settings.cloud_pace)
        self._opened: dict[int, Provider] = {}
        self._cloud_of: dict[int, Cloud] = {}

    async def close(self) -> None:
        await self._http.aclose()

    async def provider(self, provider_key_id: int) -> Provider:
        """The account of a saved key. What a row of keys says never changes, so it is opened once a process."""
        if provider_key_id not in self._opened:
            async with self.database.begin() as session:
                key = await session.get_one(ProviderKey, provider_key_id)
            self._opened[key.id] = self.clouds[key.cloud].open(key.url, self.sealer.open(key.sealed, KEY_PURPOSE))
        return self._opened[provider_key_id]

    async def cloud_of(self, account_id: int) -> Cloud:
        """The kind of cloud that an account is at; that never changes."""
        if account_id not in self._cloud_of:
            async with self.database.begin() as session:
                account = await session.get_one(Account, account_id)
            self._cloud_of[account_id] = self.clouds[account.cloud]
        return self._cloud_of[account_id]

    async def take_turn(self, account_id: int, verb: Verb, urgency: Urgency = Urgency.HIGH, attempt: int = 1) -> None:
        """Take the account's turn for one request.

        Raises:
            NotOurTurn: others go first; come back.
        """
        cloud = await self.cloud_of(account_id)
        quota = cloud.quotas[verb]
        wait = await self._rate_limits.seconds_to_wait(account_id, quota, urgency, attempt)
        if wait:
            raise NotOurTurn(f"waiting for our turn to call the cloud ({quota.name})", wait, cloud=cloud.title)

    def page_turns(self, account_id: int) -> Turn:
        """What a whole listing awaits between its pages: each is a request of its own.

        This waits in the activity, a second or so a page, for half a listing is worth nothing to a later attempt.
        """

        async def turn() -> None:
            quota = (await self.cloud_of(account_id)).quotas[Verb.LIST]
            while wait := await self._rate_limits.seconds_to_wait(account_id, quota):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(wait)

        return turn

    @asynccontextmanager
    async def calling(self, provider_key_id: int, verb: Verb) -> AsyncIterator[Provider]:
        """The account of this key, for one request or a few.

        `verb`: whose endpoint is left alone for a while when the cloud asks to slow down.

        A key that the cloud refuses is remembered as refused; while it is, another valid key of the same account serves
        in its place, so that what was rented with it can still be released. One that works again is remembered too.
        """
        async with self.database.begin() as session:
            key = await serving_key(session, provider_key_id)
        try:
            yield await self.provider(key.id)
        except KeyRefused:
            await self.remember_refused(key.id)
            raise
        except NotOurTurn:
            raise
        except Throttled as error:
            if key.account_id is not None:
                quota = self.clouds[key.cloud].quotas[verb]
                error.retry_after = await self._rate_limits.slow_down(key.account_id, quota, error.retry_after)
            raise
        if key.status is KeyStatus.REFUSED:
            await self._remember_accepted(key.id)

    async def remember_refused(self, provider_key_id: int) -> None:
        """The cloud does not take this key (any more): flows that need it are refused, and its user is told."""
        async with self.database.begin() as session:
            key = await session.get_one(ProviderKey, provider_key_id, with_for_update=True)
            key.status, key.checked_at = KeyStatus.REFUSED, func.clock_timestamp()
            await raise_alarm(session, REFUSED_ALARM, _refused_words(key), user_id=key.user_id)

    async def try_again(self, provider_key_id: int) -> None:
        """Whether the cloud takes a key after all that it refused; what it cannot say now, a later try hears."""
        try:
            await (await self.provider(provider_key_id)).account()
        except (KeyRefused, CannotOpen):
            await self.remember_refused(provider_key_id)
        except ProviderError:
            async with self.database.begin() as session:
                key = await session.get_one(ProviderKey, provider_key_id, with_for_update=True)
                key.checked_at = func.clock_timestamp()
        else:
            await self._remember_accepted(provider_key_id)

    async def _remember_accepted(self, provider_key_id: int) -> None:
        """Nobody else tries a key that was refused before its user comes back."""
        async with self.database.begin() as session:
            key = await session.get_one(ProviderKey, provider_key_id, with_for_update=True)
            key.status, key.checked_at = KeyStatus.VALID, func.clock_timestamp()
            await close_alarms(session, REFUSED_ALARM, _refused_words(key))

    async def balance(self, key: ProviderKey, max_age_seconds: float = 60.0) -> CloudAccount:
        """The account's money; at most so old. Raises the provider's errors when it must ask and cannot."""
        async with self.database.begin() as session:
            account = await session.get_one(Account, account_of(key))
            age = func.extract("epoch", func.clock_timestamp() - Account.credit_at)
            old = await session.scalar(select(age).where(Account.id == account.id))
        if account.credit is not None and old is not None and float(old) <= max_age_seconds:
            return CloudAccount(id=account.cloud_user_id, email=account.email, credit=account.credit)
        now = await (await self.provider(key.id)).account()
        async with self.database.begin() as session:
            await remember_account(session, key.cloud, key.url, now)
        return now


def _refused_words(key: ProviderKey) -> str:
    return f"The cloud refuses the key ending in {key.last4}; machines rented with it wait for a working one."
