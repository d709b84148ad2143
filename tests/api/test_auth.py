"""Flow 8: coming in and going out."""

import asyncio

import httpx
import jwt
import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings
from tests.api.people import PASSWORD, client, new_user

pytestmark = pytest.mark.asyncio


async def email_of(user: httpx.AsyncClient) -> str:
    email: str = (await user.get("/api/auth/me")).json()["user"]["email"]
    return email


async def login(app: FastAPI, email: str, password: str = PASSWORD) -> httpx.Response:
    async with client(app) as nobody:
        return await nobody.post("/api/auth/login", json={"email": email, "password": password})


async def test_register_and_log_in(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    body = {"username": " New.Person@Example.COM ", "password": "secret", "name": "New", "unknown": 1}
    made = await nobody.post("/api/v1/auth/register/", json=body)
    assert made.status_code == 201
    answer = made.json()
    assert answer["success"] is True
    assert answer["user"]["email"] == "new.person@example.com"
    assert (answer["token"], answer["token_type"]) == (answer["access_token"], "bearer")
    assert answer["expires_in"] >= 24 * 3600
    assert (await nobody.post("/api/auth/register", json=body)).status_code == 409
    again = await login(app, "NEW.person@example.com", "secret")
    assert (again.status_code, set(again.json())) == (200, set(answer))


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "@b.de", "a b@c.de", "a@b", "a@b..de", "a\0@b.de", "a@b.de" * 100, 7, None]
)
async def test_bad_addresses(nobody: httpx.AsyncClient, email: object) -> None:
    answer = await nobody.post("/api/auth/register", json={"email": email, "password": "secret"})
    assert answer.status_code == 422


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, None, 123456])
async def test_bad_passwords(nobody: httpx.AsyncClient, password: object) -> None:
    answer = await nobody.post("/api/auth/register", json={"email": "pw@example.com", "password": password})
    assert answer.status_code == 422


async def test_wrong_logins_look_alike(app: FastAPI, ana: httpx.AsyncClient) -> None:
    wrong, unknown = await login(app, await email_of(ana), "wrong one"), await login(app, "nobody@example.com")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json() == unknown.json()


async def test_too_many_failures(app: FastAPI, ana: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
    email = await email_of(ana)
    bad = {"email": email, "password": "guess"}
    answers = await asyncio.gather(*(nobody.post("/api/auth/login", json=bad) for _ in range(14)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 4
    refused = await nobody.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 301
    assert (await login(app, email)).status_code == 200, "another address is not kept out"


async def test_logout_revokes_this_token_only(app: FastAPI, ana: httpx.AsyncClient) -> None:
    other = client(app, (await ana.post("/api/auth/refresh")).json()["token"])
    assert (await ana.post("/api/auth/logout")).status_code == 200
    assert (await ana.get("/api/auth/me")).status_code == 401
    assert (await other.get("/api/auth/me")).status_code == 200


async def test_a_new_password_voids_old_tokens(app: FastAPI, ana: httpx.AsyncClient) -> None:
    email = await email_of(ana)
    assert (await ana.post("/api/auth/password", json={"old": "not it", "new": "something"})).status_code == 403
    changed = await ana.post("/api/auth/password", json={"old": PASSWORD, "new": "something"})
    assert changed.status_code == 200
    assert (await ana.get("/api/auth/me")).status_code == 401
    assert (await client(app, changed.json()["token"]).get("/api/auth/me")).status_code == 200
    assert (await login(app, email)).status_code == 401
    assert (await login(app, email, "something")).status_code == 200


async def test_forged_tokens(app: FastAPI, ana: httpx.AsyncClient) -> None:
    token = ana.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    for forged in (jwt.encode(claims, "k" * 32), jwt.encode(claims, "", algorithm="none"), token[:-2]):
        assert (await client(app, forged).get("/api/auth/me")).status_code == 401


async def test_api_keys(app: FastAPI, ana: httpx.AsyncClient) -> None:
    made = (await ana.post("/api/auth/keys", json={"name": "laptop"})).json()
    assert made["key"].startswith("dumont_sk_")
    assert len(made["key"]) == len("dumont_sk_") + 43
    listed = await ana.get("/api/auth/keys")
    assert made["key"] not in listed.text
    assert [key["id"] for key in listed.json()["keys"]] == [made["id"]]
    machine = client(app, made["key"])
    assert (await machine.get("/api/auth/me")).status_code == 200
    assert (await machine.post("/api/auth/refresh")).status_code == 403
    assert (await ana.delete(f"/api/auth/keys/{made['id']}")).status_code == 200
    assert (await machine.get("/api/auth/me")).status_code == 401
    assert (await ana.delete(f"/api/auth/keys/{made['id']}")).status_code == 404


async def test_registration_can_be_closed(settings: Settings) -> None:
    closed = create_app(settings.model_copy(update={"registration_open": False}))
    async with closed.router.lifespan_context(closed), client(closed) as nobody:
        answer = await nobody.post("/api/auth/register", json={"email": "late@example.com", "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]) == (403, "registration_closed")


async def test_a_local_installation_has_a_demo_login(app: FastAPI, settings: Settings) -> None:
    """Also when several replicas start at once."""
    replicas = [create_app(settings) for _ in range(3)]
    await asyncio.gather(*(_start(replica) for replica in replicas))
    await app.state.app_state.prepared.wait()
    answer = await login(app, settings.demo_email, settings.demo_password.get_secret_value())
    assert answer.status_code == 200


async def _start(app: FastAPI) -> None:
    async with app.router.lifespan_context(app):
        await new_user(app)
