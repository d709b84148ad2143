"""What jobs left is let go of when its time is over: of each by itself."""

import secrets
from pathlib import Path

import pytest
from sqlalchemy import func, select
from temporalio.testing import ActivityEnvironment

from activities.errors import NotYet
from activities.jobs.artifacts import ArtifactActivities
from activities.machines.machines import MachineActivities
from clients.object_store import ObjectStore, StoreError
from clouds.connections import Providers
from db.jobs.tables import Job
from db.sealing import Sealer
from db.session import Database
from settings import Settings
from tests.db.ledger import Ledger


class Store(ObjectStore):
    """It does not delete what some jobs left."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.kept: set[str] = set()

    async def delete_under(self, prefix: str) -> None:
        if prefix.removeprefix("jobs/") in self.kept:
            raise StoreError("locked")


async def test_a_job_whose_files_cannot_be_deleted_keeps_no_others(
    database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    store, settings = Store(tmp_path), Settings(_env_file=None)
    providers = Providers(database, Sealer("a secret of these tests that is long enough"), settings)
    artifacts = ArtifactActivities(database, store, MachineActivities(providers), settings)
    jobs = [f"job_{secrets.token_hex(6)}" for _ in range(3)]
    async with database.begin() as session:
        owner = {"user_id": ledger.user_id, "provider_key_id": ledger.key_id}
        over = func.clock_timestamp()
        session.add_all(Job(id=id, name="over", spec={}, expires_at=over, **owner) for id in jobs)

    async def left() -> set[str]:
        async with database.begin() as session:
            mine = Job.user_id == ledger.user_id, Job.expired_at.is_(None)
            return set((await session.scalars(select(Job.id).where(*mine))).all())

    store.kept = set(jobs[:2])
    with pytest.raises(NotYet):  # so that it is tried again
        await ActivityEnvironment().run(artifacts.expire_jobs)
    assert await left() == store.kept
    store.kept = set()
    await ActivityEnvironment().run(artifacts.expire_jobs)
    assert await left() == set()
    await providers.close()
