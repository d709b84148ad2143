"""Who may call an endpoint: anybody when it is public, else who holds its key, or its owner."""

import asyncio
import hashlib
import hmac
import time

from domain.endpoints.phases import AccessType
from gateway.http.errors import Code, HttpRefusal
from gateway.http.owners import Owners
from gateway.http.rate import Buckets
from gateway.route_feed import DATABASE_ERRORS
from gateway.routes import Route

PUBLIC_REQUESTS_PER_SECOND = 50.0
PUBLIC_BURST = 100.0
"""Of one client at one public endpoint."""

REMEMBERED_SECONDS = 30.0
"""How long a revoked key may still work if we miss the notification."""

REMEMBERED_KEYS = 10_000
LOOK_UPS_AT_ONCE = 4
LOOK_UP_SECONDS = 3.0


class Access:
    """Admits or refuses. Caches the owner of each credential, by its hash, so that few requests ask the database."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._known: dict[bytes, tuple[int | None, float]] = {}
        self._revocations = 0
        self._look_ups = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        self._public = Buckets(PUBLIC_REQUESTS_PER_SECOND, PUBLIC_BURST)

    async def admit(self, route: Route, authorization: str | None, client: str) -> None:
        """
        Raises:
            HttpRefusal: 401 without a credential for this endpoint, 429 over the rate, 503 when we cannot check it now.
        """
        if route.access_type is AccessType.PUBLIC:
            self._within_rate(route, client)
            return
        scheme, _, token = (authorization or "").partition(" ")
        well_formed = scheme.lower() == "bearer" and token.isascii()
        if not well_formed or not await self._opens(route, token.strip()):
            raise HttpRefusal(
                401,
                Code.UNAUTHORIZED,
                "This endpoint is private: send its API key, or one of yours, as a Bearer token.",
            )

    def forget(self) -> None:
        """Empty the cache: some credential was revoked."""
        self._known.clear()
        self._revocations += 1

    def _within_rate(self, route: Route, client: str) -> None:
        wait = self._public.take((route.id, client))
        if wait > 0:
            raise HttpRefusal(429, Code.RATE_LIMITED, "Too many requests from your address.", retry_after=wait)

    async def _opens(self, route: Route, token: str) -> bool:
        digest = hashlib.sha256(token.encode())
        if route.key_hash is not None and hmac.compare_digest(digest.hexdigest().encode(), route.key_hash.encode()):
            return True
        return await self._owner(token, digest.digest()) == route.user_id

    async def _owner(self, token: str, digest: bytes) -> int | None:
        user_id, until = self._known.get(digest, (None, 0.0))
        if until > time.monotonic():
            return user_id
        revocations = self._revocations
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS), self._look_ups:
                user_id = await self._owners.of(token)
        except DATABASE_ERRORS as error:
            raise HttpRefusal(503, Code.UNAVAILABLE, "Your key cannot be checked right now.", retry_after=2) from error
        if len(self._known) >= REMEMBERED_KEYS:
            self._known.clear()
        if revocations == self._revocations:  # otherwise it may have been revoked after we read it
            self._known[digest] = (user_id, time.monotonic() + REMEMBERED_SECONDS)
        return user_id
