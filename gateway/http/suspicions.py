"""A request that did not get through is a reason to look at the model server now, not at its next turn."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from temporalio.service import RPCError

APART_SECONDS = 10.0
"""Between two hints about one endpoint: a thousand refused requests say no more than one."""
KEPT = 10_000

log = logging.getLogger(__name__)


class Suspicions:
    """Hints to the endpoints' workflows. One that is lost costs time only: they look by themselves too."""

    def __init__(self, tell: Callable[[str], Awaitable[None]]) -> None:
        self._tell = tell
        self._told_at: dict[str, float] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def note(self, endpoint_id: str) -> None:
        """Its model server refused a connection, or broke one off. Returns at once."""
        now = time.monotonic()
        if now < self._told_at.get(endpoint_id, -APART_SECONDS) + APART_SECONDS:
            return
        if len(self._told_at) >= KEPT:
            self._told_at.clear()
        self._told_at[endpoint_id] = now
        telling = asyncio.create_task(self._told(endpoint_id), name=f"suspicion-{endpoint_id}")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _told(self, endpoint_id: str) -> None:
        try:
            await self._tell(endpoint_id)
        except (RPCError, RuntimeError, OSError) as error:
            log.info("endpoint %s: nobody is told of its server now (%s)", endpoint_id, type(error).__name__)
