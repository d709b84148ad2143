"""The market, filtered, with what we learned of its machines."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Security
from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.deps import App, Me
from api.guard import Guarded
from api.openapi import UNAUTHORIZED, bearer, problem
from api.provider import working_key
from api.schemas import Answer, WireId, storable
from db.machines.tables import Lease
from domain.machines.phases import LeaseOutcome
from domain.market.offers import MachineType, Offer, OfferQuery, Region

router = APIRouter(
    prefix="/instances",
    tags=["instances"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)

Order = Literal[
    "dph_total", "-dph_total", "reliability", "-reliability", "gpu_ram", "-gpu_ram", "num_gpus", "-num_gpus",
    "cpu_cores", "-cpu_cores", "cpu_ram", "-cpu_ram", "disk_space", "-disk_space", "inet_down", "-inet_down",
    "inet_up", "-inet_up", "cuda_version", "-cuda_version",
]  # fmt: skip


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _dashed(value: Any) -> Any:
    return value.lower().replace("_", "-") if isinstance(value, str) else value


class OfferFilters(OfferQuery):
    """Every field filters; none does by default."""

    gpu_name: Annotated[str | None, AfterValidator(lambda text: storable(text).strip() or None if text else None)] = (
        Field(
            default=None,
            max_length=100,
            description="`RTX 4090`, `rtx_4090`; `RTX` means all of them.",
            examples=["RTX 4090"],
        )
    )
    region: Annotated[Region | None, BeforeValidator(_upper)] = None
    machine_type: Annotated[MachineType, BeforeValidator(_dashed)] = MachineType.ON_DEMAND
    order_by: Order = Field(default="dph_total", description="A leading `-` turns the order round.")
    limit: int = Field(default=50, ge=1, le=1000)


class OfferAnswer(Answer):
    """`success_rate` (0..1) and `reliability_status` are of our own attempts at this machine."""

    id: WireId
    gpu_name: str
    num_gpus: int
    gpu_ram: float
    cpu_cores: float
    cpu_ram: float
    disk_space: float
    inet_down: float
    inet_up: float
    dph_total: float
    geolocation: str
    reliability: float
    cuda_version: float
    verified: bool
    static_ip: bool
    machine_id: WireId
    success_rate: float | None = None
    total_attempts: int = 0
    reliability_status: Literal["unknown", "good", "mixed", "bad"] = "unknown"


class OffersAnswer(Answer):
    """`count`: in this answer; `total`: of those that the cloud shows (64 at most), all that pass the filters."""

    offers: list[OfferAnswer]
    count: int
    total: int


@router.get("/offers", summary="What is for rent now", responses={400: problem("No provider key.")})
async def list_offers(filters: Annotated[OfferFilters, Query()], me: Me, app: App) -> OffersAnswer:
    key, _ = await working_key(app, me.id)
    found = _sorted(await app.market.offers(key, filters, filters.order_by), filters.order_by)
    page = found[: filters.limit]
    async with app.database.begin() as session:
        history = await _history(session, [offer.host_id for offer in page])
    offers = [_shown(offer, *history.get(offer.host_id, (0, 0))) for offer in page]
    return OffersAnswer(offers=offers, count=len(offers), total=len(found))


def _sorted(offers: list[Offer], order: Order) -> list[Offer]:
    field = order.removeprefix("-")
    return sorted(offers, key=lambda offer: getattr(offer, field), reverse=order.startswith("-"))


async def _history(session: AsyncSession, host_ids: list[str]) -> dict[str, tuple[int, int]]:
    """Per host: how many of our attempts came to something, either way, and how many got it running."""
    rows = await session.execute(
        select(Lease.host_id, func.count(), func.count(Lease.running_at))
        .where(Lease.host_id.in_(host_ids))
        .where(or_(Lease.running_at.is_not(None), Lease.outcome == LeaseOutcome.BOOT_FAILED))
        .group_by(Lease.host_id)
    )
    return {host_id: (attempts, successes) for host_id, attempts, successes in rows}


def _shown(offer: Offer, attempts: int, successes: int) -> OfferAnswer:
    fields = offer.model_dump(include=set(OfferAnswer.model_fields)) | {"machine_id": offer.host_id}
    if not attempts:
        return OfferAnswer(**fields)
    rate = successes / attempts
    status: Literal["good", "mixed", "bad"] = "good" if rate >= 0.9 else "mixed" if rate >= 0.5 else "bad"
    return OfferAnswer(**fields, success_rate=round(rate, 3), total_attempts=attempts, reliability_status=status)
