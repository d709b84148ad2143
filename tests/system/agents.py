"""A rented machine with an agent, on the running system: the activities as the worker runs them, and a shell there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from activities.instances.idleness import IdlenessActivities
from activities.machines.agents import AgentActivities
from activities.machines.machines import MachineActivities
from clients.ssh import connect, run
from clouds.connections import Providers
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.instances.idleness import IdleDecision
from domain.instances.phases import InstanceKind
from settings import Settings
from tests import plain_http
from tests.system.running import Running, until


@dataclass
class Worked:
    """An instance, its lease, and what is done to them."""

    system: Running
    settings: Settings
    database: Database
    sealer: Sealer
    clouds: Providers
    instance_id: int
    lease_id: str = ""

    def activities(self, **changes: Any) -> AgentActivities:
        """With these settings changed."""
        settings = self.settings.model_copy(update=changes)
        return AgentActivities(self.database, self.sealer, settings, MachineActivities(self.clouds))

    async def install(self, **changes: Any) -> None:
        installed = await self.activities(**changes).install_agent(self.lease_id)
        assert installed.installed, installed.why

    async def judge(self, **changes: Any) -> IdleDecision:
        return await IdlenessActivities(self.database, self.settings.model_copy(update=changes)).look(self.instance_id)

    async def judged(self, word: str, **changes: Any) -> IdleDecision:
        """The verdict once its sentence has this word."""

        async def said() -> IdleDecision | None:
            verdict = await self.judge(**changes)
            return verdict if word in verdict.why else None

        return await until(said, 60, f"a verdict that says {word!r}")

    async def shell(self, command: str) -> str:
        async with self.database.begin() as session:
            lease = await session.get_one(Lease, self.lease_id)
        async with await connect(MachineActivities(self.clouds).target(lease), timeout=120) as connection:
            done = await run(connection, command, timeout=120)
        return done.stdout.strip()

    async def change(self, **values: Any) -> None:
        """Columns of the instance."""
        async with self.database.begin() as session:
            instance = await session.get_one(Instance, self.instance_id)
            for name, value in values.items():
                setattr(instance, name, value)

    async def shown(self) -> dict[str, Any]:
        answer = await self.system.api.get(f"/instances/{self.instance_id}")
        body: dict[str, Any] = answer.json()
        return body

    async def agent(self) -> dict[str, Any]:
        """What `GET /agent/instances` says of it."""
        rows = (await self.system.api.get("/agent/instances")).json()
        return next(row for row in rows if row["instance_id"] == self.instance_id)

    async def heard_after(self, moment: str | None) -> str:
        """When it was last heard, once that is later."""

        async def heard() -> str | None:
            seen: str | None = (await self.agent())["last_seen"]
            return seen if seen is not None and (moment is None or seen > moment) else None

        return await until(heard, 60, "a word from the agent")

    async def cloud_id(self) -> int:
        return int((await self.shown())["provider_id"])


@asynccontextmanager
async def worked(system: Running) -> AsyncIterator[Worked]:
    """A machine that a deployment rented; to the judge it is an interactive instance with a window of three seconds."""
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    settings = Settings(_env_file=system.installation.folder / "environment")
    database, sealer = Database(settings.database_url), Sealer(settings.secret_keys.get_secret_value())
    clouds = Providers(database, sealer, settings)
    made = Worked(system, settings, database, sealer, clouds, deployment["instance_id"])
    await made.change(kind=InstanceKind.INTERACTIVE, idle_pause_minutes=0.05)
    async with database.begin() as session:
        made.lease_id = str((await session.get_one(Instance, made.instance_id)).lease_id)
    yield made
    await clouds.close()
    await database.close()


async def post_status(system: Running, token: str) -> int:
    """A report from nowhere; the status of the answer."""
    async with plain_http.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        return (await http.post(f"{system.addresses['api']}/api/v1/agent/status", json={})).status_code
