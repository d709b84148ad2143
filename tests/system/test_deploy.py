"""The main job: one REST call, and a model answers."""

import openai
import pytest

from domain.machines.labels import parse_label
from tests.system.running import CHECKLIST_BODY, MODEL, Running, until


async def test_one_call_deploys_a_model_that_the_openai_client_can_use(system: Running) -> None:
    deployment = await system.deploy()
    assert deployment["status"] == "deploying"
    assert isinstance(deployment["instance_id"], int)
    status = await system.ready(deployment["id"])
    assert status["progress"] == 100
    assert [each["outcome"] for each in status["offers_tried"]] == ["working"]
    async with openai.AsyncOpenAI(base_url=f"{deployment['endpoint']}/v1", api_key="none", max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == [MODEL]
        said = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}])
        assert said.choices[0].message.content
        stream = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert len(pieces) > 2


async def test_a_ready_deploy_holds_exactly_one_machine_with_our_label_and_a_stopped_one_none(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    (machine,) = await system.alive(1)
    assert parse_label(machine["label"]) is not None
    await system.stop(deployment["id"])
    assert (await system.status(deployment["id"]))["status"] == "stopped"
    await system.alive(0)

    async def closed() -> bool | None:
        return (await system.api.get(deployment["endpoint"] + "/v1/models")).status_code == 404 or None

    await until(closed, 10, "the gateway to have been told")


async def test_stopping_in_the_middle_leaves_nothing_rented(system: Running) -> None:
    await system.fault("machine:model_server", "never_healthy")
    deployment = await system.deploy()
    await system.alive(1)
    await system.stop(deployment["id"])
    assert (await system.status(deployment["id"]))["status"] == "stopped"
    await system.alive(0)


async def test_the_same_idempotency_key_deploys_once(system: Running) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await system.api.post("/models/deploy", json=CHECKLIST_BODY, headers=headers)
    again = await system.api.post("/models/deploy", json=CHECKLIST_BODY, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    await system.ready(first.json()["id"])
    await system.alive(1)


@pytest.mark.long
async def test_two_deploys_take_two_offers(system: Running) -> None:
    deployments = [await system.deploy() for _ in range(2)]
    for deployment in deployments:
        await system.ready(deployment["id"])
    machines = await system.alive(2)
    assert len({machine["offer_id"] for machine in machines}) == 2


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"gpu_type": "RTX 9999"}, 422, None),
        ({"max_price": 0.01}, 409, "no_offers"),
        ({"max_price": "cheap"}, 422, None),
        ({"max_price": -1}, 422, None),
        ({"num_gpus": 0}, 422, None),
        ({"model_id": ""}, 422, None),
        ({"model_id": "meta-llama/Llama-3.1-70B-Instruct"}, 422, None),
        ({"offer_id": 999_999_999}, 409, "offer_gone"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason_and_nothing_is_rented(
    system: Running, change: dict[str, object], status: int, error: str | None
) -> None:
    answer = await system.api.post("/models/deploy", json=CHECKLIST_BODY | change)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert error is None or answer.json()["error"] == error
    assert await system.machines() == []


async def test_a_spending_cap_is_kept(system: Running) -> None:
    await system.api.put("/settings", json={"settings": {"spending_cap_per_day": 0.1}})
    answer = await system.api.post("/models/deploy", json=CHECKLIST_BODY)
    assert (answer.status_code, answer.json()["error"]) == (402, "spending_cap")
    assert await system.machines() == []


async def test_without_balance_nothing_is_rented(system: Running) -> None:
    poor = await system.simulator.post("/simulator/accounts", json={"api_key": "b" * 64, "credit": 0.0})
    assert poor.status_code in (200, 201), poor.text
    saved = await system.api.put("/settings", json={"vast_api_key": "b" * 64})
    assert saved.json()["key_status"] == "valid"
    answer = await system.api.post("/models/deploy", json=CHECKLIST_BODY)
    assert answer.status_code == 402, answer.text
    assert await system.machines() == []


async def test_a_refused_key_stops_flows_with_a_clear_error(system: Running) -> None:
    saved = await system.api.put("/settings", json={"vast_api_key": "c" * 64})
    assert saved.json()["key_status"] == "refused"
    answer = await system.api.post("/models/deploy", json=CHECKLIST_BODY)
    assert (answer.status_code, answer.json()["error"]) == (400, "provider_key_refused")
    assert await system.machines() == []
