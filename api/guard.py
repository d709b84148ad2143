"""Authentication: by login token or API key, before a body is read."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.accounts.tokens import Claims
from api.app_state import AppState
from api.errors import Unauthorized
from db.accounts.tables import User
from db.accounts.users import user_by_key, user_by_token
from db.sealing import hash_key

API_KEY_PREFIX = "dumont_sk_"


@dataclass(frozen=True)
class Caller:
    """Who asks. `token` or `key_id`: the credential."""

    user: User
    token: Claims | None = None
    key_id: str | None = None

    @property
    def id(self) -> int:
        return self.user.id


def bearer_of(request: Request) -> str:
    """The credential of a request.

    Raises:
        Unauthorized: it has none.
    """
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        raise Unauthorized
    return credential


async def authenticate(request: Request) -> Caller:
    """The caller of a request.

    Raises:
        Unauthorized: the credential is invalid.
    """
    credential = bearer_of(request)
    app_state: AppState = request.app.state.app_state
    if credential.startswith(API_KEY_PREFIX):
        return await _by_key(app_state, credential)
    return await _by_token(app_state, credential)


async def _by_key(app_state: AppState, key: str) -> Caller:
    async with app_state.database.begin() as session:
        found = await user_by_key(session, hash_key(key))
    if found is None:
        raise Unauthorized("This API key is not valid (any more).")
    return Caller(found[0], key_id=found[1])


async def _by_token(app_state: AppState, token: str) -> Caller:
    claims = app_state.tokens.read(token)
    async with app_state.database.begin() as session:
        user = await user_by_token(session, claims.user_id, claims.jti, claims.issued)
    if user is None:
        raise Unauthorized("This token was revoked. Log in again.")
    return Caller(user, token=claims)


async def know(request: Request) -> Caller:
    """The request's caller, looked up once."""
    if not hasattr(request.state, "caller"):
        request.state.caller = await authenticate(request)
    caller: Caller = request.state.caller
    return caller


class Guarded(APIRoute):
    """A route for authenticated callers only."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await know(request)
            return await handle(request)

        return guarded
