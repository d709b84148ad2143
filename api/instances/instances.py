"""Instances that a user holds: list, look, and their timelines."""

from typing import Annotated

from fastapi import APIRouter, Query, Security
from sqlalchemy import ColumnElement, and_, func, or_, select

from api.deps import Me, OwnInstance, Session
from api.guard import Guarded
from api.instances.schemas import InstanceAnswer, instance_rows, shown_instance
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer
from api.pagination import ListPage
from api.schemas import Answer
from api.timelines import EventPage, timeline
from db.instances.tables import Instance
from domain.instances.phases import Desired, InstanceStatus

router = APIRouter(
    prefix="/instances",
    tags=["instances"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)

NOT_HELD = [InstanceStatus.HIBERNATED, InstanceStatus.DESTROYING, InstanceStatus.DESTROYED, InstanceStatus.FAILED]
_OVER = [InstanceStatus.DESTROYED, InstanceStatus.FAILED]


class InstancesAnswer(Answer):
    instances: list[InstanceAnswer]
    count: int
    total: int
    next_cursor: str | None


class EventsAnswer(EventPage):
    instance_id: int


@router.get("", summary="Instances held at a provider now")
async def list_instances(
    me: Me,
    session: Session,
    page: ListPage,
    status: Annotated[InstanceStatus | None, Query(description="Only these, held or not.")] = None,
    all: Annotated[bool, Query(description="Also what is hibernated, ending or over.")] = False,
) -> InstancesAnswer:
    wanted = [Instance.user_id == me.id, *_wanted(status, all)]
    total = await session.scalar(select(func.count()).select_from(Instance).where(*wanted))
    after = [] if page.after is None else [Instance.id < page.after]
    rows = (await session.execute(instance_rows(*wanted, *after).limit(page.limit + 1))).all()
    instances = [shown_instance(row[0], row[1], row[2]) for row in rows[: page.limit]]
    cursor = page.next_cursor([each.id for each in instances], len(rows) > page.limit)
    return InstancesAnswer(instances=instances, count=len(instances), total=total or 0, next_cursor=cursor)


def _wanted(status: InstanceStatus | None, all: bool) -> list[ColumnElement[bool]]:
    """One that is to be destroyed is shown as `destroying` from the request on."""
    going = and_(Instance.desired == Desired.DESTROYED, Instance.status.not_in(_OVER))
    if status is InstanceStatus.DESTROYING:
        return [or_(Instance.status == status, going)]
    if status is not None:
        return [Instance.status == status, ~going]
    return [] if all else [Instance.status.not_in(NOT_HELD), ~going]


@router.get("/{id}", summary="One instance", responses=NOT_FOUND)
async def show_instance(found: OwnInstance, session: Session) -> InstanceAnswer:
    row = (await session.execute(instance_rows(Instance.id == found.id))).one()
    return shown_instance(row[0], row[1], row[2])


@router.get("/{id}/events", summary="What happened to an instance, newest first", responses=NOT_FOUND)
async def instance_events(found: OwnInstance, session: Session, page: ListPage) -> EventsAnswer:
    events = await timeline(session, page, f"instance:{found.id}")
    return EventsAnswer(**events.model_dump(), instance_id=found.id)
