"""What holds for every route, tried on every route there is."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings

KEYS = {"error", "detail", "details"}
PUBLIC = {"/health", "/health/live", "/api/auth/register", "/api/auth/login"}
_DOCUMENT = create_app(Settings(_env_file=None)).openapi()
ROUTES = [(method.upper(), path) for path, methods in _DOCUMENT["paths"].items() for method in methods]
GUARDED = [(method, path) for method, path in ROUTES if path not in PUBLIC]
WITH_ID = [(method, path) for method, path in GUARDED if "{id}" in path]
WITH_BODY = [(method, path) for method, path in ROUTES if method in {"POST", "PUT", "PATCH"}]

BAD_IDS = [
    "abc",
    "-1",
    "0",
    "99999999",
    "99999999999999999999",
    "1.5",
    "%00",
    "%FF",
    "dep_",
    "a" * 3000,
    "٣",
    "1%20or%201=1",
]
GARBAGE: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b"1" * 5000,
    b'{"a":' * 50 + b"1" + b"}" * 50,
    b'{"email":"a\\u0000b@c.de","password":"\\ud800aaaaaa","name":"\\u0000"}',
    b'{"model_id":"\\u0000","settings":{"a":NaN,"b":"\\u0000"},"name":{"x":1},"old":1,"new":[]}',
    b'{"model_id":"a/b","max_price":1e999,"offer_id":9e99,"num_gpus":-1,"port":"x","env":[1]}',
    b'{"settings":{"idle_pause_minutes":"soon"},"vast_api_key":{"a":1},"name":null,"email":null}',
    b'{"name":"' + b"a" * 500_000 + b'"}',
    b'{"name":"' + b"a" * 2_000_000 + b'"}',
]


def both(path: str) -> list[str]:
    return [path, path + "/", path.replace("/api/", "/api/v1/"), path.replace("/api/", "/api/v1/") + "/"]


def is_error(answer: httpx.Response, status: int) -> None:
    body = answer.json()
    assert (answer.status_code, set(body)) == (status, KEYS), answer.text
    assert isinstance(body["detail"], list if status == 422 else str)


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_without_a_credential(nobody: httpx.AsyncClient, method: str, path: str) -> None:
    for spelled in both(path.replace("{id}", "1")):
        answer = await nobody.request(method, spelled, content=b"{")
        is_error(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("credential", ["Bearer", "Bearer x.y.z", "Bearer dumont_sk_no", "Basic YTpi", "Bearer é", "x"])
async def test_with_a_bad_credential(nobody: httpx.AsyncClient, credential: str) -> None:
    answer = await nobody.get("/api/auth/me", headers={b"Authorization": credential.encode()})
    is_error(answer, 401)


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_unknown_ids(ana: httpx.AsyncClient, method: str, path: str) -> None:
    for bad in BAD_IDS:
        is_error(await ana.request(method, path.replace("{id}", bad)), 404)


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_other_peoples_things(
    ana: httpx.AsyncClient, deployed: tuple[httpx.AsyncClient, dict[str, Any]], method: str, path: str
) -> None:
    for theirs in (deployed[1]["id"], str(deployed[1]["instance_id"])):
        is_error(await ana.request(method, path.replace("{id}", theirs)), 404)
    owned = await deployed[0].get(f"/api/models/{deployed[1]['id']}")
    assert owned.json()["status"] == "deploying"


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_garbage_bodies(ana: httpx.AsyncClient, method: str, path: str) -> None:
    for body in GARBAGE:
        for kind in ("application/json", "text/plain", "nonsense"):
            answer = await ana.request(method, path.replace("{id}", "1"), content=body, headers={"Content-Type": kind})
            assert answer.status_code < 500, (body[:80], answer.text)
            if answer.status_code >= 400:
                is_error(answer, answer.status_code)


@pytest.mark.parametrize("path", [path for method, path in GUARDED if method == "GET" and "{id}" not in path])
async def test_garbage_queries(ana: httpx.AsyncClient, path: str) -> None:
    names = (
        *("limit", "cursor", "status", "all", "gpu_name", "num_gpus", "max_price"),
        *("region", "order_by", "machine_type", "min_gpu_ram"),
    )
    for value in ("%00", "nan", "-1", "99999999999999999999", "%FF", "a" * 5000, "[]", "1e999"):
        query = "&".join(f"{name}={value}" for name in names)
        answer = await ana.get(f"{path}?{query}")
        assert answer.status_code < 500, (value, answer.text)


async def test_one_resource_however_it_is_spelled(ana: httpx.AsyncClient) -> None:
    answers = [await ana.get(path) for path in both("/api/models")]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.text for answer in answers}) == 1


async def test_unknown_paths_and_methods(ana: httpx.AsyncClient) -> None:
    for path in ("/api/nothing", "/nothing", "/api", "/", "/api/v2/models", "/api//models", "/api/models/x/y/z"):
        is_error(await ana.get(path), 404)
    for path in ("/api/settings", "/api/v1/settings/", "/health"):
        is_error(await ana.delete(path), 405)


async def test_unsuitable_idempotency_keys(ana: httpx.AsyncClient) -> None:
    for key in (b"", b"a" * 300, b"\xe9"):
        answer = await ana.post("/api/auth/keys", json={"name": "k"}, headers={b"Idempotency-Key": key})
        is_error(answer, 422)


async def test_what_was_sent_is_never_repeated(nobody: httpx.AsyncClient) -> None:
    answer = await nobody.post("/api/auth/register", json={"email": "no address", "password": "sesame " * 300})
    is_error(answer, 422)
    assert "sesame" not in answer.text


async def test_a_body_too_large(ana: httpx.AsyncClient) -> None:
    is_error(await ana.post("/api/auth/keys", content=b'{"name":"' + b"a" * 2_000_000 + b'"}'), 413)


async def test_the_document(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    documents = [(await nobody.get(path)).json() for path in ("/openapi.json", "/api/v1/openapi.json")]
    assert documents[0] == documents[1]
    assert not [path for path in documents[0]["paths"] if path.endswith("/") or "/v1/" in path]
    assert documents[0]["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert (await nobody.get("/docs")).status_code == 200
    for _, path in ROUTES:
        for operation in documents[0]["paths"][path].values():
            assert operation["summary"], path
            assert path in PUBLIC or operation["security"] == [{"bearer": []}], path
