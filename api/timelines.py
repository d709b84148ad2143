"""What happened to a thing of a user's, newest first, a page at a time."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import ListPage
from api.schemas import Answer, Time
from db.tables import Event


class EventAnswer(Answer):
    id: int
    kind: str
    text: str
    at: Time


class EventPage(Answer):
    events: list[EventAnswer]
    count: int
    total: int
    next_cursor: str | None


async def timeline(session: AsyncSession, page: ListPage, *subjects: str) -> EventPage:
    """The events of these subjects, such as `instance:12`."""
    mine = Event.subject.in_(subjects)
    total = await session.scalar(select(func.count()).select_from(Event).where(mine))
    after = [] if page.after is None else [Event.id < page.after]
    newest = select(Event).where(mine, *after).order_by(Event.id.desc()).limit(page.limit + 1)
    rows = (await session.scalars(newest)).all()
    events = [EventAnswer(id=row.id, kind=row.kind, text=row.text, at=row.at) for row in rows[: page.limit]]
    cursor = page.next_cursor([each.id for each in events], len(rows) > page.limit)
    return EventPage(events=events, count=len(events), total=total or 0, next_cursor=cursor)
