"""What a user may spend."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.tables import UserSettings


async def cap_of(session: AsyncSession, user_id: int, default: float) -> float:
    """The user's daily spending cap in USD, theirs or the installation's default."""
    row = await session.get(UserSettings, user_id)
    cap = None if row is None else row.settings.get("spending_cap_per_day")
    return default if cap is None else float(cap)
