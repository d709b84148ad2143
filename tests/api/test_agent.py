"""Flow 7: what machines' agents report, and what owners see of it. No machine is about; the token is the real one."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from api.app import create_app
from db.instances.tables import Instance
from db.machines.lease_tokens import AGENT, VAULT, lease_token
from db.machines.tables import Lease
from domain.instances.phases import InstanceStatus
from domain.machines.phases import LeaseState
from domain.workflow_contracts import machine_workflow_id
from settings import Settings
from tests.api.people import client
from tests.api.test_held import deploy

BODY: dict[str, Any] = {
    "agent": "dumont",
    "version": "1",
    "instance_id": 424242,
    "status": "idle",
    "timestamp": "1999-01-01T00:00:00Z",
    "gpu_metrics": {
        "utilization": 42,
        "gpu_names": ["RTX 3090"],
        "gpu_memory_used": [10],
        "gpu_memory_total": [24_576],
    },
    "busy": [],
    "observed_seconds": 2,
}


async def lease_id_of(app: FastAPI, instance_id: int) -> str:
    async with app.state.app_state.database.begin() as session:
        found = await session.scalar(select(Instance.lease_id).where(Instance.id == instance_id))
    return str(found)


@pytest.fixture
async def held(app: FastAPI, rita: httpx.AsyncClient) -> tuple[int, str]:
    """An instance of rita's and its lease."""
    number = int((await deploy(rita))["instance_id"])
    return number, await lease_id_of(app, number)


@pytest.fixture
async def agent(app: FastAPI, held: tuple[int, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with client(app, lease_token(app.state.app_state.sealer, held[1], AGENT)) as agent:
        yield agent


async def test_a_report_is_kept_under_the_tokens_instance(
    rita: httpx.AsyncClient, agent: httpx.AsyncClient, held: tuple[int, str]
) -> None:
    answer = await agent.post("/api/v1/agent/status", json=BODY)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"received": True, "instance_id": held[0], "action": "none", "message": ""}
    (shown,) = (await rita.get("/api/agent/instances")).json()
    assert set(shown) == {
        *("instance_id", "status", "gpu_utilization"),
        *("last_seen", "idle_since", "will_hibernate_at"),
    }
    assert (shown["instance_id"], shown["gpu_utilization"]) == (held[0], 42)
    assert not shown["last_seen"].startswith("1999")
    assert (await rita.get(f"/api/instances/{held[0]}")).json()["gpu_util"] == 42


async def test_the_shortest_report_that_the_contract_knows(agent: httpx.AsyncClient) -> None:
    body = {"agent": "mine", "instance_id": "12", "status": "running", "gpu_utilization": 3.5}
    assert (await agent.post("/api/agent/status/", json=body)).status_code == 200


async def test_agents_of_others_are_not_shown(ana: httpx.AsyncClient, agent: httpx.AsyncClient) -> None:
    await agent.post("/api/agent/status", json=BODY)
    assert (await ana.get("/api/agent/instances")).json() == []


async def test_whose_token_it_is_not(app: FastAPI, ana: httpx.AsyncClient, held: tuple[int, str]) -> None:
    sealer = app.state.app_state.sealer
    for token in ("nonsense", lease_token(sealer, held[1], VAULT), lease_token(sealer, "lease_" + "a" * 16, AGENT)):
        async with client(app, token) as stranger:
            answer = await stranger.post("/api/agent/status", json=BODY)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await stranger.get("/api/agent/instances")).status_code == 401
    assert (await ana.post("/api/agent/status", json=BODY)).status_code == 401


@pytest.mark.parametrize("state", [LeaseState.RELEASING, LeaseState.CLOSED])
async def test_a_token_dies_with_its_lease(
    app: FastAPI, agent: httpx.AsyncClient, held: tuple[int, str], state: LeaseState
) -> None:
    assert (await agent.post("/api/agent/status", json=BODY)).status_code == 200
    async with app.state.app_state.database.begin() as session:
        await session.execute(update(Lease).where(Lease.id == held[1]).values(state=state))
    assert (await agent.post("/api/agent/status", json=BODY)).status_code == 401


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b'{"busy": 5}', 422),
        (b'{"gpu_metrics": {"utilization": 1e999}}', 422),
        (b'{"version": "\\u0000"}', 422),
        (b'{"busy": [{"command": "\\ud800"}]}', 422),
        (b'{"x": "' + b"a" * 100_000 + b'"}', 413),
    ],
)
async def test_garbage_from_a_machine(agent: httpx.AsyncClient, content: bytes, status: int) -> None:
    answer = await agent.post("/api/agent/status", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text


async def test_the_pause_is_announced_unless_something_works(
    app: FastAPI, agent: httpx.AsyncClient, held: tuple[int, str]
) -> None:
    await agent.post("/api/agent/status", json=BODY)
    async with app.state.app_state.database.begin() as session:
        soon = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, 30)
        values = {"status": InstanceStatus.RUNNING, "will_pause_at": soon}
        await session.execute(update(Instance).where(Instance.id == held[0]).values(values))
    idle = BODY | {"gpu_metrics": {"utilization": 0}}
    told = (await agent.post("/api/agent/status", json=idle)).json()
    assert (told["action"], "pauses at" in told["message"]) == ("prepare_hibernate", True)
    assert (await agent.post("/api/agent/status", json=BODY)).json()["action"] == "none"


async def signals(app: FastAPI, lease_id: str) -> list[dict[str, Any]]:
    """What the machine's workflow was told by `seen`; no worker is about to act on it."""
    handle = app.state.app_state.temporal.get_workflow_handle(machine_workflow_id(lease_id))
    events = (await handle.fetch_history()).to_json_dict()["events"]
    told = [
        each["workflowExecutionSignaledEventAttributes"] for each in events if each["eventType"].endswith("SIGNALED")
    ]
    return [
        json.loads(b64decode(each["input"]["payloads"][0]["data"])) for each in told if each["signalName"] == "seen"
    ]


async def test_the_first_word_of_an_awaited_machine_goes_to_its_workflow_at_once(
    app: FastAPI, agent: httpx.AsyncClient, held: tuple[int, str]
) -> None:
    async with app.state.app_state.database.begin() as session:
        await session.execute(update(Lease).where(Lease.id == held[1]).values(state=LeaseState.RENTED))
    here = {"boot_id": "b1", "public_ipaddr": "9.8.7.6", "ports": {"22/tcp": 40022}}
    for _ in range(3):
        assert (await agent.post("/api/agent/status", json=BODY | here)).status_code == 200
    (told,) = await signals(app, held[1])
    assert (told["state"], told["public_ipaddr"], told["ports"]) == ("up", "9.8.7.6", {"22/tcp": 40022})


async def test_a_report_is_kept_while_temporal_is_away(settings: Settings, held: tuple[int, str]) -> None:
    app = create_app(settings.model_copy(update={"temporal_address": "127.0.0.1:9"}))
    async with app.router.lifespan_context(app):
        async with app.state.app_state.database.begin() as session:
            await session.execute(update(Lease).where(Lease.id == held[1]).values(state=LeaseState.STARTING))
        async with client(app, lease_token(app.state.app_state.sealer, held[1], AGENT)) as agent:
            assert (await agent.post("/api/agent/status", json=BODY | {"boot_id": "b9"})).status_code == 200


async def test_keeping_it_awake(rita: httpx.AsyncClient, held: tuple[int, str]) -> None:
    path = f"/api/instances/{held[0]}/keep-awake"
    kept = await rita.post(path, json={"minutes": 90})
    assert kept.status_code == 202, kept.text
    until = kept.json()["keep_awake_until"]
    assert until is not None
    assert (await rita.get(f"/api/instances/{held[0]}")).json()["keep_awake_until"] == until
    assert (await rita.post(path, json={"minutes": 0})).json()["keep_awake_until"] is None
    events = (await rita.get(f"/api/instances/{held[0]}/events")).json()["events"]
    assert [each["text"] for each in events[:2]] == ["Not kept awake any longer.", "Kept awake for 90 minutes."]


@pytest.mark.parametrize("minutes", [-1, 1e9, "soon", None, True])
async def test_how_long_it_cannot_be_kept_awake(
    rita: httpx.AsyncClient, held: tuple[int, str], minutes: object
) -> None:
    assert (await rita.post(f"/api/instances/{held[0]}/keep-awake", json={"minutes": minutes})).status_code == 422


async def test_what_is_over_cannot_be_kept_awake(app: FastAPI, rita: httpx.AsyncClient, held: tuple[int, str]) -> None:
    async with app.state.app_state.database.begin() as session:
        over = update(Instance).where(Instance.id == held[0]).values(status=InstanceStatus.FAILED)
        await session.execute(over)
    answer = await rita.post(f"/api/instances/{held[0]}/keep-awake", json={"minutes": 5})
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")


async def test_a_file_on_the_machine_keeps_it_awake_too(
    rita: httpx.AsyncClient, agent: httpx.AsyncClient, held: tuple[int, str]
) -> None:
    await agent.post("/api/agent/status", json=BODY | {"keep_awake_seconds": 600})
    assert (await rita.get(f"/api/instances/{held[0]}")).json()["keep_awake_until"] is not None
