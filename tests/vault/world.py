"""A vault, a database, and simulated machines whose rows are written by hand: all real, but for the flows."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.errors import NotYet
from activities.machines.machines import MachineActivities
from activities.snapshots.restores import RestoreActivities, RestoreOrder
from activities.snapshots.vault import SnapshotOrder, SnapshotTaken, VaultActivities
from clients.ssh import connect, generate_keypair, host_key_of, run
from clouds.connections import Providers
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from db.snapshots.tables import Snapshot
from domain.ids import new_id
from domain.instances.instances import InstanceSpec
from domain.instances.phases import InstanceKind, InstanceStatus
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseState, Power
from domain.market.offers import OfferQuery
from settings import Settings
from tests import plain_http
from tests.db.accounts import add_account
from tests.patience import PATIENCE_SECONDS
from tests.simulator.conftest import ROOT, Simulator, poll
from tests.simulator.shells import address

SECRETS = "a secret of the vault's tests that is long enough"
Given = TypeVar("Given")
Result = TypeVar("Result")


@contextmanager
def door(settings: Settings) -> Iterator["Door"]:
    """A running `python -m vault`."""
    opened = Door(settings)
    opened.start()
    try:
        yield opened
    finally:
        opened.end(signal.SIGTERM)


class Door:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.url = f"http://127.0.0.1:{settings.vault_port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        mine = self._settings
        environment = {
            **os.environ,
            "DUMONT_DATABASE_URL": mine.database_url,
            "DUMONT_SECRET_KEYS": SECRETS,
            "DUMONT_VAULT_PORT": str(mine.vault_port),
            "DUMONT_VAULT_BACKEND": mine.vault_store,
            "DUMONT_DATA_DIR": str(mine.data_dir),
        }
        with (mine.data_dir / "vault.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vault"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        poll(self._is_well)

    def _is_well(self) -> bool:
        try:
            return plain_http.get(f"{self.url}/health", timeout=60).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(120)


@dataclass
class Machine:
    """A simulated machine and the lease that it is rented with; `number` is the simulator's."""

    number: int
    lease_id: str
    instance_id: int
    private_key: str = field(repr=False)


class World:
    def __init__(self, settings: Settings, database: Database, simulator: Simulator) -> None:
        self.settings, self.database, self.simulator = settings, database, simulator
        self.sealer = Sealer(SECRETS)
        self.clouds = Providers(database, self.sealer, settings)
        self.machines = MachineActivities(self.clouds)
        self.vault = VaultActivities(database, self.sealer, settings, self.machines)
        self.restores = RestoreActivities(database, self.sealer, settings, self.machines)

    def changed(self, **settings: Any) -> "World":
        """The same with other settings on our own side."""
        return World(self.settings.model_copy(update=settings), self.database, self.simulator)

    async def begin(self) -> None:
        async with self.database.begin() as session:
            self.user_id, self.account_id, self.key_id = await add_account(session)

    async def instance(self, **changes: Any) -> int:
        values = {
            "user_id": self.user_id,
            "provider_key_id": self.key_id,
            "kind": InstanceKind.INTERACTIVE,
            "status": InstanceStatus.RUNNING,
            "spec": InstanceSpec(query=OfferQuery()).model_dump(mode="json"),
            "persist": ["/workspace"],
        }
        row = Instance(**(values | changes))
        async with self.database.begin() as session:
            session.add(row)
        return row.id

    async def machine(self, instance_id: int | None = None, **body: Any) -> Machine:
        """A machine that runs and is the instance's home."""
        number = await self.instance() if instance_id is None else instance_id
        private, public = generate_keypair()
        env = {"SSH_PUBLIC_KEY": public}
        rented = await asyncio.to_thread(lambda: self.simulator.rent(env=env, **body))
        row = await asyncio.to_thread(self.simulator.await_status, rented, "running")
        lease_id = await self._lease(number, rented, row, private, public)
        machine = Machine(rented, lease_id, number, private)
        await self._pin(machine)
        return machine

    async def lease(self, instance_id: int | None = None) -> Machine:
        """All that the vault's door knows of a machine: its lease. There is no machine."""
        number = await self.instance() if instance_id is None else instance_id
        nowhere = {"public_ipaddr": "127.0.0.1", "ports": {"22/tcp": [{"HostPort": "1"}]}}
        return Machine(0, await self._lease(number, secrets.randbelow(10**12), nowhere, "", ""), number, "")

    async def _lease(self, instance_id: int, rented: int, row: dict[str, Any], private: str, public: str) -> str:
        host, port = address(row)
        lease_id = new_id("lease")
        seen = MachineSeen(public_ipaddr=host, ports={"22/tcp": port})
        values = {
            "id": lease_id,
            "account_id": self.account_id,
            "provider_key_id": self.key_id,
            "user_id": self.user_id,
            "holder_kind": "instance",
            "holder_id": str(instance_id),
            "label": f"dumont/test/{lease_id}",
            "offer_id": secrets.token_hex(5),
            "host_id": "1",
            "gpu_name": "RTX 4090",
            "num_gpus": 1,
            "price_usd_per_hour": 0.3,
            "offer": {},
            "spec": {},
            "state": LeaseState.RUNNING,
            "power": Power.RUNNING,
            "cloud_id": str(rented),
            "seen": seen.model_dump(mode="json"),
            "public_key": public,
            "sealed_private_key": self.sealer.seal(private, "lease-ssh-key"),
        }
        async with self.database.begin() as session:
            session.add(Lease(**values))
            instance = await session.get_one(Instance, instance_id)
            instance.lease_id = instance.data_lease_id = lease_id
        return lease_id

    async def _pin(self, machine: Machine) -> None:
        async def reached() -> str:
            async with self.database.begin() as session:
                target = self.machines.target(await session.get_one(Lease, machine.lease_id))
            connection = await connect(target, timeout=60)
            connection.close()
            return host_key_of(connection)

        host_key = await until(reached, "the machine's SSH")
        async with self.database.begin() as session:
            (await session.get_one(Lease, machine.lease_id)).host_key = host_key

    async def say(self, machine: Machine, command: str, *, timeout: float = 60) -> str:
        """What a command on the machine prints; it must succeed."""
        async with self.database.begin() as session:
            target = self.machines.target(await session.get_one(Lease, machine.lease_id))
        async with await connect(target, timeout=60) as connection:
            done = await run(connection, command, timeout=timeout)
        assert done.exit_code == 0, done.stderr
        return done.stdout.strip()

    async def close_lease(self, machine: Machine) -> None:
        async with self.database.begin() as session:
            lease = await session.get_one(Lease, machine.lease_id)
            lease.state, lease.wanted = LeaseState.CLOSED, False

    async def begun(self, machine: Machine, **order: Any) -> str:
        snapshot_id = new_id("snap")
        await self.vault.begin_snapshot(
            SnapshotOrder(snapshot_id=snapshot_id, instance_id=machine.instance_id, **({"final": True} | order))
        )
        return snapshot_id

    async def taken(self, machine: Machine, **order: Any) -> tuple[str, SnapshotTaken]:
        snapshot_id = await self.begun(machine, **order)
        taken = await perform(self.vault.take_snapshot, snapshot_id)
        await perform(self.vault.verify_snapshot, snapshot_id)
        return snapshot_id, taken

    async def restore_in_place(self, machine: Machine, snapshot_id: str) -> RestoreOrder:
        async with self.database.begin() as session:
            (await session.get_one(Instance, machine.instance_id)).restore_snapshot_id = snapshot_id
        return RestoreOrder(instance_id=machine.instance_id, lease_id=machine.lease_id, snapshot_id=snapshot_id)

    async def row(self, snapshot_id: str) -> Snapshot:
        async with self.database.begin() as session:
            return await session.get_one(Snapshot, snapshot_id)


def environment() -> ActivityEnvironment:
    """Of one activity: all its attempts have the same."""
    made = ActivityEnvironment()
    made.info = replace(made.info, activity_id=secrets.token_hex(8))
    return made


async def perform(
    act: Callable[[Given], Awaitable[Result]],
    given: Given,
    *,
    of: ActivityEnvironment | None = None,
    seconds: float = PATIENCE_SECONDS,
) -> Result:
    """An activity as Temporal runs it: called again whenever it says `NotYet`, with what its heartbeat said last."""
    made = of or environment()
    deadline = time.monotonic() + seconds
    while True:
        beats: list[Any] = []
        made.on_heartbeat = lambda *details, into=beats: into.append(details)
        try:
            return await made.run(act, given)
        except NotYet as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"still not after {seconds:g} s: {error}") from error
            pause = error.next_retry_delay.total_seconds() if error.next_retry_delay else 0.1
            await asyncio.sleep(min(pause, 0.5))
            last = [each.model_dump() if hasattr(each, "model_dump") else each for each in (beats[-1] if beats else ())]
            made.info = replace(made.info, heartbeat_details=last)


async def until(ask: Callable[[], Awaitable[Result | None]], what: str, seconds: float = PATIENCE_SECONDS) -> Result:
    """Ask again until there is an answer; failures on the way are waited out."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if (answer := await ask()) is not None:
                return answer
        except Exception as error:  # noqa: BLE001 - the last one is told
            last = error
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}; last: {last!r}")


def settings_for(database_url: str, folder: Path, port: int, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "database_url": database_url,
        "secret_keys": SecretStr(SECRETS),
        "vault_port": port,
        "vault_url": f"http://host.simulator:{port}",
        "data_dir": folder,
        "snapshot_stall_seconds": 60.0,
        "_env_file": None,
    }
    return Settings(**(values | more))
