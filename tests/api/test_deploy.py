"""Flow 1: `POST /models/deploy`, with no worker about: the wish is written, and started in Temporal."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings
from tests.api.people import Cloud, client, renter

SMALL = {"model_type": "llm", "model_id": "Qwen/Qwen2.5-0.5B-Instruct", "gpu_type": "RTX 4090", "max_price": 0.80}


async def deploy(user: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await user.post("/api/models/deploy", json=SMALL | changes)


async def made_nothing(user: httpx.AsyncClient) -> bool:
    everything = [(await user.get(f"/api/{what}?all=true")).json()["total"] for what in ("models", "instances")]
    return everything == [0, 0]


async def test_the_answer(app: FastAPI, rita: httpx.AsyncClient, settings: Settings) -> None:
    answer = await deploy(rita)
    assert answer.status_code == 201
    body = answer.json()
    assert body["id"] == body["deployment_id"] == body["deploy_id"]
    assert isinstance(body["instance_id"], int)
    assert (body["success"], body["status"], body["access_type"], body["api_key"]) == (
        True,
        "deploying",
        "public",
        None,
    )
    assert body["endpoint"] == body["endpoint_url"]
    assert body["endpoint"].startswith(f"{settings.gateway_url}/e/")
    assert len(body["endpoint"].rsplit("/", 1)[1]) >= 22
    for workflow in (body["workflow_id"], f"instance-{body['instance_id']}"):
        described = await app.state.app_state.temporal.get_workflow_handle(workflow).describe()
        assert described.status.name == "RUNNING"


async def test_the_status_while_no_worker_answers(rita: httpx.AsyncClient) -> None:
    made = (await deploy(rita)).json()
    status = (await rita.get(f"/api/models/{made['id']}/status")).json()
    assert (status["status"], status["stage"], status["source"]) == ("deploying", "provisioning", "record")
    assert 0 <= status["progress"] <= 100
    assert status["phase_timings_ms"] == {}
    assert [each["outcome"] for each in status["offers_tried"]] == ["pending"]
    assert status["offers_tried"][0]["reason"]
    assert status["dph_total"] <= 0.8
    by_instance = await rita.get(f"/api/models/{made['instance_id']}")
    assert by_instance.json()["id"] == made["id"]


async def test_aliases_and_guesses(rita: httpx.AsyncClient) -> None:
    body = {"model": "BAAI/bge-large-en-v1.5", "gpu_name": "rtx_3090", "name": "ears", "access_type": "private"}
    made = (await rita.post("/api/models/deploy", json=body)).json()
    assert made["api_key"].startswith("dumont_ep_")
    shown = await rita.get(f"/api/models/{made['id']}")
    assert (shown.json()["model_type"], shown.json()["label"]) == ("embeddings", "ears")
    assert made["api_key"] not in shown.text


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"gpu_type": "RTX 9999"}, 422, "unknown_gpu"),
        ({"max_price": 0.001}, 409, "no_offers"),
        ({"offer_id": 1, "gpu_type": None}, 409, "offer_gone"),
        ({"model_id": "meta-llama/Llama-3.1-70B-Instruct"}, 422, "model_too_large"),
        ({"model_type": "film"}, 422, "invalid"),
        ({"model_id": "--trust-remote-code"}, 422, "invalid"),
        ({"model_id": "../../etc/passwd"}, 422, "invalid"),
        ({"max_price": 0}, 422, "invalid"),
        ({"max_price": "free"}, 422, "invalid"),
        ({"max_price": True}, 422, "invalid"),
        ({"num_gpus": True}, 422, "invalid"),
        ({"num_gpus": 0}, 422, "invalid"),
        ({"port": 22}, 422, "invalid"),
        ({"env": {"A B": "x"}}, 422, "invalid"),
        ({"auto_pause_minutes": 3}, 422, "invalid"),
    ],
)
async def test_refusals(rita: httpx.AsyncClient, cloud: Cloud, changes: dict[str, Any], status: int, code: str) -> None:
    answer = await deploy(rita, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert await made_nothing(rita)


async def test_refusals_say_what_would_help(rita: httpx.AsyncClient) -> None:
    dear = (await deploy(rita, max_price=0.001)).json()["detail"]
    assert "cheapest" in dear
    assert "USD/h" in dear
    large = (await deploy(rita, model_id="Qwen/Qwen2.5-32B-Instruct")).json()["detail"][0]["msg"]
    assert "79.7 GB" in large
    assert "would do" in large


async def test_no_money(app: FastAPI, cloud: Cloud) -> None:
    poor = await renter(app, cloud, credit=0.01)
    answer = await deploy(poor)
    assert (answer.status_code, answer.json()["error"]) == (402, "balance_too_low")
    assert await made_nothing(poor)


async def test_the_spending_cap(rita: httpx.AsyncClient) -> None:
    await rita.put("/api/settings", json={"settings": {"spending_cap_per_day": 0.1}})
    answer = await deploy(rita)
    assert (answer.status_code, answer.json()["error"]) == (402, "spending_cap")
    assert await made_nothing(rita)


async def test_the_users_own_price_limit(rita: httpx.AsyncClient) -> None:
    await rita.put("/api/settings", json={"settings": {"default_max_price": 0.001}})
    assert (await deploy(rita, max_price=None)).json()["error"] == "no_offers"


async def test_one_offer_only(rita: httpx.AsyncClient) -> None:
    offer = (await rita.get("/api/instances/offers?gpu_name=RTX 3090&limit=5")).json()["offers"][-1]
    made = await deploy(rita, gpu_type=None, offer_id=offer["id"], max_price=None)
    assert made.status_code == 201
    status = (await rita.get(f"/api/models/{made.json()['id']}/status")).json()
    assert [each["offer_id"] for each in status["offers_tried"]] == [offer["id"]]


async def test_temporal_is_down(settings: Settings, rita: httpx.AsyncClient) -> None:
    app = create_app(settings.model_copy(update={"temporal_address": "127.0.0.1:9"}))
    async with app.router.lifespan_context(app):
        other = client(app, rita.headers["Authorization"].removeprefix("Bearer "))
        answer = await deploy(other)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporal_unavailable")
        assert "Retry-After" in answer.headers
        assert await made_nothing(other)


async def test_temporal_is_down_later(settings: Settings, rita: httpx.AsyncClient) -> None:
    made = (await deploy(rita)).json()
    app = create_app(settings.model_copy(update={"temporal_address": "127.0.0.1:9"}))
    async with app.router.lifespan_context(app):
        other = client(app, rita.headers["Authorization"].removeprefix("Bearer "))
        assert (await other.get(f"/api/models/{made['id']}/status")).json()["source"] == "record"
        assert (await other.delete(f"/api/models/{made['id']}")).status_code == 202


async def test_the_same_key_is_the_same_deploy(rita: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    body = SMALL | {"access_type": "private"}
    both = [rita.post(path, json=body, headers=key) for path in ("/api/models/deploy", "/api/v1/models/deploy/")]
    first, second = await asyncio.gather(*both)
    third = await rita.post("/api/models/deploy", json=dict(reversed(body.items())), headers=key)
    assert first.json() == second.json() == third.json()
    assert {first.status_code, second.status_code, third.status_code} == {201}
    assert (await rita.get("/api/models")).json()["total"] == 1
    other = await rita.post("/api/models/deploy", json=SMALL, headers=key)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_reused")


async def test_refusals_are_not_kept(rita: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "two"}
    await rita.put("/api/settings", json={"settings": {"spending_cap_per_day": 0}})
    assert (await rita.post("/api/models/deploy", json=SMALL, headers=key)).status_code == 402
    await rita.put("/api/settings", json={"settings": {"spending_cap_per_day": None}})
    assert (await rita.post("/api/models/deploy", json=SMALL, headers=key)).status_code == 201
