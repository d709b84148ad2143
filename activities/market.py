"""The market as we see it: offers searched once per GPU and kept for a short while, filtered here."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from activities.clouds import Clouds, Endpoint, account_of
from clients.vast_errors import VastThrottled
from clients.vast_types import VastOffer
from db.session import Database
from db.tables import OfferSearch, ProviderKey
from domain.offers import MachineType, Offer, OfferQuery, matching_gpus, select_offers

FRESH = timedelta(seconds=30)
NAMES_FRESH = timedelta(hours=1)
STALE_BUT_USABLE = timedelta(minutes=5)
"""With the search budget (10 a minute) spent, an answer this old is better than none: a rent notices what went."""
FORGOTTEN = timedelta(days=1)

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_KINDS = {MachineType.ON_DEMAND: "on-demand", MachineType.INTERRUPTIBLE: "bid"}


class Market:
    """Offers for a query, from the shared cache in the database or from the cloud."""

    def __init__(self, database: Database, clouds: Clouds) -> None:
        self._database = database
        self._clouds = clouds
        self._parsed: dict[tuple[str, str], tuple[datetime, list[Offer]]] = {}
        self._names: dict[str, tuple[datetime, set[str]]] = {}

    async def offers(self, key: ProviderKey, query: OfferQuery) -> list[Offer]:
        """What the query accepts, cheapest first. Raises the client's errors when the cloud is asked in vain."""
        names = None if query.gpu_name is None else matching_gpus(query.gpu_name, await self.gpu_names(key))
        if names is not None and not names:
            return []
        return select_offers(query, await self._search(key, wire_filters(query, names), query.machine_type))

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

    async def _search(self, key: ProviderKey, filters: dict[str, Any], kind: MachineType) -> list[Offer]:
        query = f"{kind}:{json.dumps(filters, sort_keys=True)}"
        fetched_at, offers = self._parsed.get((key.url, query), (_LONG_AGO, []))
        if datetime.now(UTC) - fetched_at < FRESH:
            return offers
        cached = await self._cached(key.url, query, FRESH)
        if cached is None:
            cached = await self._fetch(key, filters, kind, query)
        fetched_at, rows = cached
        offers = [Offer.model_validate(row) for row in rows]
        self._parsed[key.url, query] = fetched_at, offers
        return offers

    async def _fetch(
        self, key: ProviderKey, filters: dict[str, Any], kind: MachineType, query: str
    ) -> tuple[datetime, list[Any]]:
        wait = await self._clouds.seconds_to_wait(account_of(key), Endpoint.SEARCH)
        if wait:
            stale = await self._cached(key.url, query, STALE_BUT_USABLE)
            if stale is None:
                raise VastThrottled("our own budget of searches is spent", wait)
            return stale
        found = await (await self._clouds.client(key.id)).search_offers(filters, kind=_KINDS[kind])
        rows = [to_offer(row).model_dump(mode="json") for row in found]
        await self._keep(key.url, query, rows)
        return datetime.now(UTC), rows

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


def wire_filters(query: OfferQuery, names: set[str] | None) -> dict[str, Any]:
    """What the cloud itself has to filter by, for it shows only the cheapest 64 of what matches (clouds.md A2).

    With a GPU's name few filters are sent, so that many queries share one search; without one, all that narrow it.
    """
    exact: dict[str, Any] = {} if query.num_gpus is None else {"num_gpus": {"eq": query.num_gpus}}
    if query.offer_id is not None:
        return {"ask_contract_id": {"eq": query.offer_id}}  # a filter on `id` matches nothing there
    if names is not None:
        return exact | {"gpu_name": {"in": sorted(names)}}
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
    return exact | flags | {name: {"gte": floor} for name, floor in floors.items() if floor is not None}


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
        geolocation=row.geolocation or "",
        reliability=row.reliability2,
        cuda_version=row.cuda_max_good,
        verified=row.verification == "verified",
        static_ip=bool(row.static_ip),
        direct_port_count=row.direct_port_count,
    )
