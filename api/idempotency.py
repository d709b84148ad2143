"""`Idempotency-Key`: POSTs that start something give the same answer to the same request for a day."""

import hashlib
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from api.app_state import AppState
from api.errors import Conflict, Invalid
from api.guard import Guarded, know
from db.idempotency import Claim, answered, keep, take
from db.sealing import Sealer
from db.tables import Idempotency

HEADER = "Idempotency-Key"
_PURPOSE = "idempotent-answer"
_MAX_LENGTH = 255


class AnsweredMeanwhile(Exception):
    """Another request with this key was answered in the meantime; this one gets the same answer."""


class Once:
    """The key of a request. The handler calls `claim` first and `keep` last, both inside its one transaction."""

    def __init__(self, claim: Claim | None, sealer: Sealer) -> None:
        self._claim, self._sealer = claim, sealer

    async def claim(self, session: AsyncSession) -> None:
        if self._claim is not None and not await take(session, self._claim):
            raise AnsweredMeanwhile

    async def keep(self, session: AsyncSession, status_code: int, answer: BaseModel) -> None:
        """Answers may show a key, so they are sealed."""
        if self._claim is not None:
            sealed = self._sealer.seal(answer.model_dump_json(), _PURPOSE)
            await keep(session, self._claim, status_code, {"sealed": sealed})


class Starting(Guarded):
    """A guarded route that supports the key. If the handler never claims it, the key has no effect."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def starting(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None:
                return await handle(request)
            claim = await _claim(request, key)
            request.state.claim = claim
            try:
                return await _kept(request, claim) or await handle(request)
            except AnsweredMeanwhile:
                return await _kept(request, claim) or await handle(request)

        return starting


async def _claim(request: Request, key: str) -> Claim:
    if not key.isascii() or not key.isprintable() or not 0 < len(key) <= _MAX_LENGTH:
        raise Invalid("invalid", HEADER, f"1 to {_MAX_LENGTH} printable ASCII characters", place="header")
    caller = await know(request)
    named = [request.scope["route"].name, *(value for _, value in sorted(request.path_params.items()))]
    return Claim(caller.id, " ".join(named), key, _digest(await request.body()))


def _digest(body: bytes) -> str:
    """A digest that does not depend on the spacing and key order of JSON."""
    with suppress(ValueError, RecursionError):  # not JSON: hash the bytes as they are; the handler will reject them
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest()


async def _kept(request: Request, claim: Claim) -> Response | None:
    app_state: AppState = request.app.state.app_state
    async with app_state.database.begin() as session:
        found = await answered(session, claim)
    if found is None:
        return None
    if found.body_hash != claim.body_hash:
        raise Conflict("idempotency_key_reused", f"This {HEADER} was used with another body. Use a new one.")
    return _again(found, app_state.sealer)


def _again(found: Idempotency, sealer: Sealer) -> Response:
    answer = json.loads(sealer.open((found.answer or {})["sealed"], _PURPOSE))
    return JSONResponse(answer, found.status_code or 200, {"Idempotent-Replayed": "true"})


async def _once(
    request: Request,
    _: Annotated[
        str | None, Header(alias=HEADER, description="The same key and body: the same answer, for 24 h.")
    ] = None,
) -> Once:
    app_state: AppState = request.app.state.app_state
    return Once(getattr(request.state, "claim", None), app_state.sealer)


OnlyOnce = Annotated[Once, Depends(_once)]
