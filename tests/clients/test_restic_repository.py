"""A repository that we make is one to restic, which has the last word here: on our disk and behind an rclone remote."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import rclone
from clients.restic import Restic
from clients.restic_keys import QUICK
from tests.patience import becomes

PASSWORD, ANOTHER = "of a test", "another"
Store = Callable[[str], str]


@pytest.fixture(params=["folder", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Where a repository of a name is kept: below `tmp_path`, both ways."""
    monkeypatch.setenv("RCLONE_CONFIG_KEPT_TYPE", "alias")
    monkeypatch.setenv("RCLONE_CONFIG_KEPT_REMOTE", str(tmp_path))
    above = str(tmp_path) + "/" if request.param == "folder" else "kept:"
    return lambda name: above + name


def restic(store: str, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    where = store if store.startswith("/") else f"rclone:{store}"
    ways = ["-o", f"rclone.program={rclone.program()}"] if where != store else []
    given = {**os.environ, "RESTIC_REPOSITORY": where, "RESTIC_PASSWORD": password}
    words = [shutil.which("restic") or "", "--no-cache", *ways, *arguments]
    return subprocess.run(words, env=given, capture_output=True, text=True, check=False)


def said(store: str, *arguments: str, password: str = PASSWORD) -> str:
    """What restic prints; it must succeed."""
    done = restic(store, *arguments, password=password)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config(store: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(said(store, "cat", "config"))
    return read


async def made(where: str, tmp_path: Path, password: str = PASSWORD) -> Restic:
    repository = Restic(where, password, tmp_path / "cache")
    await repository.make()
    return repository


async def test_restic_backs_up_restores_checks_and_prunes(store: Store, tmp_path: Path) -> None:
    where, files, back = store("a"), tmp_path / "files", tmp_path / "back"
    repository = await made(where, tmp_path)
    assert await repository.snapshots() == []
    files.mkdir()
    content = os.urandom(3_000_000)  # in several chunks
    (files / "old").write_bytes(os.urandom(3_000_000))
    said(where, "backup", str(files))
    (files / "old").write_bytes(content)
    said(where, "backup", str(files))
    said(where, "check", "--read-data")
    old, new = sorted(await repository.snapshots(), key=lambda each: each.time)
    await repository.forget([old.id])
    await repository.prune()
    await repository.check()
    assert [each.id for each in await repository.snapshots()] == [new.id]
    await repository.restore(new.id, [str(files / "old")], back)
    assert (back / str(files / "old").lstrip("/")).read_bytes() == content
    assert await rclone.names(f"{where}/locks") in ([], None)


async def test_it_is_of_format_2_and_has_one_quick_key_under_the_password(store: Store, tmp_path: Path) -> None:
    where = store("a")
    await made(where, tmp_path)
    assert config(where)["version"] == 2
    (key,) = (tmp_path / "a" / "keys").iterdir()
    read = json.loads(key.read_text())
    assert {name: read[name] for name in QUICK} == QUICK == {"N": 1024, "r": 8, "p": 1}
    assert "wrong password" in restic(where, "snapshots", password=ANOTHER).stderr


@pytest.mark.long  # restic makes each key a slow one
async def test_its_keys_are_added_changed_and_removed_as_any(store: Store, tmp_path: Path) -> None:
    where, secret = store("a"), tmp_path / "secret"
    await made(where, tmp_path)
    (ours,) = json.loads(said(where, "key", "list", "--json"))
    assert (ours["userName"], ours["hostName"], ours["current"]) == ("dumont", "vault", True)
    secret.write_text(ANOTHER)
    said(where, "key", "add", "--new-password-file", str(secret))
    assert restic(where, "key", "remove", ours["id"], password=ANOTHER).returncode == 0
    assert "wrong password" in restic(where, "check").stderr
    secret.write_text(PASSWORD)
    assert restic(where, "key", "passwd", "--new-password-file", str(secret), password=ANOTHER).returncode == 0
    said(where, "check")


@pytest.mark.parametrize("at", [0, 20, -1])
async def test_a_config_that_was_touched_is_refused(at: int, tmp_path: Path) -> None:
    """In its nonce, in its text, in its MAC."""
    where = tmp_path / "a"
    await made(str(where), tmp_path)
    content = bytearray((where / "config").read_bytes())
    content[at] ^= 1
    (where / "config").write_bytes(content)
    assert "ciphertext verification failed" in restic(str(where), "snapshots").stderr


async def test_two_have_nothing_in_common(tmp_path: Path) -> None:
    both = {str(tmp_path / "a"): PASSWORD, str(tmp_path / "b"): ANOTHER}
    for where, password in both.items():
        await made(where, tmp_path, password)
    one, another = [json.loads(said(where, "cat", "masterkey", password=both[where])) for where in both]
    assert one["encrypt"] != another["encrypt"]
    assert one["mac"]["k"] != another["mac"]["k"]
    assert one["mac"]["r"] != another["mac"]["r"]
    mine, other = [json.loads(said(where, "cat", "config", password=both[where])) for where in both]
    assert mine["id"] != other["id"]
    assert mine["chunker_polynomial"] != other["chunker_polynomial"]


async def test_made_again_it_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    where = store("a")
    await made(where, tmp_path)
    before = config(where), list((tmp_path / "a" / "keys").iterdir())
    await made(where, tmp_path)
    assert (config(where), list((tmp_path / "a" / "keys").iterdir())) == before


@pytest.mark.parametrize("landed", [0, 1, 2])
async def test_who_was_killed_and_whose_rclone_writes_on_does_no_harm(
    landed: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many of its writes came before the next attempt; the others come after that one's first snapshot."""
    where, file = store("a"), tmp_path / "file"
    file.write_text("precious")
    writes = list[tuple[str, bytes]]()

    async def noted(path: str, content: bytes) -> None:
        writes.append((path, content))

    with monkeypatch.context() as killed:
        killed.setattr(rclone, "write", noted)
        await made(where, tmp_path)
    assert len(writes) == 2
    for early in writes[:landed]:
        await rclone.write(*early)
    repository = await made(where, tmp_path)
    said(where, "backup", str(file))
    for late in writes[landed:]:
        await rclone.write(*late)
    assert len(await repository.snapshots()) == 1
    assert len(list((tmp_path / "a" / "keys").iterdir())) == 1
    said(where, "check", "--read-data")


async def test_half_a_file_that_was_left_is_in_nobodys_way(store: Store, tmp_path: Path) -> None:
    """What a killed rclone leaves: the beginning of a file, under a name of its own."""
    where = store("a")
    await rclone.write(f"{where}/keys/{'0' * 64}.1a2b3c4d.partial", b'{"crea')
    await rclone.write(f"{where}/config.1a2b3c4d.partial", b"half")
    await made(where, tmp_path)
    said(where, "check")


async def test_who_works_on_it_keeps_its_lock(tmp_path: Path) -> None:
    repository = await made(str(tmp_path / "a"), tmp_path)
    words = [shutil.which("restic") or "", "--no-cache", "-r", str(tmp_path / "a"), "backup", "--stdin"]
    given = {**os.environ, "RESTIC_PASSWORD": PASSWORD}

    async def is_locked() -> bool:
        return bool(await rclone.names(f"{tmp_path}/a/locks"))

    working = await asyncio.create_subprocess_exec(*words, env=given, stdin=-1, stdout=-3)
    await becomes(is_locked, True)
    await repository.unlock()
    assert await is_locked()
    working.kill()
    await working.wait()
    await repository.unlock()
    assert not await is_locked()


@pytest.mark.long
async def test_one_that_restic_made_is_used_as_it_is(tmp_path: Path) -> None:
    where, file = tmp_path / "a", tmp_path / "file"
    file.write_text("precious")
    said(str(where), "init", "--repository-version", "2")
    before = (where / "config").read_bytes()
    repository = await made(str(where), tmp_path)
    said(str(where), "backup", str(file))
    await repository.check()
    assert (where / "config").read_bytes() == before


async def test_nobody_else_on_our_side_looks_into_its_folder(tmp_path: Path) -> None:
    await made(str(tmp_path / "a"), tmp_path)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
