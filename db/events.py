"""The timelines that users read."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.tables import Event


async def record_event(session: AsyncSession, user_id: int, subject: str, kind: str, text: str) -> None:
    """Add a sentence to the timeline of `subject`, such as `instance:12`."""
    session.add(Event(user_id=user_id, subject=subject, kind=kind, text=text))
    await session.flush()
