"""Offers: what a cloud would rent us now, and the pure choice among them."""

import re
from enum import StrEnum

from pydantic import BaseModel, Field

from domain.ids import CloudId


class MachineType(StrEnum):
    ON_DEMAND = "on-demand"
    INTERRUPTIBLE = "interruptible"


class Region(StrEnum):
    US = "US"
    EU = "EU"
    ASIA = "ASIA"


_EUROPE = "AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LT LU LV MT NL NO PL PT RO RS SE SI SK UA"
_ASIA = "AE AM CN GE HK ID IL IN JP KR KZ MY PH SA SG TH TR TW VN"
_REGION_COUNTRIES: dict[Region, frozenset[str]] = {
    Region.US: frozenset({"US"}),
    Region.EU: frozenset(_EUROPE.split()),
    Region.ASIA: frozenset(_ASIA.split()),
}


def countries_of(region: Region) -> frozenset[str]:
    """The two-letter codes of its countries."""
    return _REGION_COUNTRIES[region]


class Offer(BaseModel):
    """One offer, in our units: sizes in GB, bandwidth in Mbit/s, money in USD/h, reliability 0..1."""

    id: CloudId
    host_id: CloudId
    """Of the computer that it is on."""
    gpu_name: str
    num_gpus: int
    gpu_ram: float
    cpu_cores: float
    cpu_ram: float
    disk_space: float
    inet_down: float
    inet_up: float
    dph_total: float
    min_bid: float = 0.0
    storage_dph: float = 0.0
    """USD per GB and hour, paid while the machine is stopped too."""
    geolocation: str = ""
    reliability: float
    cuda_version: float
    verified: bool
    static_ip: bool
    direct_port_count: int = 0

    @property
    def country(self) -> str:
        """Two letters, from the end of `Sweden, SE` (clouds.md A2)."""
        return self.geolocation.rsplit(",", 1)[-1].strip().upper()[-2:]


class OfferQuery(BaseModel):
    """What a caller will accept. Every field filters; None means no filter."""

    gpu_name: str | None = None
    offer_id: CloudId | None = None
    num_gpus: int | None = Field(default=None, ge=1, le=64)
    min_gpu_ram: float | None = Field(default=None, ge=0)
    min_cpu_cores: float | None = Field(default=None, ge=0)
    min_cpu_ram: float | None = Field(default=None, ge=0)
    min_disk: float | None = Field(default=None, ge=0)
    min_inet_down: float | None = Field(default=None, ge=0)
    min_inet_up: float | None = Field(default=None, ge=0)
    max_price: float | None = Field(default=None, gt=0)
    min_reliability: float | None = Field(default=None, ge=0, le=1)
    region: Region | None = None
    verified_only: bool = False
    static_ip: bool | None = None
    cuda_version: float | None = Field(default=None, ge=0)
    machine_type: MachineType = MachineType.ON_DEMAND


def gpu_words(name: str) -> tuple[str, ...]:
    """`rtx_4090`, `RTX 4090` and `RTX-4090` are the same words."""
    return tuple(re.sub(r"[\s_\-]+", " ", name).strip().lower().split())


def _joined(name: str) -> str:
    return "".join(gpu_words(name))


def matching_gpus(wanted: str, known: set[str]) -> set[str]:
    """The cloud's GPU names that `wanted` means: the exact model, else a prefix of whole words (`RTX`).

    `3080` never means `3080 Ti`, and `RTX 3080` means `RTX 3080` alone where that exists.
    """
    exact = {name for name in known if _joined(name) == _joined(wanted)}
    if exact:
        return exact
    words = gpu_words(wanted)
    if not words or (any(character.isdigit() for character in words[-1]) and len(words) > 1):
        return set()
    return {name for name in known if gpu_words(name)[: len(words)] == words}


def accepts(query: OfferQuery, offer: Offer) -> bool:
    """Whether the offer passes every filter but the GPU's name, which `matching_gpus` settles."""
    price = offer.min_bid if query.machine_type is MachineType.INTERRUPTIBLE else offer.dph_total
    floors: list[tuple[float | None, float]] = [
        (query.min_gpu_ram, offer.gpu_ram),
        (query.min_cpu_cores, offer.cpu_cores),
        (query.min_cpu_ram, offer.cpu_ram),
        (query.min_disk, offer.disk_space),
        (query.min_inet_down, offer.inet_down),
        (query.min_inet_up, offer.inet_up),
        (query.min_reliability, offer.reliability),
        (query.cuda_version, offer.cuda_version),
    ]
    return (
        all(floor is None or value >= floor for floor, value in floors)
        and (query.offer_id is None or offer.id == query.offer_id)
        and (query.num_gpus is None or offer.num_gpus == query.num_gpus)
        and (query.max_price is None or price <= query.max_price)
        and (query.region is None or offer.country in countries_of(query.region))
        and (not query.verified_only or offer.verified)
        and (query.static_ip is None or offer.static_ip == query.static_ip)
    )


def select_offers(query: OfferQuery, offers: list[Offer]) -> list[Offer]:
    """The offers that the query accepts, cheapest first, the more reliable first among equals."""
    names = {offer.gpu_name for offer in offers}
    wanted = names if query.gpu_name is None else matching_gpus(query.gpu_name, names)
    chosen = [offer for offer in offers if offer.gpu_name in wanted and accepts(query, offer)]
    return sorted(chosen, key=lambda offer: (offer.dph_total, -offer.reliability, offer.id))
