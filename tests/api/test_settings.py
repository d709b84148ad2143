"""Flow 8: the provider key, the defaults, the balance."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from api.app import create_app
from db.accounts.tables import ProviderKey
from settings import Settings
from tests.api.people import Cloud, client


async def put(user: httpx.AsyncClient, body: dict[str, object], query: str = "") -> httpx.Response:
    return await user.put(f"/api/settings{query}", json=body)


async def test_a_key_is_tried_masked_and_sealed(app: FastAPI, ana: httpx.AsyncClient, cloud: Cloud) -> None:
    key = await cloud.new_key(credit=12.5)
    saved = await put(ana, {"vast_api_key": key})
    assert (saved.status_code, saved.json()["success"], saved.json()["key_status"]) == (200, True, "valid")
    shown = await ana.get("/api/settings")
    assert shown.json()["vast_api_key"] == f"****{key[-4:]}"
    assert key not in shown.text + saved.text
    async with app.state.app_state.database.begin() as session:
        sealed = (await session.scalars(select(ProviderKey.sealed).where(ProviderKey.last4 == key[-4:]))).all()
    assert sealed
    assert not [each for each in sealed if key in each]
    balance = (await ana.get("/api/balance")).json()
    assert set(balance) == {"credit", "balance", "balance_threshold", "email"}
    assert balance["credit"] == 12.5


async def test_masked_is_unchanged_and_null_removes(rita: httpx.AsyncClient) -> None:
    before = (await rita.get("/api/settings")).json()
    assert (await put(rita, {"vast_api_key": before["vast_api_key"]})).json()["key_status"] == "valid"
    assert (await put(rita, {"settings": {}})).json()["key_status"] == "valid"
    assert (await rita.get("/api/settings")).json() == before
    assert (await put(rita, {"vast_api_key": None})).json()["key_status"] is None
    assert (await rita.get("/api/settings")).json()["vast_api_key"] is None


async def test_a_refused_key(ana: httpx.AsyncClient, rita: httpx.AsyncClient) -> None:
    strict = await put(rita, {"vast_api_key": "0" * 64}, "?verify=strict")
    assert (strict.status_code, strict.json()["error"]) == (400, "provider_key_refused")
    assert (await rita.get("/api/settings")).json()["key_status"] == "valid"
    assert (await put(ana, {"vast_api_key": "1" * 64})).json()["key_status"] == "refused"
    for answer in (await ana.get("/api/balance"), await ana.get("/api/instances/offers")):
        assert (answer.status_code, answer.json()["error"]) == (400, "provider_key_refused")


async def test_settings_are_merged_per_name(ana: httpx.AsyncClient) -> None:
    await put(ana, {"settings": {"default_max_price": 0.5, "theme": {"dark": True}}})
    await put(ana, {"settings": {"default_max_price": None, "idle_pause_minutes": 5}})
    assert (await ana.get("/api/settings")).json()["settings"] == {"theme": {"dark": True}, "idle_pause_minutes": 5}


async def test_known_settings_are_kept_as_numbers(ana: httpx.AsyncClient) -> None:
    assert (await put(ana, {"settings": {"default_max_price": "0.5", "mine": "0.5"}})).status_code == 200
    assert (await ana.get("/api/settings")).json()["settings"] == {"default_max_price": 0.5, "mine": "0.5"}


@pytest.mark.parametrize(
    "bad",
    [
        {"idle_pause_minutes": 0},
        {"idle_hibernate_minutes": "soon"},
        {"default_max_price": -1},
        {"default_max_price": True},
        {"spending_cap_per_day": -0.01},
        {"notes": "x" * 70_000},
        {"a": "\0"},
    ],
)
async def test_bad_settings(ana: httpx.AsyncClient, bad: dict[str, object]) -> None:
    answer = await put(ana, {"settings": bad})
    assert answer.status_code == 422
    assert (await ana.get("/api/settings")).json()["settings"] == {}


@pytest.mark.parametrize("key", ["", "short", "with space " * 3, "\0" * 20, "k" * 600, 5])
async def test_what_cannot_be_a_key(ana: httpx.AsyncClient, key: object) -> None:
    assert (await put(ana, {"vast_api_key": key})).status_code == 422


async def test_the_cloud_is_down(rita: httpx.AsyncClient, ana: httpx.AsyncClient, cloud: Cloud) -> None:
    key = await cloud.new_key()
    async with cloud.fault("GET /api/v0/users/current", "status", status=502):
        answer = await rita.get("/api/balance")
        assert (answer.status_code, answer.json()["error"]) == (503, "provider_unavailable")
        assert "Retry-After" in answer.headers
        assert (await put(ana, {"vast_api_key": key})).json()["key_status"] == "unchecked"
        assert (await ana.get("/api/balance")).status_code == 503
    assert (await ana.get("/api/balance")).status_code == 200
    assert (await ana.get("/api/settings")).json()["key_status"] == "valid"


async def test_a_key_is_shared_only_where_the_operator_says_so(settings: Settings, ana: httpx.AsyncClient) -> None:
    app = create_app(settings.model_copy(update={"share_provider_key": False}))
    async with app.router.lifespan_context(app):
        alone = client(app, ana.headers["Authorization"].removeprefix("Bearer "))
        deploy = await alone.post("/api/models/deploy", json={"model": "BAAI/bge-m3"})
        for answer in (deploy, await alone.get("/api/balance"), await alone.get("/api/instances/offers")):
            assert (answer.status_code, answer.json()["error"]) == (400, "provider_key_missing")
    assert (await ana.get("/api/balance")).status_code == 200


async def test_the_account_changes_only_when_nothing_is_rented(
    deployed: tuple[httpx.AsyncClient, dict[str, object]], cloud: Cloud
) -> None:
    refused = await put(deployed[0], {"vast_api_key": await cloud.new_key()})
    assert (refused.status_code, refused.json()["error"]) == (409, "account_in_use")
    assert (await deployed[0].get("/api/balance")).status_code == 200
