"""A stranger's tar: only plain files, under names that lead nowhere, within limits; and whole, or an error."""

import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.jobs.unpacking import Unpacked, UnpackLimits, unpack
from clients.object_store import ObjectStore, StoreError

MANY = UnpackLimits(files=100, size=1 << 30)
LOGS = {"root/.dumont/stdout": "stdout.log"}


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(data), kind, link
    return made, data


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w", errors="surrogateescape") as tar:
        for head, data in entries:
            tar.addfile(head, io.BytesIO(data))
    return packing.getvalue()


async def in_pieces(data: bytes, size: int = 700) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "store"))


async def taken(store: ObjectStore, data: bytes, limits: UnpackLimits = MANY) -> Unpacked:
    return await unpack(in_pieces(data), store, "jobs/x/1", limits, LOGS)


async def content(store: ObjectStore, key: str, size: int) -> bytes:
    return b"".join([piece async for piece in store.read(key, 0, size)])


async def test_files_lie_under_keys_of_ours_with_their_digest(store: ObjectStore) -> None:
    big = bytes(range(256)) * 10_000
    long = "workspace/" + "d/" * 120 + "x"
    found = await taken(
        store, packed(entry("root/.dumont/stdout", b"said"), entry("workspace/big", big), entry(long, b"1"))
    )
    assert [each.path for each in found.kept] == ["stdout.log", "big", long.removeprefix("workspace/")]
    assert found.kept[1].sha256 == hashlib.sha256(big).hexdigest()
    assert await content(store, found.kept[1].key, len(big)) == big
    assert all(each.key.startswith("jobs/x/1/") and ".." not in each.key for each in found.kept)


async def test_what_is_no_plain_file_or_leads_out_is_left_and_said(store: ObjectStore) -> None:
    found = await taken(
        store,
        packed(
            entry("workspace/link", kind=tarfile.SYMTYPE, link="/etc/shadow"),
            entry("workspace/pipe", kind=tarfile.FIFOTYPE),
            entry("workspace/device", kind=tarfile.CHRTYPE),
            entry("workspace/../../etc/passwd", b"x"),
            entry("workspace/hard", kind=tarfile.LNKTYPE, link="workspace/never"),
            entry("workspace/folder", kind=tarfile.DIRTYPE),
            entry("/workspace/kept", b"yes"),
        ),
    )
    assert [each.path for each in found.kept] == ["kept"]
    assert len(found.notes) == 5
    assert not found.cut


async def test_hard_links_and_odd_names(store: ObjectStore, tmp_path: Path) -> None:
    odd = b"workspace/\xff\n'\"".decode("utf-8", "surrogateescape")
    found = await taken(
        store,
        packed(
            entry("workspace/a", b"one"),
            entry("workspace/b", kind=tarfile.LNKTYPE, link="workspace/a"),
            entry(odd, b"2"),
        ),
    )
    assert [each.path for each in found.kept] == ["a", "b", "\\xff\n'\""]
    assert await content(store, found.kept[1].key, 3) == b"one"
    found.kept[2].path.encode()


@pytest.mark.parametrize("limits", [UnpackLimits(files=2, size=1 << 30), UnpackLimits(files=100, size=10)])
async def test_limits_cut_and_the_logs_are_never_cut(store: ObjectStore, limits: UnpackLimits) -> None:
    data = packed(entry("root/.dumont/stdout", b"s" * 50), *(entry(f"workspace/{n}", b"12345678") for n in range(9)))
    found = await taken(store, data, limits)
    assert [each.path for each in found.kept] == ["stdout.log", "0"]
    assert found.cut
    assert "and what came after it" in found.notes[0]


@pytest.mark.parametrize("left", [0, 100, 512, 700, 1800])
async def test_a_tar_that_is_cut_short_is_an_error(store: ObjectStore, left: int) -> None:
    data = packed(entry("workspace/a", b"x" * 2000))
    with pytest.raises(tarfile.TarError):
        await taken(store, data[:left])


async def test_a_connection_that_breaks_off_leaves_no_half_file(store: ObjectStore, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield packed(entry("workspace/a", b"x" * 100_000))[:50_000]
        raise OSError("gone")

    with pytest.raises((OSError, StoreError)):
        await unpack(breaking(), store, "jobs/x/1", MANY, LOGS)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


async def test_what_is_deleted_is_gone_and_nothing_else(store: ObjectStore) -> None:
    await store.put("jobs/a/1/0", b"a")
    await store.put("jobs/ab/1/0", b"b")
    await store.delete_under("jobs/a")
    await store.delete_under("jobs/never")
    with pytest.raises(StoreError):
        await content(store, "jobs/a/1/0", 1)
    assert await content(store, "jobs/ab/1/0", 1) == b"b"
