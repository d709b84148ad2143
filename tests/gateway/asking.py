"""Asking, and asking again until something is so."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.gateway.conftest import Gateway

CHAT = "/v1/chat/completions"
PATIENCE_SECONDS = 20.0


async def ask(gateway: Gateway, path: str, token: str | None = None) -> int:
    """The status that one chat request gets."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with gateway.http.post(gateway.at(path, CHAT), json={}, headers=headers) as answer:
        return answer.status


async def becomes(probe: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Fails when the probe has not said so for a long time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await probe() == wanted:
                return
            await asyncio.sleep(0.02)
