"""Request bodies on their way to a machine: small ones in one piece, large ones as they come, none above the limit."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.http.errors import Code, HttpRefusal

MAX_BODY = 64 * 1024 * 1024
SMALL_BODY = 64 * 1024
"""Bytes up to which a body is read whole, which saves packets and time."""

SILENCE_SECONDS = 30.0
"""The longest wait for the caller's next bytes."""

_TOO_LARGE = HttpRefusal(413, Code.TOO_LARGE, f"A request may have up to {MAX_BODY // 1024**2} MiB.")
_TOO_SLOW = HttpRefusal(408, Code.BODY_TIMEOUT, "The request's body stopped coming.")


class RequestBody:
    """A body to be sent once. `refusal` says afterwards why it could not be read to its end, if so."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.data: bytes | AsyncIterator[bytes] = b""
        self.refusal: HttpRefusal | None = None

    @classmethod
    async def of(cls, request: web.Request) -> "RequestBody | None":
        """The request's body, or None without one.

        Raises:
            HttpRefusal: 413 for one that says it is too large, 408 for a small one that does not come.
        """
        if not request.can_read_body:
            return None
        length = request.content_length
        if length is not None and length > MAX_BODY:
            raise _TOO_LARGE
        body = cls(request)
        small = length is not None and length <= SMALL_BODY
        body.data = await body._whole() if small else body._pieces()
        return body

    async def _whole(self) -> bytes:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                return await self._request.content.read()
        except TimeoutError:
            raise _TOO_SLOW from None

    async def _pieces(self) -> AsyncIterator[bytes]:
        total = 0
        while piece := await self._next():
            total += len(piece)
            if total > MAX_BODY:
                self.refusal = _TOO_LARGE
                raise self.refusal
            yield piece

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                return await self._request.content.readany()
        except TimeoutError:
            self.refusal = _TOO_SLOW
            raise self.refusal from None
