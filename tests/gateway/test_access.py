"""Who may call an endpoint, and what the others are told."""

import asyncio
import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import openai
import pytest
from sqlalchemy import select

from db.accounts.tables import ApiKey, RevokedToken, User
from db.accounts.users import delete_api_key, revoke_token
from domain.ids import new_id
from gateway.http import access
from tests.gateway.asking import ask
from tests.gateway.conftest import Gateway, gateway_on
from tests.gateway.machine import Machine
from tests.gateway.rows import Rows


def _token(rows: Rows, **changes: Any) -> str:
    now = time.time()
    claims = {"sub": str(rows.user_id), "jti": secrets.token_hex(8), "iat": now + 1, "exp": now + 60} | changes
    return jwt.encode(claims, rows.sealer.signing_keys[0], algorithm="HS256")


async def _api_key(rows: Rows, user_id: int) -> str:
    key = "dumont_sk_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()
    async with rows.database.begin() as session:
        session.add(ApiKey(id=new_id("key"), user_id=user_id, name="test", key_hash=digest, hint="…"))
    return key


async def test_a_public_endpoint_asks_nobody(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    assert await ask(gateway, await rows.published(machine)) == 200


async def test_a_private_endpoint_opens_to_its_key_and_its_owner(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    path = await rows.published(machine, key="dumont_ep_key")
    good = ["dumont_ep_key", await _api_key(rows, rows.user_id), _token(rows), _token(rows, aud="dumont")]
    assert [await ask(gateway, path, token) for token in good] == [200] * len(good)


async def test_a_private_endpoint_stays_shut_to_all_others(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine, key="dumont_ep_key")
    stranger = Rows(rows.database)
    await stranger.begin()
    bad = [
        None,
        "dumont_ep_kez",
        "dumont_sk_" + "x" * 43,
        await _api_key(rows, stranger.user_id),
        _token(stranger),
        _token(rows, exp=time.time() - 1),
        _token(rows, aud="somewhere else"),
        _token(rows, iat=time.time() - 3600),  # from before the user's tokens began to count
        jwt.encode(
            {"sub": str(rows.user_id), "jti": "j", "iat": 1, "exp": 9e9}, "another secret" * 4, algorithm="HS256"
        ),
        "é" * 100,
    ]
    assert [await ask(gateway, path, token) for token in bad] == [401] * len(bad)
    assert machine.requests == []
    async with gateway.http.get(gateway.at(path, "/health")) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await answer.json())["error"] == "unauthorized"
    with pytest.raises(openai.AuthenticationError):
        await gateway.openai(path, "wrong").models.list()


async def test_a_revoked_login_is_over(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine, key="secret")
    token = _token(rows, jti="revoked-" + path)
    async with rows.database.begin() as session:
        session.add(RevokedToken(jti="revoked-" + path, expires_at=datetime.now(UTC) + timedelta(hours=1)))
    assert await ask(gateway, path, token) == 401
    async with rows.database.begin() as session:
        user = await session.get(User, rows.user_id)
        assert user is not None
        user.tokens_valid_from = datetime.now(UTC) + timedelta(hours=1)
    assert await ask(gateway, path, _token(rows)) == 401


async def refused_soon(gateway: Gateway, path: str, token: str) -> None:
    """Long before what is remembered would be looked up again by itself."""
    async with asyncio.timeout(access.REMEMBERED_SECONDS / 3):
        while True:
            if await ask(gateway, path, token) == 401:
                return
            await asyncio.sleep(0.05)


async def test_what_is_revoked_is_forgotten_at_once(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine, key="secret")
    key, first, second = await _api_key(rows, rows.user_id), _token(rows, jti=path), _token(rows)
    for credential in (key, first, second):
        assert await ask(gateway, path, credential) == 200
    async with rows.database.begin() as session:
        await revoke_token(session, path, datetime.now(UTC) + timedelta(hours=1))
    await refused_soon(gateway, path, first)
    async with rows.database.begin() as session:
        key_id = await session.scalar(select(ApiKey.id).where(ApiKey.user_id == rows.user_id))
        assert key_id is not None
        assert await delete_api_key(session, rows.user_id, key_id)
    await refused_soon(gateway, path, key)
    assert await ask(gateway, path, second) == 200


async def test_a_public_endpoint_has_a_rate(
    database_url: str, rows: Rows, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "PUBLIC_REQUESTS_PER_SECOND", 0.001)
    monkeypatch.setattr(access, "PUBLIC_BURST", 10.0)
    path, other = await rows.published(machine), await rows.published(machine)
    async with gateway_on(database_url) as gateway:
        assert [await ask(gateway, path) for _ in range(12)] == [200] * 10 + [429] * 2
        assert await ask(gateway, other) == 200
