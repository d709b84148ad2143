"""Who gets through the vault's door, and to what."""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator

import pytest

from db.machines.lease_tokens import VAULT, lease_of, lease_token
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.ids import new_id
from domain.machines.phases import LeaseState
from settings import Settings
from tests import plain_http
from tests.simulator.conftest import Simulator
from tests.vault.world import SECRETS, Door, Machine, World, until

V2 = {"Accept": "application/vnd.x.restic.rest.v2"}


class Caller:
    def __init__(self, door: Door, token: str) -> None:
        self._http = plain_http.AsyncClient(base_url=door.url, auth=("machine", token), timeout=120)

    async def status(self, method: str, path: str, content: bytes | None = None) -> int:
        return (await self._http.request(method, path, content=content, headers=V2)).status_code


@pytest.fixture(scope="module")
async def world(settings: Settings, database: Database, simulator: Simulator, the_door: Door) -> AsyncIterator[World]:
    """One user for all tests here: each changes only leases of its own."""
    world = World(settings, database, simulator)
    await world.begin()
    yield world
    simulator.control.post("/simulator/reset", timeout=120).raise_for_status()


@pytest.fixture(scope="module")
async def saved(world: World) -> tuple[Machine, str]:
    """A machine and its snapshot in the vault."""
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    snapshot_id, _ = await world.taken(machine)
    return machine, snapshot_id


@pytest.fixture
def machine(saved: tuple[Machine, str]) -> Machine:
    return saved[0]


@pytest.fixture
def snapshot_id(saved: tuple[Machine, str]) -> str:
    return saved[1]


def caller(world: World, door: Door, machine: Machine, purpose: str = VAULT) -> Caller:
    return Caller(door, lease_token(world.sealer, machine.lease_id, purpose))


def named(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_machine_reads_and_adds_to_its_own_and_takes_nothing_away(
    world: World, the_door: Door, machine: Machine
) -> None:
    own, content = caller(world, the_door, machine), os.urandom(1000)
    at = f"/{machine.instance_id}/data/{named(content)}"
    assert await own.status("POST", at, content) == 200
    assert await own.status("GET", at) == 200
    assert await own.status("HEAD", f"/{machine.instance_id}/config") == 200
    assert await own.status("GET", f"/{machine.instance_id}/snapshots/") == 200
    for method, path in [
        ("DELETE", at),
        ("DELETE", f"/{machine.instance_id}/config"),
        ("DELETE", f"/{machine.instance_id}/"),
        ("POST", f"/{machine.instance_id}/config"),
        ("POST", f"/{machine.instance_id}/keys/{named(content)}"),
        ("POST", f"/{machine.instance_id}/?create=true"),
        ("PUT", at),
        ("GET", "/"),
        ("GET", f"/{machine.instance_id}/data/../../9999/config"),
        ("GET", f"/{machine.instance_id}/%2e%2e/1/config"),
        ("GET", f"/0{machine.instance_id}/config"),
    ]:
        assert await own.status(method, path, content if method != "GET" else None) == 403, (method, path)


async def test_locks_may_be_taken_away(world: World, the_door: Door, machine: Machine) -> None:
    own, content = caller(world, the_door, machine), os.urandom(100)
    at = f"/{machine.instance_id}/locks/{named(content)}"
    assert await own.status("POST", at, content) == 200
    assert await own.status("DELETE", at) == 200
    assert await own.status("HEAD", at) == 404


async def test_what_is_there_is_never_changed(world: World, the_door: Door, machine: Machine) -> None:
    own, content = caller(world, the_door, machine), os.urandom(1000)
    at = f"/{machine.instance_id}/data/{named(content)}"
    assert await own.status("POST", at, content) == 200
    assert await own.status("POST", at, content) == 200  # the answer was lost, so it asks again
    assert await own.status("POST", at, content[:500]) == 400
    assert (await own._http.get(at)).content == content


async def test_what_is_not_what_its_name_says_is_not_kept(world: World, the_door: Door, machine: Machine) -> None:
    own, content = caller(world, the_door, machine), os.urandom(700_000)
    at = f"/{machine.instance_id}/data/{named(content)}"
    assert await own.status("POST", at, content[:-1] + bytes([content[-1] ^ 1])) == 400

    async def is_gone() -> bool | None:
        return await own.status("HEAD", at) == 404 or None

    await until(is_gone, "the store to clear away what was broken off")
    assert await own.status("POST", at, content) == 200


async def test_what_a_crash_cut_off_is_written_again(world: World, the_door: Door, machine: Machine) -> None:
    own, content = caller(world, the_door, machine), os.urandom(10_000)
    at = f"/{machine.instance_id}/data/{named(content)}"
    kept = world.settings.data_dir / "vault" / str(machine.instance_id) / "data" / named(content)[:2] / named(content)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(content[:5000])
    assert await own.status("POST", at, content) == 503  # it is cleared away; restic asks again
    assert await own.status("POST", at, content) == 200
    assert kept.read_bytes() == content


async def test_anothers_repository_is_closed(world: World, the_door: Door, machine: Machine) -> None:
    other = await world.lease()
    stranger = caller(world, the_door, other)
    assert await stranger.status("GET", f"/{machine.instance_id}/config") == 403
    assert await stranger.status("GET", f"/{machine.instance_id}/snapshots/") == 403
    content = os.urandom(10)
    assert await stranger.status("POST", f"/{machine.instance_id}/data/{named(content)}", content) == 403


async def test_a_source_of_a_restore_may_be_read_and_no_more(
    world: World, the_door: Door, machine: Machine, snapshot_id: str
) -> None:
    other = await world.lease()
    await world.restore_in_place(other, snapshot_id)
    reader, content = caller(world, the_door, other), os.urandom(10)
    assert await reader.status("GET", f"/{machine.instance_id}/config") == 200
    for kind in ("data", "locks", "index", "snapshots"):
        assert await reader.status("POST", f"/{machine.instance_id}/{kind}/{named(content)}", content) == 403
    assert await reader.status("DELETE", f"/{machine.instance_id}/locks/{named(content)}") == 403


async def test_another_users_snapshot_is_no_source(
    world: World, the_door: Door, machine: Machine, snapshot_id: str
) -> None:
    thief = World(world.settings, world.database, world.simulator)
    await thief.begin()
    other = await thief.lease()
    await thief.restore_in_place(other, snapshot_id)
    assert await caller(world, the_door, other).status("GET", f"/{machine.instance_id}/config") == 403


@pytest.mark.parametrize("state", ["releasing", "closed"])
async def test_a_credential_is_dead_with_its_lease(world: World, the_door: Door, machine: Machine, state: str) -> None:
    path = f"/{machine.instance_id}/config"
    ending = await world.lease(machine.instance_id)
    assert await caller(world, the_door, ending).status("GET", path) == 200
    async with world.database.begin() as session:
        (await session.get_one(Lease, ending.lease_id)).state = LeaseState(state)
    fresh = await world.lease(machine.instance_id)
    assert await caller(world, the_door, fresh).status("GET", path) == 200

    async def refused() -> bool | None:
        return await caller(world, the_door, ending).status("GET", path) == 401 or None

    await until(refused, "the door to shut", 10)


async def test_nobody_we_know_gets_in(world: World, the_door: Door, machine: Machine) -> None:
    path = f"/{machine.instance_id}/config"
    made_up = f"{machine.lease_id}.{secrets.token_urlsafe(32)}"
    for who in [
        Caller(the_door, made_up),
        Caller(the_door, ""),
        caller(world, the_door, machine, "agent"),
        Caller(the_door, lease_token(world.sealer, new_id("lease"), VAULT)),
    ]:
        assert await who.status("GET", path) == 401
    async with plain_http.AsyncClient(base_url=the_door.url) as http:
        assert (await http.get(path)).status_code == 401
        bearer = {"Authorization": f"Bearer {lease_token(world.sealer, machine.lease_id, VAULT)}"}
        assert (await http.get(path, headers=bearer)).status_code == 200


async def test_a_lease_that_serves_another_now_opens_the_others(world: World, the_door: Door, machine: Machine) -> None:
    path = f"/{machine.instance_id}/config"
    moving, instance_id = await world.lease(machine.instance_id), await world.instance()
    assert await caller(world, the_door, moving).status("GET", path) == 200
    async with world.database.begin() as session:
        (await session.get_one(Lease, moving.lease_id)).holder_id = str(instance_id)

    async def refused() -> bool | None:
        return await caller(world, the_door, moving).status("GET", path) == 403 or None

    await until(refused, "the door to shut", 10)


def test_tokens_outlive_a_rotation_and_are_good_for_one_purpose() -> None:
    first = new_id("lease")
    before = lease_token(Sealer(SECRETS), first, "vault")
    rotated = Sealer(f"{'n' * 40},{SECRETS}")
    assert lease_of(rotated, before, "vault") == first
    assert lease_of(rotated, before, "agent") is None
    assert lease_of(rotated, before.replace(first, new_id("lease")), "vault") is None
    assert lease_of(Sealer("n" * 40), before, "vault") is None
    for nonsense in ("", ".", f"{first}.", f"{first}.é", "\udcff.x"):
        assert lease_of(rotated, nonsense, "vault") is None
