"""The artifact store, the same against a folder and against a bucket that speaks S3."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from clients.object_store import ObjectStore, StoreError
from tests.clients.s3 import S3


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[S3, str]]:
    s3 = S3()
    runner = web.AppRunner(s3.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    given = {"ENDPOINT_URL": f"http://127.0.0.1:{port}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "r"}
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield s3, "s3://bucket/some/where"
    await runner.cleanup()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, bucket: tuple[S3, str]) -> ObjectStore:
    return ObjectStore(str(tmp_path / "not there yet") if request.param == "folder" else bucket[1])


async def content(store: ObjectStore, key: str, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in store.read(key, start, end)])


def write(store: ObjectStore, key: str, data: bytes, *, breaks: bool = False) -> None:
    with store.writer(key) as writing:
        for start in range(0, len(data), 100_000):
            writing.write(data[start : start + 100_000])
        if breaks:
            raise ConnectionError


async def test_what_is_written_is_read_in_parts(store: ObjectStore) -> None:
    data = bytes(range(256)) * 80_000
    await asyncio.to_thread(write, store, "jobs/a/1/0", data)
    assert await content(store, "jobs/a/1/0", 0, len(data)) == data
    assert await content(store, "jobs/a/1/0", 1_999_990, 4_000_010) == data[1_999_990:4_000_010]
    await store.put("jobs/a/1/1", b"")
    assert await content(store, "jobs/a/1/1", 0, 0) == b""


async def test_what_breaks_off_is_not_there(store: ObjectStore) -> None:
    with pytest.raises((ConnectionError, StoreError)):
        await asyncio.to_thread(write, store, "jobs/a/1/0", b"x" * 300_000, breaks=True)
    with pytest.raises(StoreError):
        await content(store, "jobs/a/1/0", 0, 10)


async def test_shorter_than_it_was_is_an_error(store: ObjectStore) -> None:
    await store.put("jobs/a/1/0", b"12345")
    with pytest.raises(StoreError):
        await content(store, "jobs/a/1/0", 0, 10)


async def test_a_prefix_is_deleted_whole_and_alone(store: ObjectStore) -> None:
    for number in range(8):
        await store.put(f"jobs/a/1/{number}", b"x")
    await store.put("jobs/ab/1/0", b"y")
    await store.delete_under("jobs/a")
    await store.delete_under("jobs/a")
    for number in range(8):
        with pytest.raises(StoreError):
            await content(store, f"jobs/a/1/{number}", 0, 1)
    assert await content(store, "jobs/ab/1/0", 0, 1) == b"y"


async def test_a_bucket_keeps_to_its_prefix(bucket: tuple[S3, str]) -> None:
    await ObjectStore(bucket[1]).put("jobs/a", b"x")
    assert list(bucket[0].objects) == ["some/where/jobs/a"]


async def test_a_store_that_is_not_there_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for address in (str(tmp_path / "file" / "folder"), "nonsense://x"):
        with pytest.raises(StoreError):
            await ObjectStore(address).put("a", b"x")
