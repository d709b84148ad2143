"""What users ask for, as the api writes it: the rows first, then a word to the flows."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints import deployments, endpoints
from db.instances.desired_state import request_action, set_desired
from db.instances.instances import Address, NewInstance, create_instance
from db.instances.tables import Instance
from db.jobs.jobs import cancel_job, create_job
from db.jobs.tables import Job
from db.machines import leases
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.holders import instance_holder
from domain.instances.actions import InstanceAction
from domain.instances.instances import DEFAULT_PERSIST, InstanceSpec
from domain.instances.phases import Desired, InstanceKind, InstanceStatus, SshWake
from domain.jobs.spec import JobSpec
from domain.lifecycles import LIFECYCLES
from domain.market.offers import OfferQuery
from domain.refusals import Refusal
from domain.snapshots.phases import SnapshotStatus
from domain.workflow_contracts import endpoint_workflow_id, job_workflow_id
from tests.protocol import rows
from tests.protocol.events import DeleteSnapshot, PutBack, StartJob
from tests.protocol.vault import A_PART
from tests.protocol.world import World

ADDRESS = Address("127.0.0.1", "main", range(22000, 22999))
OWNER = "Its owner"


class Owners:
    """Keeps what the events of a schedule count by: instances and jobs in the order of their making."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.instances: list[int] = []
        self.jobs: list[str] = []

    def instance(self, number: int) -> int:
        return self.instances[number % len(self.instances)]

    async def deploy(self, user: int) -> None:
        async with self._world.database.begin() as session:
            made = await self._world.deploys.write(session, user)
        self.instances.append(made)
        await self._world.workflows.start_instance(made)
        await self._world.deploys.begin(made)

    async def create(self, user: int, restore: str | None = None) -> None:
        async with self._world.database.begin() as session:
            made = await create_instance(session, self._world.sealer, ADDRESS, _wanted(user, restore))
        self.instances.append(made.id)
        await self._world.workflows.start_instance(made.id)

    async def start_job(self, event: StartJob) -> None:
        spec = JobSpec(
            script=f"sleep {event.seconds}",
            max_retries=event.retries,
            checkpoint_minutes=0.25 if event.checkpoints else None,
        )
        user = event.user + 1
        async with self._world.database.begin() as session:
            job = await create_job(
                session, self._world.sealer, user_id=user, provider_key_id=user, name="job", spec=spec, env={}
            )
        self.jobs.append(job.id)
        await self._world.workflows.start_job(job.id)

    async def cancel_job(self, number: int) -> None:
        job_id = self.jobs[number % len(self.jobs)]
        async with self._world.database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            if job.status.is_over:
                return
            await cancel_job(session, job)
        await self._world.workflows.changed(job_workflow_id(job_id), "its owner cancelled it")

    async def ask(self, instance_id: int, action: InstanceAction, *, told: bool) -> None:
        try:
            async with self._world.database.begin() as session:
                instance = await session.get_one(Instance, instance_id, with_for_update=True)
                news = await request_action(session, instance, action, by=OWNER)
        except Refusal:
            return
        if news and told:
            await self._world.workflows.tell_instance(instance_id)

    async def persist(self, instance_id: int, path: str) -> None:
        async with self._world.database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            instance.persist = [*instance.persist, path]
        await self._world.workflows.tell_instance(instance_id)

    async def destroy(self, instance_id: int) -> None:
        """As `DELETE /instances` does: models on it stop."""
        async with self._world.database.begin() as session:
            instance = await session.get(Instance, instance_id, with_for_update=True)
            if instance is None or instance.status.is_over:
                return
            await set_desired(session, instance, Desired.DESTROYED, by=OWNER, why="Not needed.")
            served = await endpoints.open_endpoints_of(session, instance_id)
            for endpoint_id in served:
                await deployments.stop(session, endpoint_id, "Its instance was destroyed.")
        await self._world.workflows.tell_instance(instance_id)
        for endpoint_id in served:
            await self._world.workflows.changed(endpoint_workflow_id(endpoint_id), "its owner stopped it")

    async def take_snapshot(self, instance_id: int, *, part: bool) -> None:
        async with self._world.database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            own = LIFECYCLES[instance.kind].has_own_snapshots
            if not own or instance.status is not InstanceStatus.RUNNING:
                return
            paths = [A_PART] if part else []
            row = await snapshots.begin(session, self._world.new_id("snap"), instance, paths=paths)
        await self._world.workflows.start_snapshot(row.id, instance_id)

    async def delete_snapshot(self, instance_id: int, event: DeleteSnapshot) -> None:
        """As `DELETE /snapshots` does."""
        async with self._world.database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            ready = await _ready(session, instance_id)
            if not ready:
                return
            row = ready[event.snapshot % len(ready)]
            if row.id in await snapshots.being_restored(session, instance_id):
                return
            try:
                await snapshots.delete(session, row, instance, force=False)
            except Refusal:
                return
        await self._world.invariant.deleted(instance_id, row)

    async def put_back(self, instance_id: int, event: PutBack) -> None:
        async with self._world.database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            ready = await _ready(session, instance_id)
            if not ready or not LIFECYCLES[instance.kind].keeps_files:
                return
            snapshot = ready[event.snapshot % len(ready)]
            if not event.anew:
                try:
                    await request_action(session, instance, InstanceAction.WAKE, by=OWNER)
                except Refusal:
                    return
                instance.restore_snapshot_id = snapshot.id
        if event.anew:
            return await self.create(instance.user_id, restore=snapshot.id)
        if A_PART not in snapshot.paths:
            self._world.invariant.put_back(instance_id, snapshot.id)
        await self._world.workflows.tell_instance(instance_id)

    async def hand_over(self, old: int) -> None:
        """A new instance takes the lease; the old one, wanted no longer, lets go of what it held."""
        async with self._world.database.begin() as session:
            row = await session.get_one(Instance, old)
            if row.lease_id is None or row.kind is not InstanceKind.MODEL:
                return
            new = await self._heir(session, row)
            handed = await leases.hand_over(session, row.lease_id, instance_holder(old), instance_holder(new.id))
            if not handed:
                new.lease_id, new.status, new.running_at = None, InstanceStatus.PROVISIONING, None
        async with self._world.database.begin() as session:
            await leases.request_release(session, row.lease_id, instance_holder(old))
        self.instances.append(new.id)
        await self.destroy(old)
        await self._world.workflows.start_instance(new.id)

    async def _heir(self, session: AsyncSession, row: Instance) -> Instance:
        running = {"status": InstanceStatus.RUNNING, "running_at": self._world.clock.at}
        new = rows.instance(InstanceKind.MODEL, row.user_id, lease_id=row.lease_id, **running)
        session.add(new)
        await session.flush()
        return new


async def _ready(session: AsyncSession, instance_id: int) -> list[Snapshot]:
    taken = await snapshots.of_instance(session, instance_id)
    return [each for each in taken if each.status is SnapshotStatus.READY]


def _wanted(user: int, restore: str | None) -> NewInstance:
    return NewInstance(
        user_id=user,
        provider_key_id=user,
        spec=InstanceSpec(query=OfferQuery()),
        label=None,
        persist=DEFAULT_PERSIST,
        ssh_public_keys=[],
        ssh_wake=SshWake.AUTO,
        idle_pause_minutes=None,
        idle_hibernate_minutes=None,
        warnings=[],
        restore_snapshot_id=restore,
    )
