"""The reaper's look at an account with a thousand machines: every lease in the ledger, every machine in the listing."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, select
from temporalio.testing import ActivityEnvironment

from activities.machines.reaping import ReapActivities
from benchmarks.figures import Figure
from benchmarks.system import running
from clouds.connections import Providers
from clouds.keys import KEY_PURPOSE
from db.accounts.tables import Account, ProviderKey, User
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from db.tables import Installation
from domain.accounts.phases import KeyStatus
from domain.machines.phases import LeaseState
from settings import Settings

LEASES, RUNS, PAGE = 1000, 10, 25
SECRET = "a secret of this measurement that is long enough"  # noqa: S105 - it seals nothing but this measurement's own key


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as addresses:
        samples = asyncio.run(_sweeps(addresses))
    return [Figure(f"one sweep of {LEASES} leases, {LEASES // PAGE} pages, nothing to do", samples)]


async def _sweeps(addresses: dict[str, Any]) -> list[float]:
    settings = Settings(database_url=addresses["database"], cloud_pace=0)
    database = Database(settings.database_url)
    account_id, labels = await _rows(database)
    http = httpx.AsyncClient(transport=httpx.MockTransport(_listing(labels)))
    reaping = ReapActivities(Providers(database, Sealer(SECRET), settings, http))
    samples = []
    for _ in range(RUNS):
        began = time.monotonic()
        sweep = await ActivityEnvironment().run(reaping.sweep_account, account_id)
        samples.append(1000 * (time.monotonic() - began))
        if sweep.listed != LEASES or sweep.candidates:
            raise RuntimeError(f"an odd sweep: {sweep}")
    await database.close()
    return samples


async def _rows(database: Database) -> tuple[int, list[str]]:
    """An account with a thousand running leases."""
    async with database.begin() as session:
        home = (await session.scalars(select(Installation.uid))).one()
        user = (await session.scalars(select(User).limit(1))).one()
        account = Account(cloud="vast", url="http://measured", cloud_user_id="1")
        session.add(account)
        await session.flush()
        sealed = Sealer(SECRET).seal("key", KEY_PURPOSE)
        key = ProviderKey(
            account_id=account.id, cloud="vast", url="http://measured", sealed=sealed, fingerprint="f", last4="last"
        )
        key.status = KeyStatus.VALID
        session.add(key)
        await session.flush()
        rows = [_lease(number, home, user.id, account.id, key.id) for number in range(LEASES)]
        await session.execute(insert(Lease), rows)
        return account.id, [row["label"] for row in rows]


def _lease(number: int, home: str, user_id: int, account_id: int, key_id: int) -> dict[str, Any]:
    lease_id = f"lease_{number:016d}"
    facts = {"id": lease_id, "label": f"dumont/{home}/{lease_id}", "cloud_id": str(number), "state": LeaseState.RUNNING}
    owner = {"account_id": account_id, "provider_key_id": key_id, "user_id": user_id}
    offer = {"offer_id": str(number), "host_id": str(number), "gpu_name": "RTX 4090", "num_gpus": 1, "dph_total": 0.3}
    rest = {"offer": {}, "seen": {}, "public_key": "-", "sealed_private_key": "-", "wanted": True}
    return facts | owner | offer | rest | {"holder_kind": "instance", "holder_id": "0"}


def _listing(labels: list[str]) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params.get("after_token", "0"))
        numbers = range(begin, min(begin + PAGE, len(labels)))
        token = str(begin + PAGE) if begin + PAGE < len(labels) else None
        rows = [{"id": number, "label": labels[number], "actual_status": "running"} for number in numbers]
        return httpx.Response(200, json={"success": True, "instances": rows, "next_token": token})

    return answer
