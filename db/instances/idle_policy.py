"""Idle windows: the instance's own, else its user's, else the installation's."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import UserSettings
from db.instances.tables import Instance
from domain.lifecycles import LIFECYCLES


async def hibernate_after(session: AsyncSession, instance: Instance, default_minutes: float) -> timedelta | None:
    """How long an instance is paused before it is hibernated; None for those that never are."""
    if not LIFECYCLES[instance.kind].sleeps_when_idle:
        return None
    own = instance.idle_hibernate_minutes
    return timedelta(minutes=own if own is not None else await _users(session, instance, "hibernate", default_minutes))


async def pause_after(session: AsyncSession, instance: Instance, default_minutes: float) -> timedelta | None:
    """How long an instance is idle before it is paused; None for those that never are."""
    if not LIFECYCLES[instance.kind].sleeps_when_idle:
        return None
    own = instance.idle_pause_minutes
    return timedelta(minutes=own if own is not None else await _users(session, instance, "pause", default_minutes))


async def _users(session: AsyncSession, instance: Instance, word: str, default: float) -> float:
    row = await session.get(UserSettings, instance.user_id)
    chosen = (row.settings if row else {}).get(f"idle_{word}_minutes")
    return default if chosen is None else float(chosen)
