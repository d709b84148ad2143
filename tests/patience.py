"""Waiting for what has to come. No test may fail because the computer is busy with something else."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 120.0


async def becomes(probe: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Returns as soon as the probe has said so; fails when it has not for a long time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await probe() != wanted:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)
