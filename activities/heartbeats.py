"""A sign of life from every long activity, so that the death of its worker is noticed in seconds.

Without it an attempt that died with its process is only missed when its whole deadline has passed (temporal.md 1.8).
"""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

BEATS_PER_TIMEOUT = 3


class Heartbeats(Interceptor):
    """Beats for each activity that has a heartbeat timeout, for as long as its coroutine runs."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if timeout is None or activity.info().is_local:
            return await super().execute_activity(input)
        beating = asyncio.create_task(_beat(timeout.total_seconds() / BEATS_PER_TIMEOUT))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()


async def _beat(seconds: float) -> None:
    """The first after a while: most activities are over by then, and each beat is a write of the server's."""
    while True:
        await asyncio.sleep(seconds)
        activity.heartbeat()
