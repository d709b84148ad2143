"""The vllm image: a model server that speaks the OpenAI protocol as vLLM does."""

import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests import plain_http

from ..conftest import Key, Simulator, poll
from ..shells import machine, say, ssh

MODEL = "Qwen/Qwen2.5-7B-Instruct"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def server(shared: Simulator, key: Key) -> Iterator[tuple[Row, str]]:
    """A machine that serves MODEL with the key ``sk``, and its URL."""
    row = machine(shared, key, image="vllm/vllm-openai:latest", env={"-p 8000:8000": "1"})
    serve = f"VLLM_API_KEY=sk setsid nohup vllm serve {MODEL} --max-model-len 4096"
    say(row, key, f"{serve} > /workspace/log 2>&1 < /dev/null &")
    url = f"http://{row['public_ipaddr'].strip()}:{row['ports']['8000/tcp'][0]['HostPort']}"
    poll(lambda: healthy(url))
    yield row, url
    shared.control.post("/simulator/reset")


def healthy(url: str) -> bool:
    try:
        return plain_http.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


async def test_the_openai_client(server: tuple[Row, str]) -> None:
    client = openai.AsyncOpenAI(base_url=f"{server[1]}/v1", api_key="sk", max_retries=0)
    assert [model.id async for model in client.models.list()] == [MODEL]
    question: Any = [{"role": "user", "content": "What is a lease?"}]
    whole = await client.chat.completions.create(model=MODEL, messages=question)
    assert whole.choices[0].message.content
    assert "simulator" in whole.choices[0].message.content
    assert whole.usage
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    short = await client.chat.completions.create(model=MODEL, messages=question, max_tokens=3)
    assert (short.choices[0].finish_reason, short.usage and short.usage.completion_tokens) == ("length", 3)
    stream = await client.chat.completions.create(
        model=MODEL, messages=question, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    plain = await client.completions.create(model=MODEL, prompt="Once")
    assert plain.choices[0].text
    vectors = await client.embeddings.create(model=MODEL, input=["a", "b", "a"])
    first, second, again = (item.embedding for item in vectors.data)
    assert math.isclose(sum(value * value for value in first), 1, abs_tol=1e-5)
    assert first == again != second
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="other", messages=question)
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").models.list()
    await client.close()


def test_the_plain_routes(server: tuple[Row, str]) -> None:
    with plain_http.Client(base_url=server[1]) as client:
        assert client.get("/health").content == b""
        assert "simulated" in client.get("/version").json()["version"]
        assert "vllm:num_requests_running" in client.get("/metrics").text
        bad = client.post("/v1/chat/completions", json={"model": MODEL}, headers={"Authorization": "Bearer sk"})
        assert (bad.status_code, bad.json()["error"]["type"]) == (400, "BadRequestError")
        assert client.get("/v1/models").status_code == 401


def test_what_nvidia_smi_and_the_log_say(server: tuple[Row, str], key: Key) -> None:
    row, _ = server
    used = say(row, key, "nvidia-smi --query-gpu=memory.used,utilization.gpu --format=csv,noheader,nounits")
    assert int(used.split(",")[0]) > 20_000
    assert "Application startup complete." in say(row, key, "cat /workspace/log")


@pytest.mark.parametrize(
    ("model", "error"),
    [("meta-llama/Llama-3.1-70B-Instruct", "CUDA out of memory"), ("someone/does-not-exist", "not a valid model")],
)
def test_models_that_fail(server: tuple[Row, str], key: Key, model: str, error: str) -> None:
    for command in (f"vllm serve {model}", f"python -m vllm.entrypoints.openai.api_server --model {model}"):
        done = ssh(server[0], key, f"{command} --port 8001")
        assert done.returncode == 1
        assert error in done.stderr


def test_faults_of_model_servers(shared: Simulator, server: tuple[Row, str], key: Key) -> None:
    row, _ = server
    shared.fault("machine:model_server", "crashes", times=1)
    assert ssh(row, key, f"vllm serve {MODEL} --port 8002").returncode == 1
    shared.fault("machine:model_server", "never_healthy", times=1)
    say(row, key, f"setsid vllm serve {MODEL} --port 8003 > /dev/null 2>&1 < /dev/null &")
    ask = "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8003); c.request('GET', '/health')"
    poll(lambda: ssh(row, key, f'python3 -c "{ask}; print(c.getresponse().status)"').stdout.strip() == "503")
    assert json.loads(shared.control.get("/simulator/faults").text)["faults"][0]["fired"] == 1
