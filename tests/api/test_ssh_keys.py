"""Flow 3: a user's SSH keys."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.accounts.operators_keys import operators_keys
from api.app_state import make_first_rows
from db.accounts.ssh_keys import keys_of_user
from db.accounts.users import user_by_email

pytestmark = pytest.mark.asyncio

Keygen = Callable[..., Path]


@pytest.fixture
def keygen(tmp_path: Path) -> Keygen:
    """Makes a pair; the private key's file, beside which the `.pub` is."""

    def make(name: str = "id", kind: str = "ed25519", folder: Path = tmp_path) -> Path:
        file = folder / name
        size = ["-b", "2048"] if kind == "rsa" else []  # a larger pair takes seconds to find, and is read the same
        made = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", f"me@{name}", "-f", str(file)]
        subprocess.run(made, check=True)
        return file

    return make


def public(file: Path) -> str:
    return file.with_suffix(".pub").read_text()


def fingerprint(file: Path) -> str:
    """As OpenSSH's own tool says it."""
    done = subprocess.run(["ssh-keygen", "-lf", f"{file}.pub"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
async def test_a_key_is_added_listed_and_deleted(ana: httpx.AsyncClient, keygen: Keygen, kind: str) -> None:
    file = keygen(kind=kind)
    made = await ana.post("/api/ssh-keys/", json={"name": "laptop", "public_key": f"  {public(file)}\n"})
    assert made.status_code == 201, made.text
    key = made.json()
    assert key["fingerprint"] == fingerprint(file)
    assert key["public_key"] == public(file).strip()
    listed = (await ana.get("/api/v1/ssh-keys")).json()
    assert (listed["ssh_keys"], listed["count"], listed["total"]) == ([key], 1, 1)
    assert (await ana.delete(f"/api/ssh-keys/{key['id']}")).status_code == 200
    assert (await ana.delete(f"/api/ssh-keys/{key['id']}")).status_code == 404
    assert (await ana.get("/api/ssh-keys")).json()["count"] == 0


async def test_the_same_key_again_is_the_same(ana: httpx.AsyncClient, keygen: Keygen) -> None:
    line = public(keygen())
    first = await ana.post("/api/ssh-keys", json={"public_key": line})
    again = await ana.post("/api/ssh-keys", json={"name": "other", "public_key": line.split(" me@")[0]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["name"] == "me@id"


async def test_what_is_no_public_key_is_refused_and_not_repeated(ana: httpx.AsyncClient, keygen: Keygen) -> None:
    file = keygen()
    private, line = file.read_text(), public(file)
    for given, word in [
        (private, "private key"),
        (f'command="rm -rf /" {line}', "Options"),
        (f"{line}{line}", "one key at a time"),
        (line[:40] + line[50:], "damaged"),
        ("hello", "one line"),
    ]:
        refused = await ana.post("/api/ssh-keys", json={"name": "x", "public_key": given})
        assert refused.status_code == 422, given
        assert word in refused.json()["details"][0]["msg"]
        assert len(given) < 60 or given[10:60] not in refused.text
    assert (await ana.get("/api/ssh-keys")).json()["count"] == 0


async def test_keys_are_their_owners_alone(
    ana: httpx.AsyncClient, rita: httpx.AsyncClient, nobody: httpx.AsyncClient, keygen: Keygen
) -> None:
    key = (await ana.post("/api/ssh-keys", json={"public_key": public(keygen())})).json()
    assert (await rita.delete(f"/api/ssh-keys/{key['id']}")).status_code == 404
    assert (await rita.get("/api/ssh-keys")).json()["count"] == 0
    assert (await nobody.get("/api/ssh-keys")).status_code == 401
    assert (await ana.get("/api/ssh-keys")).json()["count"] == 1


async def test_the_operators_own_keys_are_the_demo_users(
    app: FastAPI, keygen: Keygen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    file = keygen(folder=folder)
    file.rename(folder / "private.pub")  # whatever its name says, it is not taken
    (folder / "broken.pub").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = operators_keys(tmp_path / "home")
    assert [name for name, _ in found] == ["id"]
    parts = app.state.app_state
    assert parts.settings.local
    for _ in range(2):
        await make_first_rows(parts)
    async with parts.database.begin() as session:
        demo = await user_by_email(session, parts.settings.demo_email)
        assert demo is not None
        keys = [key.fingerprint for key in await keys_of_user(session, demo.id)]
    assert keys.count(found[0][1].fingerprint) == 1


async def test_a_computer_without_keys_has_none(tmp_path: Path) -> None:
    assert operators_keys(tmp_path) == []
