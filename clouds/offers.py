"""The market as we see it: offers searched once per GPU and kept for a short while, filtered here."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from clouds.connections import Providers
from clouds.errors import NotOurTurn, Throttled
from clouds.keys import account_of
from clouds.provider import Verb
from clouds.searches import CHEAPEST_FIRST, Search, shared_search, whole_search
from db.accounts.tables import ProviderKey
from db.market.tables import OfferSearch
from db.session import Database
from domain.market.offers import Offer, OfferQuery, matching_gpus, select_offers

FRESH = timedelta(seconds=30)
NAMES_FRESH = timedelta(hours=1)
STALE_BUT_USABLE = timedelta(minutes=5)
"""With the search budget (10 a minute) spent, an answer this old is better than none: a rent notices what went."""
FORGOTTEN = timedelta(days=1)
PATIENCE_SECONDS = 11.0
"""How long a query waits for its turn to search; a little more than the budget's spacing."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Market:
    """Offers for a query, from the shared cache in the database or from the cloud."""

    def __init__(self, database: Database, providers: Providers) -> None:
        self._database = database
        self._providers = providers
        self._parsed: dict[tuple[str, str], tuple[datetime, list[Offer]]] = {}
        self._names: dict[str, tuple[datetime, set[str]]] = {}

    async def offers(self, key: ProviderKey, query: OfferQuery, order: str = CHEAPEST_FIRST) -> list[Offer]:
        """What the query accepts, cheapest first. Raises the provider's errors when it is asked in vain.

        `order`: by which of an offer's fields the cloud chooses those that it shows; `-` before it, the highest first.
        """
        return await self._offers(key, query, order, _LONG_AGO)

    async def offers_since(self, key: ProviderKey, query: OfferQuery, since: datetime) -> list[Offer]:
        """The same, for who knows that something became free at that time: what was seen earlier is old.

        With the budget of searches spent, it is good enough.
        """
        return await self._offers(key, query, CHEAPEST_FIRST, since)

    async def _offers(self, key: ProviderKey, query: OfferQuery, order: str, since: datetime) -> list[Offer]:
        names = None if query.gpu_name is None else matching_gpus(query.gpu_name, await self.gpu_names(key))
        if names is not None and not names:
            return []
        shared, whole = shared_search(query, names), whole_search(query, names, order)
        if shared is None or order != CHEAPEST_FIRST:
            return select_offers(query, await self._search(key, whole, since))
        found = await self._search(key, shared, since)
        if len(found) >= self._shown(key) and whole != shared:  # there are more than it shows: let it do the filtering
            with suppress(Throttled):
                found = await self._search(key, whole)
        return select_offers(query, found)

    def _shown(self, key: ProviderKey) -> int:
        return self._providers.clouds[key.cloud].capabilities.offers_shown

    async def gpu_names(self, key: ProviderKey) -> set[str]:
        """Every GPU name of the market."""
        fetched_at, names = self._names.get(key.url, (_LONG_AGO, set()))
        if datetime.now(UTC) - fetched_at < NAMES_FRESH:
            return names
        cached = await self._cached(key.url, "gpu_names", NAMES_FRESH)
        if cached is None:
            cached = datetime.now(UTC), list(await (await self._providers.provider(key.id)).gpu_names())
            await self._keep(key.url, "gpu_names", cached[1])
        self._names[key.url] = cached[0], set(cached[1])
        return self._names[key.url][1]

    async def _search(self, key: ProviderKey, search: Search, since: datetime = _LONG_AGO) -> list[Offer]:
        query = search.model_dump_json(exclude_none=True)
        fetched_at, offers = self._parsed.get((key.url, query), (_LONG_AGO, []))
        if datetime.now(UTC) - fetched_at < FRESH and fetched_at >= since:
            return offers
        cached = await self._cached(key.url, query, FRESH)
        if cached is None or cached[0] < since:
            cached = await self._fetch(key, search, query)
        fetched_at, rows = cached
        offers = [Offer.model_validate(row) for row in rows]
        self._parsed[key.url, query] = fetched_at, offers
        return offers

    async def _fetch(self, key: ProviderKey, search: Search, query: str) -> tuple[datetime, list[Any]]:
        try:
            await self._providers.take_turn(account_of(key), Verb.OFFERS)
        except NotOurTurn as error:
            stale = await self._cached(key.url, query, STALE_BUT_USABLE)
            if stale is not None:
                return stale
            await self._await_turn(key, error)
        provider = await self._providers.provider(key.id)
        found = await provider.offers(search.query, gpu_names=search.gpu_names, order=search.order)
        rows = [offer.model_dump(mode="json") for offer in found]
        await self._keep(key.url, query, rows)
        return datetime.now(UTC), rows

    async def _await_turn(self, key: ProviderKey, refusal: NotOurTurn) -> None:
        """Wait until we may search.

        Raises:
            NotOurTurn: too many others wait.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() + refusal.wait <= until:
            await asyncio.sleep(refusal.wait)
            try:
                return await self._providers.take_turn(account_of(key), Verb.OFFERS)
            except NotOurTurn as error:
                refusal = error
        raise refusal

    async def _cached(self, url: str, query: str, age: timedelta) -> tuple[datetime, list[Any]] | None:
        async with self._database.begin() as session:
            found = await session.execute(
                select(OfferSearch.fetched_at, OfferSearch.offers).where(
                    OfferSearch.url == url,
                    OfferSearch.query == query,
                    OfferSearch.fetched_at > func.clock_timestamp() - age,
                )
            )
        row = found.one_or_none()
        return None if row is None else (row[0], row[1])

    async def _keep(self, url: str, query: str, rows: list[Any]) -> None:
        values = {"offers": rows, "fetched_at": func.clock_timestamp()}
        async with self._database.begin() as session:
            await session.execute(
                delete(OfferSearch).where(OfferSearch.fetched_at < func.clock_timestamp() - FORGOTTEN)
            )
            await session.execute(
                insert(OfferSearch)
                .values(url=url, query=query, **values)
                .on_conflict_do_update(index_elements=[OfferSearch.url, OfferSearch.query], set_=values)
            )
