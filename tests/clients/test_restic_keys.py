"""A repository whose key was written again opens as before, with its password alone, and faster."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.restic import Restic
from clients.restic_keys import QUICK, WrongKey, quickened

PASSWORD, ANOTHER = "of a test", "another"


def restic(store: Path, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    program = shutil.which("restic") or ""
    environment = {"RESTIC_REPOSITORY": str(store), "RESTIC_PASSWORD": password, "HOME": str(store.parent)}
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)


async def test_a_new_repository_has_one_quick_key_that_restic_opens(tmp_path: Path) -> None:
    store, file = tmp_path / "store", tmp_path / "file"
    file.write_text("precious")
    repository = Restic(str(store), PASSWORD, tmp_path / "cache")
    await repository.make()
    (key,) = (store / "keys").iterdir()
    said = json.loads(key.read_text())
    assert {name: said[name] for name in QUICK} == QUICK
    assert restic(store, "backup", str(file)).returncode == 0
    assert restic(store, "check").returncode == 0
    assert restic(store, "dump", "latest", str(file)).stdout == "precious"
    assert "wrong password" in restic(store, "snapshots", password=ANOTHER).stderr
    assert restic(store, "key", "add", "--new-password-file", str(file)).returncode == 0


async def test_made_again_it_is_left_as_it_is(tmp_path: Path) -> None:
    repository = Restic(str(tmp_path / "store"), PASSWORD, tmp_path / "cache")
    await repository.make()
    before = {each.name for each in (tmp_path / "store" / "keys").iterdir()}
    await repository.make()
    assert {each.name for each in (tmp_path / "store" / "keys").iterdir()} == before


def test_what_the_password_does_not_open_is_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert restic(store, "init").returncode == 0
    (key,) = (store / "keys").iterdir()
    for password, content in ((ANOTHER, key.read_bytes()), (PASSWORD, b"{}"), (PASSWORD, b"no JSON")):
        with pytest.raises(WrongKey):
            quickened(content, password)
