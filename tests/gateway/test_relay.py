"""Requests through the gateway to a model server and back."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from yarl import URL

from gateway.http import bodies
from gateway.http.bodies import MAX_BODY
from tests.gateway.asking import CHAT, becomes
from tests.gateway.conftest import Gateway
from tests.gateway.machine import UPSTREAM_KEY, Machine
from tests.gateway.rows import Rows
from tests.patience import PATIENCE_SECONDS

ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello"}]


async def test_the_official_client_chats_and_lists_models(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    client = gateway.openai(await rows.published(machine))
    answer = await client.chat.completions.create(model="tiny", messages=ASKED)
    assert answer.choices[0].message.content == "Hello."
    assert [model.id async for model in await client.models.list()] == ["tiny"]


async def test_a_stream_arrives_as_it_is_produced(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    client = gateway.openai(await rows.published(machine))
    stream = await client.chat.completions.create(model="tiny", messages=ASKED, stream=True)
    words = []
    async for chunk in stream:
        words.append(chunk.choices[0].delta.content)
        machine.go_on.set()  # the second half is produced only after the first was received
    assert words == ["Hel", "lo."]


async def test_the_machine_learns_only_what_the_model_needs(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    sent = {"Authorization": "Bearer mine", "Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "X-Request-Id": "abc"}
    async with gateway.http.post(gateway.at(path, CHAT), json={}, headers=sent) as answer:
        assert (answer.status, answer.headers["X-Request-Id"]) == (200, "abc")
        assert not {"Set-Cookie", "X-Machine"} & set(answer.headers)
    got = machine.requests[-1].headers
    assert got["Authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert got["X-Request-Id"] == "abc"
    assert not {"Cookie", "X-Forwarded-For", "User-Agent"} & set(got)
    assert path not in machine.requests[-1].path


async def test_unknown_routes_and_methods_stay_on_this_side(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    for method, tail, status in [
        ("GET", "/v1/load_lora_adapter", 404),
        ("POST", "/v1/audio/transcriptions", 404),
        ("GET", "/metrics", 404),
        ("GET", CHAT, 405),
        ("GET", "/v1/models/%2e%2e/%2e%2e/health", 404),
        ("GET", "", 404),
    ]:
        async with gateway.http.request(method, URL(gateway.at(path, tail), encoded=True)) as answer:
            assert answer.status == status, tail
            body = await answer.json()
            assert isinstance(body["error"], dict) == tail.startswith("/v1/")
    assert machine.requests == []


async def test_a_browser_gets_its_preflight_here(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine, key="secret")
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    async with gateway.http.options(gateway.at(path, CHAT), headers=headers) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert machine.requests == []


async def test_large_bodies_are_streamed_and_too_large_ones_refused(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    url = gateway.at(await rows.published(machine), "/v1/embeddings")
    async with gateway.http.post(url, data=bytes(3_000_000)) as answer:
        assert await answer.json() == {"size": 3_000_000}

    async def endless(total: int) -> AsyncIterator[bytes]:
        for _ in range(total // 1_000_000):
            yield bytes(1_000_000)

    async with gateway.http.post(url, data=endless(2_000_000)) as answer:
        assert await answer.json() == {"size": 2_000_000}
    async with gateway.http.post(url, data=endless(MAX_BODY + 2_000_000)) as answer:
        assert answer.status == 413
    async with gateway.http.post(url, data=b"", headers={"Content-Length": str(MAX_BODY + 1)}) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "body_too_large"


async def test_a_body_that_stops_coming_is_given_up(
    gateway: Gateway, rows: Rows, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = gateway.at(await rows.published(machine), "/v1/embeddings")
    monkeypatch.setattr(bodies, "SILENCE_SECONDS", 0.05)
    forever = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await forever.wait()

    for headers in ({"Content-Length": "10"}, {}):
        async with gateway.http.post(url, data=stuck(), headers=headers) as answer:
            assert answer.status == 408


async def test_two_hundred_at_once(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    url = gateway.at(await rows.published(machine, key="secret"), CHAT)

    async def ask(number: int) -> int:
        headers = {"Authorization": "Bearer secret"}
        async with gateway.http.post(url, json={"number": number}, headers=headers) as answer:
            await answer.read()
            return answer.status

    assert set(await asyncio.gather(*(ask(number) for number in range(200)))) == {200}
    assert {json.loads(body)["number"] for body in machine.bodies} == set(range(200))
    assert machine.logins == 1


async def test_a_caller_who_leaves_stops_the_work(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    async with gateway.http.post(gateway.at(path, CHAT), json={"stream": True}) as answer:
        assert await answer.content.readany()
        answer.close()
    await asyncio.wait_for(machine.left.wait(), PATIENCE_SECONDS)


async def test_a_machine_that_dies_cuts_the_stream_visibly(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    async with gateway.http.post(gateway.at(path, CHAT), json={"stream": True}) as answer:
        first = await answer.content.readany()
        machine.vanish()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()
    assert b"Hel" in first
    async with gateway.http.post(gateway.at(path, CHAT), json={}) as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert (await answer.json())["error"]["code"] == "model_server_unreachable"


async def test_the_official_client_sees_a_cut_stream_as_an_error(
    gateway: Gateway, rows: Rows, machine: Machine
) -> None:
    client = gateway.openai(await rows.published(machine))
    stream = await client.chat.completions.create(model="tiny", messages=ASKED, stream=True)
    await anext(stream)
    machine.vanish()
    with pytest.raises(openai.APIError):
        await anext(stream)


async def test_an_answer_that_breaks_off_is_refused_whole(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    machine.breaks_off = True
    async with gateway.http.post(gateway.at(path, CHAT), json={}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (502, "model_server_broke_off")
        assert "Retry-After" in answer.headers


async def _moves(machine: Machine) -> bool:
    return machine.sent > 0


async def test_a_slow_reader_holds_the_machine_back(gateway: Gateway, rows: Rows, machine: Machine) -> None:
    path = await rows.published(machine)
    async with gateway.http.post(gateway.at(path, "/v1/completions"), json={}):
        await becomes(lambda: _moves(machine), True)
        before = -1
        while machine.sent != before:  # until nothing moves any more
            before = machine.sent
            await asyncio.sleep(0.3)
        assert 0 < machine.sent < 32 * 1024 * 1024
