"""One request to a model server and its answer back, piece by piece as it comes.

Headers go by lists of what may pass: the machine is a stranger's computer, so it learns nothing about the caller that
the model does not need, and it cannot set a cookie or a redirect on the address that all endpoints share.
"""

import logging
from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientError, ClientResponse, web

from gateway.http.bodies import RequestBody
from gateway.http.errors import REQUEST_ID, Code, HttpRefusal, error_event
from gateway.http.readiness import Serving
from gateway.http.upstream import RETRY_SECONDS, Upstream

REQUEST_HEADERS = ("Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Length", "Content-Type")
RESPONSE_HEADERS = (
    *("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Type", "Retry-After"),
    *("OpenAI-Processing-Ms", "X-Accel-Buffering"),
)
_BROKE_OFF = HttpRefusal(
    502, Code.UPSTREAM_BROKEN, "The model server broke off in the middle.", retry_after=RETRY_SECONDS
)

log = logging.getLogger(__name__)


SMALL_ANSWER = 64 * 1024
"""Bytes up to which an answer of known length is read whole: one packet, and one that breaks off can be refused."""


class UpstreamCut(Exception):
    """The answer ended before its end."""


async def relay(request: web.Request, serving: Serving, path: str, upstream: Upstream) -> web.StreamResponse:
    """Answer the request with the machine's answer.

    Raises:
        HttpRefusal: nothing has been answered yet.
    """
    body = await RequestBody.of(request)
    headers = _passing(request.headers, REQUEST_HEADERS) | {"X-Request-Id": request[REQUEST_ID]}
    async with upstream.request(serving, request.method, path, headers, body) as answer:
        if answer.status == 401:  # it was our key that the server refused: no fault of the caller's
            log.error("endpoint %s: the model server refuses our key", serving.route.id)
            raise HttpRefusal(
                502, Code.UPSTREAM_BROKEN, "The model server refused the gateway.", retry_after=RETRY_SECONDS
            )
        passing = _passing(answer.headers, RESPONSE_HEADERS)
        if answer.content_length is not None and answer.content_length <= SMALL_ANSWER:
            return web.Response(status=answer.status, headers=passing, body=await _whole(answer))
        return await _streamed(request, serving, answer, passing)


async def _whole(answer: ClientResponse) -> bytes:
    try:
        return await answer.read()
    except (ClientError, OSError) as error:
        raise _BROKE_OFF from error


async def _streamed(
    request: web.Request, serving: Serving, answer: ClientResponse, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    try:
        async for piece in _pieces(answer):
            await response.write(piece)
    except UpstreamCut as cut:
        log.warning("endpoint %s: an answer was cut off: %s", serving.route.id, cut)
        await _cut(request, response)
    return response


def _passing(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


async def _pieces(answer: ClientResponse) -> AsyncIterator[bytes]:
    """What the machine sends. Its failures get a name of their own: the caller's side fails with the same ones."""
    try:
        async for piece in answer.content.iter_any():
            yield piece
    except (ClientError, OSError) as error:
        raise UpstreamCut(type(error).__name__) from error


async def _cut(request: web.Request, response: web.StreamResponse) -> None:
    """End the caller's connection without the mark of a whole answer; an event stream is told why first."""
    if response.content_type == "text/event-stream" and "Content-Encoding" not in response.headers:
        await response.write(error_event(_BROKE_OFF))
    if request.transport is not None:
        request.transport.close()
