"""Users of the api under test."""

import itertools
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from pwdlib import PasswordHash

from db.accounts.users import add_user
from tests import plain_http

PASSWORD = "correct horse"  # noqa: S105
PASSWORD_HASH = PasswordHash.recommended().hash(PASSWORD)
_numbers = itertools.count(1)


def client(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    """Speaks to the app as a server would; a crash in it is a 500, as for everybody."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(f"10.0.0.{next(_numbers) % 250}", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://dumont", headers=headers)


async def new_user(app: FastAPI) -> httpx.AsyncClient:
    """Somebody who came in just now. Written straight to the tables: a hundred registrations are a hundred argon2."""
    parts, email = app.state.app_state, f"user{secrets.token_hex(4)}@example.com"
    async with parts.database.begin() as session:
        user = await add_user(session, email, None, PASSWORD_HASH)
    assert user is not None
    return client(app, parts.tokens.issue(user.id, user.tokens_valid_from))


class Cloud:
    """The simulator's back door."""

    def __init__(self, url: str) -> None:
        self._http = plain_http.AsyncClient(base_url=url)

    async def new_key(self, credit: float = 100.0) -> str:
        """The key of a fresh account."""
        key = secrets.token_hex(32)
        made = await self._http.post("/simulator/accounts", json={"api_key": key, "credit": credit})
        assert made.is_success, made.text
        return key

    @asynccontextmanager
    async def fault(self, endpoint: str, fault: str, **more: Any) -> AsyncIterator[None]:
        made = await self._http.post("/simulator/faults", json={"endpoint": endpoint, "fault": fault, **more})
        assert made.is_success, made.text
        try:
            yield
        finally:
            await self._http.delete("/simulator/faults")

    async def rented(self) -> int:
        """How often anybody asked to rent."""
        count: int = (await self._http.get("/simulator/books")).json()["rent_requests"]
        return count

    async def close(self) -> None:
        await self._http.aclose()


async def renter(app: FastAPI, cloud: Cloud, credit: float = 100.0) -> httpx.AsyncClient:
    """A user with a cloud account of their own."""
    user = await new_user(app)
    saved = await user.put("/api/settings", json={"vast_api_key": await cloud.new_key(credit)})
    assert saved.json()["key_status"] == "valid", saved.text
    return user
