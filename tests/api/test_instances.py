"""Instances that somebody works on: made, asked for something, changed. No worker is about to act on what is asked."""

import asyncio
from typing import Any

import asyncssh
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from db.instances.tables import Instance
from db.machines.tables import Lease
from domain.instances.phases import Desired, InstanceStatus
from tests.api.people import Cloud
from tests.patience import becomes

BODY = {"gpu_type": "RTX 3090", "image": "pytorch/pytorch:2.1.2-cuda12.1-cudnn8-runtime", "disk_size": 30}
PUBLIC_KEY = asyncssh.generate_private_key("ssh-ed25519", "me@laptop").export_public_key().decode().strip()


async def make(user: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await user.post("/api/instances", json=BODY | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def put(app: FastAPI, instance_id: int, status: InstanceStatus, desired: Desired) -> None:
    """As its workflow would have written it."""
    async with app.state.app_state.database.begin() as session:
        values = {"status": status, "desired": desired}
        await session.execute(update(Instance).where(Instance.id == instance_id).values(values))


async def desired_of(app: FastAPI, instance_id: int) -> Desired:
    async with app.state.app_state.database.begin() as session:
        instance = await session.get_one(Instance, instance_id)
        return Desired(instance.desired)


async def test_an_instance_has_its_address_at_once_and_for_itself(rita: httpx.AsyncClient) -> None:
    made, other = await make(rita, label="work"), await make(rita)
    assert made["id"] == made["instance_id"]
    assert made["ssh_host"] == made["public_ipaddr"] == "127.0.0.1"
    assert made["ssh_command"] == f"ssh -p {made['ssh_port']} root@127.0.0.1"
    assert made["ssh_host_key"].startswith("ssh-ed25519 ")
    assert made["ssh_host_key"] != other["ssh_host_key"]
    assert made["ssh_port"] != other["ssh_port"]
    assert (made["status"], made["label"], made["disk_space"]) == ("provisioning", "work", 30)
    assert made["image"] == BODY["image"]
    assert made["persist"] == ["/workspace", "/root"]
    shown = (await rita.get(f"/api/instances/{made['id']}")).json()
    assert {name: shown[name] for name in ("ssh_host", "ssh_port", "ssh_host_key")} == {
        name: made[name] for name in ("ssh_host", "ssh_port", "ssh_host_key")
    }


async def test_an_instance_begins_with_the_one_machine_that_was_reserved_for_it(
    app: FastAPI, rita: httpx.AsyncClient
) -> None:
    made = await make(rita)
    async with app.state.app_state.database.begin() as session:
        row = await session.get_one(Instance, made["id"])
        reserved = (await session.scalars(select(Lease.id).where(Lease.holder_id == str(made["id"])))).all()
    assert [row.lease_id] == reserved


async def test_an_instance_without_any_key_says_so(rita: httpx.AsyncClient) -> None:
    assert "ssh-keys" in (await make(rita))["warnings"][0]
    assert (await make(rita, ssh_public_keys=[PUBLIC_KEY]))["warnings"] == []


async def test_the_same_key_makes_one_instance(rita: httpx.AsyncClient) -> None:
    again = {"Idempotency-Key": "once"}
    first = await rita.post("/api/instances", json=BODY, headers=again)
    second = await rita.post("/api/instances", json=BODY, headers=again)
    assert first.json() == second.json()
    assert (await rita.get("/api/instances")).json()["total"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"disk_size": 1},
        {"image": "an image; rm -rf /"},
        {"persist": ["workspace"]},
        {"persist": ["/workspace/../etc"]},
        {"persist": ["/"]},
        {"ssh_public_keys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]},
        {"ssh_public_keys": ["ssh-ed25519 AAAA"]},
        {"env": {"1A": "x"}},
        {"env": {"A": "x" * 300}},
        {"ports": [0]},
        {"onstart_cmd": "x" * 4000},
        {"idle_pause_minutes": 0},
        {"ssh_wake": "sometimes"},
        {"gpu_type": "RTX 9999"},
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(rita: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    answer = await rita.post("/api/instances", json=BODY | wrong)
    assert answer.status_code == 422, answer.text
    assert "PRIVATE KEY" not in answer.text
    assert (await rita.get("/api/instances?all=true")).json()["total"] == 0


async def test_an_environment_is_never_shown_nor_kept_readable(app: FastAPI, rita: httpx.AsyncClient) -> None:
    made = await make(rita, env={"HF_TOKEN": "hf_verysecret"})
    async with app.state.app_state.database.begin() as session:
        row = await session.get_one(Instance, made["id"])
    assert "hf_verysecret" not in str(row.spec)
    assert "hf_verysecret" not in (await rita.get(f"/api/instances/{made['id']}")).text


@pytest.mark.parametrize(
    ("status", "verb", "shown"),
    [
        (InstanceStatus.RUNNING, "pause", "pausing"),
        (InstanceStatus.RUNNING, "hibernate", "pausing"),
        (InstanceStatus.PAUSED, "resume", "resuming"),
        (InstanceStatus.PAUSED, "wake?wait=false", "resuming"),
        (InstanceStatus.HIBERNATED, "wake?wait=false", "resuming"),
        (InstanceStatus.PAUSED, "hibernate", "paused"),
    ],
)
async def test_an_action_is_accepted_with_every_worker_down(
    app: FastAPI, rita: httpx.AsyncClient, status: InstanceStatus, verb: str, shown: str
) -> None:
    made = await make(rita)
    desired = {"running": Desired.RUNNING, "paused": Desired.PAUSED}.get(status.value, Desired.HIBERNATED)
    await put(app, made["id"], status, desired)
    answer = await rita.post(f"/api/instances/{made['id']}/{verb}")
    assert (answer.status_code, answer.json()["status"]) == (202, shown), answer.text
    again = await rita.post(f"/api/instances/{made['id']}/{verb}")
    assert (again.status_code, again.json()["status"]) == (202, shown)
    kinds = [each["kind"] for each in (await rita.get(f"/api/instances/{made['id']}/events")).json()["events"]]
    assert kinds.count(verb.partition("?")[0]) == 1  # said twice, written once


@pytest.mark.parametrize(
    ("status", "desired", "verb"),
    [
        (InstanceStatus.RUNNING, Desired.RUNNING, "resume"),
        (InstanceStatus.RUNNING, Desired.RUNNING, "wake"),
        (InstanceStatus.PAUSED, Desired.PAUSED, "pause"),
        (InstanceStatus.HIBERNATED, Desired.HIBERNATED, "hibernate"),
    ],
)
async def test_asking_for_what_is_already_so(
    app: FastAPI, rita: httpx.AsyncClient, status: InstanceStatus, desired: Desired, verb: str
) -> None:
    made = await make(rita)
    await put(app, made["id"], status, desired)
    answer = await rita.post(f"/api/instances/{made['id']}/{verb}")
    assert (answer.status_code, answer.json()["status"]) == (200, status.value)


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        (InstanceStatus.PROVISIONING, "pause"),
        (InstanceStatus.HIBERNATED, "resume"),
        (InstanceStatus.HIBERNATED, "pause"),
        (InstanceStatus.FAILED, "wake"),
    ],
)
async def test_what_makes_no_sense_is_409_and_says_the_state(
    app: FastAPI, rita: httpx.AsyncClient, status: InstanceStatus, verb: str
) -> None:
    made = await make(rita)
    desired = Desired.HIBERNATED if status is InstanceStatus.HIBERNATED else Desired.RUNNING
    await put(app, made["id"], status, desired)
    if status is InstanceStatus.FAILED:
        await put(app, made["id"], status, Desired.PAUSED)
    answer = await rita.post(f"/api/instances/{made['id']}/{verb}")
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")
    assert status.value in answer.json()["detail"]


async def test_nothing_wakes_what_is_being_destroyed(app: FastAPI, rita: httpx.AsyncClient) -> None:
    made = await make(rita)
    await put(app, made["id"], InstanceStatus.PAUSED, Desired.PAUSED)
    assert (await rita.delete(f"/api/instances/{made['id']}")).status_code == 202
    answer = await rita.post(f"/api/instances/{made['id']}/wake")
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")


async def test_a_wake_is_waited_for_and_many_wait_for_one(app: FastAPI, rita: httpx.AsyncClient) -> None:
    made = await make(rita)
    await put(app, made["id"], InstanceStatus.PAUSED, Desired.PAUSED)
    waiting = [asyncio.create_task(rita.post(f"/api/instances/{made['id']}/wake")) for _ in range(5)]
    await becomes(lambda: desired_of(app, made["id"]), Desired.RUNNING)
    assert not any(each.done() for each in waiting)
    await put(app, made["id"], InstanceStatus.RUNNING, Desired.RUNNING)
    answers = await asyncio.gather(*waiting)
    assert {(each.status_code, each.json()["status"]) for each in answers} == {(200, "running")}
    kinds = [each["kind"] for each in (await rita.get(f"/api/instances/{made['id']}/events")).json()["events"]]
    assert kinds.count("wake") == 1


async def test_a_wake_that_takes_long_answers_202_with_the_same_body(app: FastAPI, rita: httpx.AsyncClient) -> None:
    made = await make(rita)
    await put(app, made["id"], InstanceStatus.PAUSED, Desired.PAUSED)
    answer = await rita.post(f"/api/instances/{made['id']}/wake?wait_seconds=0.2")
    assert (answer.status_code, answer.json()["status"]) == (202, "resuming")
    assert answer.json()["wake_seconds"] is None


async def test_what_can_be_changed(rita: httpx.AsyncClient) -> None:
    made = await make(rita, idle_pause_minutes=5)
    path = f"/api/instances/{made['id']}"
    changed = await rita.patch(path, json={"label": "new name", "ssh_wake": "never", "persist": ["/data/"]})
    assert changed.status_code == 200, changed.text
    body = changed.json()
    assert (body["label"], body["ssh_wake"], body["persist"]) == ("new name", "never", ["/data"])
    assert body["idle_pause_minutes"] == 5
    assert (await rita.patch(path, json={"idle_pause_minutes": None})).json()["idle_pause_minutes"] is None
    assert (await rita.patch(path, json={"idle_pause_minutes": -1})).status_code == 422


async def test_nobody_else_may_act(ana: httpx.AsyncClient, rita: httpx.AsyncClient) -> None:
    made = await make(rita)
    for verb in ("pause", "resume", "wake", "hibernate"):
        assert (await ana.post(f"/api/instances/{made['id']}/{verb}")).status_code == 404
    assert (await ana.patch(f"/api/instances/{made['id']}", json={"label": "mine"})).status_code == 404


async def test_an_instance_costs_no_rent_request_when_it_is_refused(rita: httpx.AsyncClient, cloud: Cloud) -> None:
    before = await cloud.rented()
    assert (await rita.post("/api/instances", json=BODY | {"max_price": 0.0001})).status_code == 409
    assert await cloud.rented() == before
