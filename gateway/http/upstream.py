"""Speaking to model servers, over the tunnels. Their failures become refusals here; no answer of theirs is changed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
)
from yarl import URL

from clients.ssh import SshError
from db.sealing import CannotOpen, Sealer
from domain.endpoints.runtimes import runtime_of
from gateway.http.bodies import RequestBody
from gateway.http.channels import ChannelConnector
from gateway.http.errors import Code, HttpRefusal
from gateway.http.readiness import Serving
from gateway.http.tunnels import Tunnels

PURPOSE = "endpoint-upstream-key"
CONNECT_SECONDS = 5.0
"""How long a request waits for the tunnel and its channel."""

SILENCE_SECONDS = 600.0
"""The longest wait for the first byte, and between two: a long prompt on a slow GPU takes minutes."""

RETRY_SECONDS = 2.0
KEYS_KEPT = 10_000

log = logging.getLogger(__name__)


class Upstream:
    """One HTTP client for all machines."""

    def __init__(self, tunnels: Tunnels, sealer: Sealer, on_trouble: Callable[[str], None]) -> None:
        """`on_trouble` is told the endpoint whose server refused a connection or broke one off."""
        self._sealer = sealer
        self._on_trouble = on_trouble
        self._keys: dict[str, str] = {}
        self._session = ClientSession(
            connector=ChannelConnector(tunnels.connection),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
        )

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def request(
        self, serving: Serving, method: str, path: str, headers: dict[str, str], body: RequestBody | None = None
    ) -> AsyncIterator[ClientResponse]:
        """The server's answer, its head read and its body to come. Leaving the block drops what was not read.

        Raises:
            HttpRefusal: no answer came. What is raised later, while the body is read, is the caller's.
        """
        route, lease = serving.route, serving.lease
        url = URL.build(scheme="http", host=lease.lease_id, port=route.port, path=path)
        own = {"Host": f"127.0.0.1:{route.port}", "Authorization": f"Bearer {self._key(route.sealed_upstream_key)}"}
        data = None if body is None else body.data
        try:
            response = await self._session.request(
                method, url, headers=headers | own, data=data, allow_redirects=False, skip_auto_headers=("User-Agent",)
            )
        except (ClientError, SshError, OSError) as error:
            if isinstance(error, ClientConnectionError) and not isinstance(error, TimeoutError):
                self._on_trouble(route.id)
            raise _refusal(error, body, route.id) from error
        async with response:
            yield response

    async def is_healthy(self, serving: Serving, *, seconds: float) -> bool:
        """Whether the server says in that time that it can serve; one without a `/health` need only answer."""
        path = runtime_of(serving.route.model_type).health_path
        try:
            async with asyncio.timeout(seconds), self.request(serving, "GET", path, {}) as response:
                return response.status in (200, 404)
        except (HttpRefusal, TimeoutError):
            return False

    def _key(self, sealed: str) -> str:
        if sealed not in self._keys:
            if len(self._keys) >= KEYS_KEPT:
                self._keys.clear()
            try:
                self._keys[sealed] = self._sealer.open(sealed, PURPOSE)
            except CannotOpen as error:
                raise HttpRefusal(503, Code.UNAVAILABLE, "The endpoint cannot be served right now.") from error
        return self._keys[sealed]


def _refusal(error: BaseException, body: RequestBody | None, endpoint_id: str) -> HttpRefusal:
    if body is not None and body.refusal is not None:
        return body.refusal
    log.warning("endpoint %s: %s: %s", endpoint_id, type(error).__name__, str(error)[:200])
    if isinstance(error, SshError | ClientConnectorError | ConnectionTimeoutError):
        detail = "The machine cannot be reached right now."
        return HttpRefusal(503, Code.UPSTREAM_UNREACHABLE, detail, retry_after=RETRY_SECONDS)
    if isinstance(error, TimeoutError):
        return HttpRefusal(
            504, Code.UPSTREAM_TIMEOUT, "The model server did not answer in time.", retry_after=RETRY_SECONDS
        )
    if isinstance(error, ClientConnectionError | OSError):
        return HttpRefusal(502, Code.UPSTREAM_BROKEN, "The model server broke off.", retry_after=RETRY_SECONDS)
    return HttpRefusal(
        502, Code.UPSTREAM_BROKEN, "The model server's answer cannot be read.", retry_after=RETRY_SECONDS
    )
