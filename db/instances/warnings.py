"""What an instance's owner has to know: beside its status, until it next falls asleep, and in its timeline."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.events import record_event
from db.instances.tables import Instance
from db.notify import notify_instance


async def add_warning(session: AsyncSession, instance: Instance, text: str) -> None:
    """Add a sentence to the instance's warnings and to its timeline. The caller holds the row."""
    if text not in instance.warnings:
        instance.warnings = [*instance.warnings, text]
    await record_event(session, instance.user_id, f"instance:{instance.id}", "warning", text)
    await notify_instance(session, instance.id)
