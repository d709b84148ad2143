"""Alarms: what a person has to look at."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.tables import Alarm


async def raise_alarm(session: AsyncSession, kind: str, text: str, *, user_id: int | None = None) -> None:
    """Raise the alarm, or record that it is still the case."""
    await session.execute(
        insert(Alarm)
        .values(kind=kind, text=text, user_id=user_id)
        .on_conflict_do_update(
            index_elements=[Alarm.kind, Alarm.text],
            index_where=Alarm.closed_at.is_(None),
            set_={"last_at": func.clock_timestamp()},
        )
    )


async def close_alarms(session: AsyncSession, kind: str, text: str | None = None) -> None:
    """Close the alarms of this kind, or the one with this text: the cause is gone."""
    meant = [Alarm.kind == kind, Alarm.closed_at.is_(None)] + ([] if text is None else [Alarm.text == text])
    await session.execute(update(Alarm).where(*meant).values(closed_at=func.clock_timestamp()))


async def open_alarms(session: AsyncSession, user_id: int | None = None) -> list[Alarm]:
    """Open alarms of the installation and of one user."""
    mine = Alarm.user_id.is_(None) | (Alarm.user_id == user_id)
    rows = await session.scalars(select(Alarm).where(Alarm.closed_at.is_(None), mine).order_by(Alarm.id))
    return list(rows)
