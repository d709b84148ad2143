"""An instance on a machine of the simulator, and a user of it: the rows that the api and the workflows write."""

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text, update

from clients.ssh import generate_keypair
from clients.ssh_keys import read_public_key
from db.accounts.ssh_keys import add_key
from db.instances.ssh_identity import new_identity
from db.instances.tables import Instance, SshPort
from db.machines.tables import Lease
from db.notify import notify_instance
from db.session import Database
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.machines.machines import MachineSeen
from domain.market.offers import OfferQuery
from tests.gateway.rows import Rows
from tests.ports import free_port
from tests.simulator.conftest import Simulator, poll
from tests.simulator.shells import address, answers


@dataclass(frozen=True)
class Rented:
    """A machine, and the key that opens it."""

    cloud_id: int
    private_key: str
    public_key: str
    host: str
    port: int
    host_key: str


def rent(simulator: Simulator) -> Rented:
    """A machine that answers SSH."""
    private, public = generate_keypair()
    row = simulator.await_status(simulator.rent(env={"SSH_PUBLIC_KEY": public}), "running")
    host, port = address(row)
    poll(lambda: answers(host, port))
    return Rented(row["id"], private, public, host, port, host_key_at(host, port))


def host_key_at(host: str, port: int) -> str:
    scan = ["ssh-keyscan", "-t", "ed25519", "-p", str(port), host]
    text = poll(lambda: subprocess.run(scan, capture_output=True, text=True, check=False).stdout.strip())
    return str(text.split(maxsplit=1)[1])


class Place:
    """One user with one instance."""

    def __init__(self, database: Database, folder: Path, shard: str) -> None:
        self.database, self.folder, self.shard = database, folder, shard
        self.rows = Rows(database)
        self.port = free_port()
        self.key = folder / "id_ed25519"
        self.known_hosts = folder / "known_hosts"

    async def begin(self, machine: Rented | None) -> None:
        await self.rows.begin()
        make_key(self.key)
        self.host_key, sealed = new_identity(self.rows.sealer)
        async with self.database.begin() as session:
            instance = Instance(
                user_id=self.rows.user_id,
                provider_key_id=self.rows.key_id,
                kind=InstanceKind.INTERACTIVE,
                status=InstanceStatus.PAUSED if machine is None else InstanceStatus.RUNNING,
                desired=Desired.PAUSED if machine is None else Desired.RUNNING,
                spec=InstanceSpec(query=OfferQuery()).model_dump(mode="json"),
                ssh_port=self.port,
                ssh_host_key=self.host_key,
                sealed_ssh_host_key=sealed,
            )
            session.add(instance)
            await session.flush()
            self.id = instance.id
            self.sleep = f"sleep 77{self.id}"  # told apart from what other tests left on the machine
            session.add(SshPort(shard=self.shard, port=self.port, instance_id=self.id))
        await self.add_key(self.key)
        if machine is not None:
            await self.move_to(machine)

    async def end(self) -> None:
        """It is over: a gateway keeps a connection to the machine of every instance that is not."""
        await self.change(status=InstanceStatus.DESTROYED, desired=Desired.DESTROYED, lease_id=None)

    async def add_key(self, file: Path) -> str:
        """An account key from `<file>.pub`; its id."""
        public = read_public_key(file.with_suffix(".pub").read_text())
        async with self.database.begin() as session:
            row, _ = await add_key(session, self.rows.user_id, file.name, public.line, public.fingerprint)
            return row.id

    async def move_to(self, machine: Rented, **values: Any) -> str:
        """The instance runs there from now on; the lease's id."""
        seen = MachineSeen(public_ipaddr=machine.host, ports={"22/tcp": machine.port})
        lease_id = await self._lease(machine, seen)
        await self.change(status=InstanceStatus.RUNNING, desired=Desired.RUNNING, lease_id=lease_id, **values)
        return lease_id

    async def _lease(self, machine: Rented, seen: MachineSeen) -> str:
        class Like:
            ssh_port, host_key = machine.port, machine.host_key
            public_key, private_key = machine.public_key, machine.private_key

        lease_id = await self.rows.lease(Like(), price_usd_per_hour=0.42)  # type: ignore[arg-type]
        async with self.database.begin() as session:
            now = update(Lease).where(Lease.id == lease_id).values(seen=seen.model_dump(mode="json"))
            await session.execute(now)
        return lease_id

    async def change(self, *, notify: bool = True, **values: Any) -> None:
        async with self.database.begin() as session:
            await session.execute(update(Instance).where(Instance.id == self.id).values(**values))
            if notify:
                await notify_instance(session, self.id)

    async def pause(self) -> None:
        await self.change(status=InstanceStatus.PAUSED, desired=Desired.PAUSED)

    async def read(self) -> Instance:
        async with self.database.begin() as session:
            row = await session.get(Instance, self.id)
            assert row is not None
            return row

    async def wakes(self) -> int:
        """How often somebody woke it, by its timeline."""
        async with self.database.begin() as session:
            count = text("SELECT count(*) FROM events WHERE subject = :subject AND kind = 'wake'")
            return int(await session.scalar(count, {"subject": f"instance:{self.id}"}) or 0)

    async def traffic_age(self) -> float | None:
        """Seconds since traffic was last noted, by the database's clock."""
        async with self.database.begin() as session:
            age = func.extract("epoch", func.clock_timestamp() - Instance.traffic_at)
            found = await session.scalar(select(age).where(Instance.id == self.id))
            return None if found is None else float(found)


def make_key(file: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)


def name() -> str:
    return secrets.token_hex(6)
