"""Lists, ends and timelines of what a user holds. No worker is about, so wishes stay wishes."""

from typing import Any

import httpx
import pytest


async def deploy(user: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    body = {"model": "BAAI/bge-m3", "gpu_type": "RTX 3090", **changes}
    answer = await user.post("/api/models/deploy", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_the_catalogue(ana: httpx.AsyncClient) -> None:
    models = (await ana.get("/api/models")).json()
    assert {each["type"] for each in models["types"]} == {"llm", "speech", "embeddings"}
    fields = {"type", "name", "description", "runtime", "default_port", "gpu_memory_gb", "popular_models"}
    assert set(models["types"][0]) == fields
    assert (models["models"], models["count"]) == ([], 0)
    available = (await ana.get("/api/models/available")).json()
    assert set(available[0]) == {"name", "id", "type", "size", "provider"}
    assert (await ana.get("/api/models/templates")).json()["templates"] == models["types"]


async def test_pages(rita: httpx.AsyncClient) -> None:
    made = [(await deploy(rita))["instance_id"] for _ in range(3)]
    for what, name in (("models", "instance_id"), ("instances", "id")):
        first = (await rita.get(f"/api/{what}?limit=2")).json()
        assert (first["count"], first["total"]) == (2, 3)
        second = (await rita.get(f"/api/{what}?limit=2&cursor={first['next_cursor']}")).json()
        assert second["next_cursor"] is None
        assert [each[name] for each in first[what] + second[what]] == made[::-1]


async def test_an_instance(rita: httpx.AsyncClient) -> None:
    made = await deploy(rita, label="vectors")
    shown = (await rita.get(f"/api/instances/{made['instance_id']}")).json()
    assert shown["id"] == shown["instance_id"] == made["instance_id"]
    assert (shown["status"], shown["gpu_name"], shown["label"]) == ("provisioning", "RTX 3090", "vectors")
    assert shown["created_at"].endswith("Z")
    assert shown["provider_id"] is None


@pytest.mark.parametrize("way", ["POST /api/models/{id}/stop", "DELETE /api/models/{id}", "DELETE /api/instances/{n}"])
async def test_ending(rita: httpx.AsyncClient, way: str) -> None:
    """Accepted with every worker down, said at once, and the same when it is said again."""
    made = await deploy(rita)
    method, path = way.format(id=made["id"], n=made["instance_id"]).split()
    ended = await rita.request(method, path)
    again = await rita.request(method, path)
    assert ended.status_code == 202
    assert again.status_code in (200, 202)
    assert (await rita.get(f"/api/models/{made['id']}")).json()["status"] == "stopped"
    assert (await rita.get(f"/api/instances/{made['instance_id']}")).json()["status"] == "destroying"
    assert (await rita.get("/api/models")).json()["total"] == 0
    assert (await rita.get("/api/instances")).json()["total"] == 0
    assert (await rita.get("/api/models?all=true")).json()["total"] == 1
    assert (await rita.get("/api/instances?status=destroying")).json()["total"] == 1
    assert (await rita.post(f"/api/models/{made['id']}/rotate")).status_code == 409


async def test_no_log_before_there_is_a_machine(rita: httpx.AsyncClient) -> None:
    made = await deploy(rita)
    answer = await rita.get(f"/api/models/{made['id']}/logs")
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")


async def test_events(rita: httpx.AsyncClient) -> None:
    made = await deploy(rita)
    await rita.delete(f"/api/instances/{made['instance_id']}")
    events = (await rita.get(f"/api/instances/{made['instance_id']}/events")).json()
    assert events["events"][0]["kind"] == "destroy"
    assert events["count"] == events["total"] == 1


async def test_rotating(rita: httpx.AsyncClient) -> None:
    made = await deploy(rita, access_type="private")
    turned = (await rita.post(f"/api/models/{made['id']}/rotate")).json()
    assert turned["endpoint"] != made["endpoint"]
    assert turned["api_key"] != made["api_key"]
    assert (await rita.get(f"/api/models/{made['id']}")).json()["endpoint"] == turned["endpoint"]


async def test_health_of_a_model_without_a_gateway(rita: httpx.AsyncClient) -> None:
    made = await deploy(rita)
    health = (await rita.get(f"/api/models/{made['id']}/health")).json()
    assert (health["status"], health["healthy"]) == ("unreachable", False)
