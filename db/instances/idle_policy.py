"""Idle windows: the instance's own, else its user's, else the installation's."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import UserSettings
from db.instances.tables import Instance
from domain.lifecycles import LIFECYCLES


async def hibernate_after(session: AsyncSession, instance: Instance, default_minutes: float) -> timedelta | None:
    """How long an instance is paused before it is hibernated; None: never."""
    if not LIFECYCLES[instance.kind].hibernates:
        return None
    own = instance.idle_hibernate_minutes
    return timedelta(minutes=await _minutes(session, instance, own, "idle_hibernate_minutes", default_minutes))


async def pause_after(session: AsyncSession, instance: Instance, default_minutes: float) -> timedelta | None:
    """How long an instance is idle before it is paused; None: never, which is also what 0 minutes mean."""
    if not LIFECYCLES[instance.kind].sleeps_when_idle:
        return None
    own = instance.idle_pause_minutes
    minutes = await _minutes(session, instance, own, "idle_pause_minutes", default_minutes)
    return timedelta(minutes=minutes) if minutes > 0 else None


async def _minutes(session: AsyncSession, instance: Instance, own: float | None, of_user: str, default: float) -> float:
    if own is not None:
        return own
    row = await session.get(UserSettings, instance.user_id)
    chosen = None if row is None else row.settings.get(of_user)
    return default if chosen is None else float(chosen)
