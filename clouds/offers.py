"""The market as we see it: offers searched once per GPU and kept for a short while, filtered here."""

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from clients.vast_errors import VastThrottled
from clients.vast_types import VastOffer
from clouds.connections import Clouds
from clouds.keys import account_of
from clouds.rate_limits import ApiQuota
from db.accounts.tables import ProviderKey
from db.market.tables import OfferSearch
from db.session import Database
from domain.market.offers import MachineType, Offer, OfferQuery, countries_of, matching_gpus, select_offers

FRESH = timedelta(seconds=30)
HOURS_A_MONTH = 720.0
NAMES_FRESH = timedelta(hours=1)
STALE_BUT_USABLE = timedelta(minutes=5)
"""With the search budget (10 a minute) spent, an answer this old is better than none: a rent notices what went."""
FORGOTTEN = timedelta(days=1)
PATIENCE_SECONDS = 11.0
"""How long a query waits for its turn to search; a little more than the budget's spacing."""

MOST_OFFERS = 64
"""The cloud shows no more of what matches (clouds.md A2)."""

CHEAPEST_FIRST = "dph_total"

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_KINDS = {MachineType.ON_DEMAND: "on-demand", MachineType.INTERRUPTIBLE: "bid"}


class Market:
    """Offers for a query, from the shared cache in the database or from the cloud."""

    def __init__(self, database: Database, clouds: Clouds) -> None:
        self._database = database
        self._clouds = clouds
        self._parsed: dict[tuple[str, str], tuple[datetime, list[Offer]]] = {}
        self._names: dict[str, tuple[datetime, set[str]]] = {}

    async def offers(self, key: ProviderKey, query: OfferQuery, order: str = CHEAPEST_FIRST) -> list[Offer]:
        """What the query accepts, cheapest first. Raises the client's errors when the cloud is asked in vain.

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
        shared, whole = shared_filters(query, names), wire_filters(query, names, order)
        if shared is None or order != CHEAPEST_FIRST:
            return select_offers(query, await self._search(key, whole, query.machine_type, order, since))
        found = await self._search(key, shared, query.machine_type, since=since)
        if len(found) >= MOST_OFFERS and whole != shared:  # there are more than it shows: let it do the filtering
            with suppress(VastThrottled):
                found = await self._search(key, whole, query.machine_type)
        return select_offers(query, found)

    async def gpu_names(self, key: ProviderKey) -> set[str]:
        """Every GPU name of the market."""
        fetched_at, names = self._names.get(key.url, (_LONG_AGO, set()))
        if datetime.now(UTC) - fetched_at < NAMES_FRESH:
            return names
        cached = await self._cached(key.url, "gpu_names", NAMES_FRESH)
        if cached is None:
            cached = datetime.now(UTC), list(await (await self._clouds.client(key.id)).gpu_names())
            await self._keep(key.url, "gpu_names", cached[1])
        self._names[key.url] = cached[0], set(cached[1])
        return self._names[key.url][1]

    async def _search(
        self,
        key: ProviderKey,
        filters: dict[str, Any],
        kind: MachineType,
        order: str = CHEAPEST_FIRST,
        since: datetime = _LONG_AGO,
    ) -> list[Offer]:
        query = f"{kind}:{order}:{json.dumps(filters, sort_keys=True)}"
        fetched_at, offers = self._parsed.get((key.url, query), (_LONG_AGO, []))
        if datetime.now(UTC) - fetched_at < FRESH and fetched_at >= since:
            return offers
        cached = await self._cached(key.url, query, FRESH)
        if cached is None or cached[0] < since:
            cached = await self._fetch(key, filters, kind, order, query)
        fetched_at, rows = cached
        offers = [Offer.model_validate(row) for row in rows]
        self._parsed[key.url, query] = fetched_at, offers
        return offers

    async def _fetch(
        self, key: ProviderKey, filters: dict[str, Any], kind: MachineType, order: str, query: str
    ) -> tuple[datetime, list[Any]]:
        if await self._clouds.seconds_to_wait(account_of(key), ApiQuota.SEARCH):
            stale = await self._cached(key.url, query, STALE_BUT_USABLE)
            if stale is not None:
                return stale
            await self._turn(key)
        client = await self._clouds.client(key.id)
        found = await client.search_offers(filters, kind=_KINDS[kind], order=wire_order(order))
        rows = [to_offer(row).model_dump(mode="json") for row in found]
        await self._keep(key.url, query, rows)
        return datetime.now(UTC), rows

    async def _turn(self, key: ProviderKey) -> None:
        """Wait until we may search.

        Raises:
            VastThrottled: too many others wait.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while wait := await self._clouds.seconds_to_wait(account_of(key), ApiQuota.SEARCH):
            if time.monotonic() + wait > until:
                raise VastThrottled("our own budget of searches is spent", wait)
            await asyncio.sleep(wait)

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


def shared_filters(query: OfferQuery, names: set[str] | None) -> dict[str, Any] | None:
    """Few filters, so that many queries for a GPU share one search; None when only the whole query narrows it."""
    if query.offer_id is not None:
        return {"ask_contract_id": {"eq": query.offer_id}}  # a filter on `id` matches nothing there
    return None if names is None else _exact(query, names)


def wire_filters(query: OfferQuery, names: set[str] | None, order: str = CHEAPEST_FIRST) -> dict[str, Any]:
    """All that the cloud itself can filter by, for it shows only the first of what matches."""
    if query.offer_id is not None:
        return {"ask_contract_id": {"eq": query.offer_id}}
    floors = {
        "gpu_ram": _times_1000(query.min_gpu_ram),
        "cpu_ram": _times_1000(query.min_cpu_ram),
        "cpu_cores_effective": query.min_cpu_cores,
        "disk_space": query.min_disk,
        "inet_down": query.min_inet_down,
        "inet_up": query.min_inet_up,
        "reliability2": query.min_reliability,
        "cuda_max_good": query.cuda_version,
    }
    flags: dict[str, Any] = {"verified": {"eq": True}} if query.verified_only else {}
    flags |= {} if query.static_ip is None else {"static_ip": {"eq": query.static_ip}}
    flags |= {} if query.region is None else {"geolocation": {"in": sorted(countries_of(query.region))}}
    if query.max_price is not None and order != CHEAPEST_FIRST and query.machine_type is MachineType.ON_DEMAND:
        flags["dph_total"] = {"lte": query.max_price}
    return _exact(query, names) | flags | {name: {"gte": floor} for name, floor in floors.items() if floor is not None}


def _exact(query: OfferQuery, names: set[str] | None) -> dict[str, Any]:
    exact: dict[str, Any] = {} if query.num_gpus is None else {"num_gpus": {"eq": query.num_gpus}}
    return exact if names is None else exact | {"gpu_name": {"in": sorted(names)}}


_COLUMNS = {"reliability": "reliability2", "cpu_cores": "cpu_cores_effective", "cuda_version": "cuda_max_good"}


def wire_order(order: str) -> tuple[str, str]:
    """An order by one of an offer's fields, as the wire has it."""
    field = order.removeprefix("-")
    return _COLUMNS.get(field, field), "desc" if order.startswith("-") else "asc"


def _times_1000(gigabytes: float | None) -> float | None:
    """The wire counts memory in MB."""
    return None if gigabytes is None else gigabytes * 1000


def to_offer(row: VastOffer) -> Offer:
    """The cloud's row in our words and units."""
    return Offer(
        id=row.id,
        machine_id=row.machine_id,
        gpu_name=row.gpu_name,
        num_gpus=row.num_gpus,
        gpu_ram=round(row.gpu_ram / 1000, 1),
        cpu_cores=row.cpu_cores_effective or row.cpu_cores,
        cpu_ram=round(row.cpu_ram / 1000, 1),
        disk_space=row.disk_space,
        inet_down=row.inet_down,
        inet_up=row.inet_up,
        dph_total=row.dph_total,
        min_bid=row.min_bid,
        storage_dph=row.storage_cost / HOURS_A_MONTH,
        geolocation=row.geolocation or "",
        reliability=row.reliability2,
        cuda_version=row.cuda_max_good,
        verified=row.verification == "verified",
        static_ip=bool(row.static_ip),
        direct_port_count=row.direct_port_count,
    )
