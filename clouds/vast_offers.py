"""Vast.ai's market: its search grammar, its units, its rows as our offers (clouds.md A2)."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from clients.vast_types import VastOffer
from domain.market.offers import MachineType, Offer, OfferQuery, countries_of, usd

HOURS_A_MONTH = 720
"""Storage is priced by the month of 30 days."""
KINDS = {MachineType.ON_DEMAND: "on-demand", MachineType.INTERRUPTIBLE: "bid"}

_COLUMNS = {
    "price_usd_per_hour": "dph_total",
    "reliability": "reliability2",
    "cpu_cores": "cpu_cores_effective",
    "cuda_version": "cuda_max_good",
}


def wire_filters(query: OfferQuery, gpu_names: Collection[str] | None) -> dict[str, Any]:
    """All of a query that the cloud can filter by."""
    if query.offer_id is not None:
        return {"ask_contract_id": {"eq": int(query.offer_id)}}  # a filter on `id` matches nothing there
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
    exact: dict[str, Any] = {} if query.num_gpus is None else {"num_gpus": {"eq": query.num_gpus}}
    exact |= {} if gpu_names is None else {"gpu_name": {"in": sorted(gpu_names)}}
    exact |= {"verified": {"eq": True}} if query.verified_only else {}
    exact |= {} if query.static_ip is None else {"static_ip": {"eq": query.static_ip}}
    exact |= {} if query.region is None else {"geolocation": {"in": sorted(countries_of(query.region))}}
    exact |= {} if query.max_price is None else {"dph_total": {"lte": float(query.max_price)}}
    return exact | {name: {"gte": floor} for name, floor in floors.items() if floor is not None}


def wire_order(order: str) -> tuple[str, str]:
    """An order by one of an offer's fields, as the wire has it."""
    field = order.removeprefix("-")
    return _COLUMNS.get(field, field), "desc" if order.startswith("-") else "asc"


def _times_1000(gigabytes: float | None) -> float | None:
    """The wire counts memory in MB."""
    return None if gigabytes is None else gigabytes * 1000


def to_offers(rows: Sequence[VastOffer]) -> list[Offer]:
    """Those that are offers in our units too, whatever the others say."""
    found = []
    for row in rows:
        with suppress(ValidationError, ArithmeticError):
            found.append(to_offer(row))
    return found


def to_offer(row: VastOffer) -> Offer:
    return Offer(
        id=str(row.id),
        host_id=str(row.machine_id),
        gpu_name=row.gpu_name,
        num_gpus=row.num_gpus,
        gpu_ram=round(row.gpu_ram / 1000, 1),
        cpu_cores=row.cpu_cores_effective or row.cpu_cores,
        cpu_ram=round(row.cpu_ram / 1000, 1),
        disk_space=row.disk_space,
        inet_down=row.inet_down,
        inet_up=row.inet_up,
        price_usd_per_hour=usd(row.dph_total),
        min_bid_usd_per_hour=usd(row.min_bid),
        storage_usd_per_gb_hour=round(usd(row.storage_cost) / HOURS_A_MONTH, 10),
        geolocation=row.geolocation or "",
        reliability=row.reliability2,
        cuda_version=row.cuda_max_good,
        verified=row.verification == "verified",
        static_ip=bool(row.static_ip),
        direct_port_count=row.direct_port_count,
    )
