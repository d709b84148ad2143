"""What a user may spend."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import UserSettings


@dataclass(frozen=True)
class Limits:
    """What one user may hold: USD a day, and GPUs at once."""

    usd_per_day: float
    gpus: int


async def limits_of(session: AsyncSession, user_id: int, defaults: Limits) -> Limits:
    """The user's own limits, each the installation's default where they set none. GPUs: never more than the default."""
    row = await session.get(UserSettings, user_id)
    own = {} if row is None else row.settings
    cap, gpus = own.get("spending_cap_per_day"), own.get("max_gpus")
    return Limits(
        usd_per_day=defaults.usd_per_day if cap is None else float(cap),
        gpus=defaults.gpus if gpus is None else min(int(gpus), defaults.gpus),
    )
