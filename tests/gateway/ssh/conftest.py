from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from db.session import Database
from gateway.server import RunningGateway, serving
from gateway.ssh import feed, port_pool
from settings import Settings
from tests.gateway.rows import SECRETS
from tests.gateway.ssh.client import Client
from tests.gateway.ssh.place import Place, Rented, name, rent
from tests.openssh import REAL_SSHD
from tests.simulator.conftest import Simulator, running

Gateway = Callable[..., AbstractAsyncContextManager[RunningGateway]]


@pytest.fixture(scope="package")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("ssh") / "data", *REAL_SSHD) as simulator:
        yield simulator


@pytest.fixture(scope="package")
def machine(simulator: Simulator) -> Rented:
    """A machine that tests may share: they leave it running."""
    return rent(simulator)


@pytest.fixture
def shard() -> str:
    """Each test has ports of its own: the database keeps those of others."""
    return name()


@pytest.fixture
async def place(database: Database, tmp_path: Path, shard: str, machine: Rented) -> AsyncIterator[Place]:
    """An instance that runs."""
    place = Place(database, tmp_path, shard)
    await place.begin(machine)
    yield place
    await place.end()


@pytest.fixture
async def asleep(database: Database, tmp_path: Path, shard: str) -> AsyncIterator[Place]:
    """An instance that sleeps."""
    place = Place(database, tmp_path, shard)
    await place.begin(None)
    yield place
    await place.end()


def settings_for(database_url: str, shard: str, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": database_url,
        "gateway_port": 0,
        "ssh_port": 0,
        "ssh_ports": "20000-20000",
        "ssh_shard": shard,
        "secret_keys": SecretStr(SECRETS),
        "temporal_address": "127.0.0.1:1",
        "public_url": "http://reachable",
        "vault_url": "http://reachable",
        "_env_file": None,
    }
    return Settings(**(given | changes))


@pytest.fixture
def gateway(database_url: str, shard: str) -> Gateway:
    """Starts a gateway with these settings changed; it listens on the instance's port when the block begins."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[RunningGateway]:
        async with serving(settings_for(database_url, shard, **changes)) as running:
            await running.ssh.feed.refresh()
            await running.ssh.port
            yield running

    return start


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway in this process looks at its ports and rows every moment."""
    monkeypatch.setattr(feed, "REREAD_SECONDS", 0.1)
    monkeypatch.setattr(port_pool, "LOOK_SECONDS", 0.1)


@pytest.fixture
async def served(gateway: Gateway) -> AsyncIterator[RunningGateway]:
    """A gateway as it is by default."""
    async with gateway() as running:
        yield running


def client(place: Place, key: Path | None = None) -> Client:
    """A client of the instance's own port, which knows its host key."""
    client = Client(place, place.port, key or place.key)
    client.trust(place.host_key)
    return client
