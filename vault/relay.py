"""One request: let through, piece by piece, or refused. What is written must be what its name says."""

import hashlib
import logging
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
from aiohttp import web

from clients import rclone
from vault.objects import Kind, Object, may, parse
from vault.rights import Rights
from vault.store import LISTING, Store

PIECE = 1 << 18
_TO_STORE = ("Accept", "Range", "Content-Type", "Content-Length")
_TO_MACHINE = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "Last-Modified")

log = logging.getLogger(__name__)


class OtherContent(Exception):
    """What was sent is not what its name says."""


class Relay:
    def __init__(self, rights: Rights, store: Store, http: aiohttp.ClientSession) -> None:
        self._rights, self._store, self._http = rights, store, http

    async def handle(self, request: web.Request) -> web.StreamResponse:
        holdings = await self._rights.of(request.headers.get("Authorization", ""))
        if holdings is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="vault"'})
        wanted = parse(request.path)
        if wanted is None or not may(holdings.right_to(wanted.repository), request.method, wanted):
            return web.Response(status=403)
        try:
            if request.method == "POST":
                return await self._write(request, wanted)
            return await self._pass_on(request)
        except aiohttp.ClientError as error:
            log.warning("the store does not answer: %s", type(error).__name__)
            return web.Response(status=503)

    async def healthy(self) -> bool:
        try:
            async with self._http.get("http://store/", headers=LISTING, timeout=aiohttp.ClientTimeout(total=5)):
                return True
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _TO_STORE if name in request.headers}
        async with self._http.request(request.method, self._url(request.path), headers=headers) as answer:
            response = web.StreamResponse(status=answer.status)
            response.headers.update({name: answer.headers[name] for name in _TO_MACHINE if name in answer.headers})
            await response.prepare(request)
            async for piece in answer.content.iter_chunked(PIECE):
                await response.write(piece)
            await response.write_eof()
            return response

    async def _write(self, request: web.Request, wanted: Object) -> web.StreamResponse:
        """Add an object. One that is there already, whole, was written by a try whose answer was lost."""
        if request.content_length is None:
            return web.Response(status=411)
        async with self._http.head(self._url(request.path)) as answer:
            there = answer.status == 200
        if there:
            return web.Response(status=await self._judge_existing(wanted, request.content_length))
        headers = {"Content-Length": str(request.content_length), "Content-Type": "application/octet-stream"}
        body = Checked(request.content, wanted.name or "")
        try:
            async with self._http.post(self._url(request.path), data=body, headers=headers) as answer:
                status = answer.status
        except aiohttp.ClientError:
            if body.is_wrong:
                return web.Response(status=400)
            raise
        if status >= 500:
            status = self._store.failure()
        return web.Response(status=status)

    async def _judge_existing(self, wanted: Object, size: int) -> int:
        """The store keeps what it has. What a crash of it cut off is no object: it goes, and the next try writes."""
        path = f"/{wanted.repository}/{wanted.kind.value}/{wanted.name}"
        hashed, length = hashlib.sha256(), 0
        async with self._http.get(self._url(path)) as answer:
            if answer.status != 200:
                return 503
            async for piece in answer.content.iter_chunked(PIECE):
                hashed.update(piece)
                length += len(piece)
        if hashed.hexdigest() == wanted.name:
            return 200 if length == size else 400
        log.warning("removing an object that is not whole: %s, %d bytes", path, length)
        await rclone.delete_file(f"{self._store.where.rstrip('/')}{stored_path(wanted)}")
        return self._store.failure()

    def _url(self, path: str) -> str:
        return f"http://store{quote(path)}"


class Checked:
    """A body whose end is held back until all of it is what the name says; else it breaks off, and `is_wrong`."""

    def __init__(self, content: aiohttp.StreamReader, name: str) -> None:
        self._content, self._name = content, name
        self.is_wrong = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        hashed, held = hashlib.sha256(), b""
        async for piece in self._content.iter_any():
            hashed.update(piece)
            if held:
                yield held
            held = piece
        self.is_wrong = hashed.hexdigest() != self._name
        if self.is_wrong:
            raise OtherContent
        yield held


def stored_path(wanted: Object) -> str:
    """Where rclone keeps it: data is spread over folders by the first two letters."""
    name = wanted.name or ""
    spread = f"{name[:2]}/" if wanted.kind is Kind.DATA else ""
    return f"/{wanted.repository}/{wanted.kind.value}/{spread}{name}"
