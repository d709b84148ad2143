"""What is rented for a user: which machine, why, since when and for how much; and open alarms."""

from typing import Annotated

from fastapi import APIRouter, Query, Security
from sqlalchemy import func, select

from api.deps import Me, Session
from api.guard import Guarded
from api.openapi import UNAUTHORIZED, bearer
from api.schemas import Answer, Time, WireId
from db.alarms import open_alarms
from db.machines.leases import OPEN
from db.machines.tables import Lease
from db.tables import Alarm
from db.usage.costs import cost_of, hourly_of

router = APIRouter(
    prefix="/leases", tags=["leases"], route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)

MAX_LIMIT = 1000


class HolderAnswer(Answer):
    kind: str
    id: str


class LeaseAnswer(Answer):
    """One attempt at one machine. `cost_usd`: from rent to end, or to now; while it was stopped, its disk alone."""

    id: str
    lease_id: str
    holder: HolderAnswer
    label: str
    provider_id: WireId | None
    machine_id: WireId
    offer_id: WireId
    gpu_name: str
    num_gpus: int
    dph_total: float
    state: str
    outcome: str
    reason: str
    cost_usd: float
    created_at: Time
    rented_at: Time | None
    running_at: Time | None
    releasing_at: Time | None
    closed_at: Time | None


class AlarmAnswer(Answer):
    kind: str
    text: str
    raised_at: Time
    last_at: Time


class LeasesAnswer(Answer):
    """`hourly_usd`: what the open ones cost an hour now: stopped ones their disk, those being released all of it."""

    leases: list[LeaseAnswer]
    count: int
    total: int
    next_cursor: str | None = None
    hourly_usd: float
    alarms: list[AlarmAnswer]


@router.get("", summary="What is rented for me")
async def list_leases(
    me: Me,
    session: Session,
    all: Annotated[bool, Query(description="Also those that are closed.")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
) -> LeasesAnswer:
    mine = [Lease.user_id == me.id] + ([] if all else [OPEN])
    rows = (await session.scalars(select(Lease).where(*mine).order_by(Lease.created_at.desc()).limit(limit))).all()
    total = await session.scalar(select(func.count()).select_from(Lease).where(*mine))
    held = await session.scalars(select(Lease).where(Lease.user_id == me.id, OPEN))
    return LeasesAnswer(
        leases=[shown(row) for row in rows],
        count=len(rows),
        total=total or 0,
        hourly_usd=round(sum(map(hourly_of, held)), 4),
        alarms=[_alarm(each) for each in await open_alarms(session, me.id)],
    )


def shown(lease: Lease) -> LeaseAnswer:
    return LeaseAnswer(
        id=lease.id,
        lease_id=lease.id,
        holder=HolderAnswer(kind=lease.holder_kind, id=lease.holder_id),
        label=lease.label,
        provider_id=lease.cloud_id,
        machine_id=lease.host_id,
        offer_id=lease.offer_id,
        gpu_name=lease.gpu_name,
        num_gpus=lease.num_gpus,
        dph_total=lease.dph_total,
        state=lease.state,
        outcome=lease.outcome,
        reason=lease.reason,
        cost_usd=round(cost_of(lease), 6),
        created_at=lease.created_at,
        rented_at=lease.rented_at,
        running_at=lease.running_at,
        releasing_at=lease.releasing_at,
        closed_at=lease.closed_at,
    )


def _alarm(alarm: Alarm) -> AlarmAnswer:
    return AlarmAnswer(kind=alarm.kind, text=alarm.text, raised_at=alarm.raised_at, last_at=alarm.last_at)
