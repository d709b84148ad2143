"""NOTIFY: listeners learn of a change when the transaction commits."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

INSTANCES_CHANNEL = "instances"
JOBS_CHANNEL = "jobs"


async def notify_instance(session: AsyncSession, instance_id: int) -> None:
    """Tell the gateways and the waiting requests to read the instance's row again."""
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": INSTANCES_CHANNEL, "payload": str(instance_id)}
    )


async def notify_job(session: AsyncSession, number: int) -> None:
    """Tell those who watch a job that it printed something or changed."""
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": JOBS_CHANNEL, "payload": str(number)}
    )
