"""Putting it together: the cloud of one data folder, and the web application before it."""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from simulator import control, ledger
from simulator.cloud import Cloud
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.lifecycle import Lifecycle
from simulator.machines.layers import Layers
from simulator.market import gpus_held
from simulator.privileges import Privileges
from simulator.settings import Speed, for_speed
from simulator.store import Store
from simulator.wire import front, instances, listing, logs, offers, rent, ssh_keys, users
from simulator.wire.answers import CLOUD, LIFECYCLE

logger = logging.getLogger(__name__)
HEARTBEAT = 1.0
"""seconds between two looks at the clock: credit, queued starts, and when we were last seen alive"""


async def open_cloud(folder: Path, speed: Speed, seed: int, privileges: Privileges) -> Cloud:
    """The cloud as the data folder has it; a new folder is a new cloud."""
    (folder / "machines").mkdir(parents=True, exist_ok=True)
    layers = Layers(folder / "images", privileges.in_user_namespace)
    await asyncio.to_thread(layers.build)
    store = Store(folder / "simulator.sqlite")
    number = int(store.fact("network") or secrets.randbelow(64))
    store.set_fact("network", str(number))
    fleet = Fleet(folder / "machines", number, privileges.namespaces, layers)
    cloud = Cloud(folder, speed, seed, for_speed(speed), store, fleet, Faults(seed))
    open_account(cloud)
    fleet.sweep({contract.id for contract in cloud.living()})
    last_seen, now = float(store.fact("last_seen") or time.time()), time.time()
    for contract in cloud.living():
        ledger.skip_downtime(contract, last_seen, now)
    return cloud


def open_account(cloud: Cloud) -> None:
    """The default account, with the key of SIMULATOR_API_KEY or one made once and kept in DIR/api_key."""
    file = cloud.folder / "api_key"
    key = os.environ.get("SIMULATOR_API_KEY") or (file.read_text().strip() if file.exists() else "")
    key = key or secrets.token_hex(32)
    file.touch(0o600)
    file.chmod(0o600)
    file.write_text(key + "\n")
    first = next(iter(cloud.accounts.values()), None)
    if first is None:
        cloud.add_account(key)
    elif first.api_key != key:
        first.api_key = key
        cloud.store.save("accounts", first.id, first)


def make_app(cloud: Cloud) -> web.Application:
    app = web.Application(
        middlewares=[front.log_requests, front.strike, front.errors, front.admit], client_max_size=1 << 22
    )
    app[CLOUD] = cloud
    app[LIFECYCLE] = Lifecycle(cloud)
    for part in (control, listing, instances, offers, rent, ssh_keys, users, logs):
        part.routes(app)
    app.cleanup_ctx.append(run_machines)
    return app


async def run_machines(app: web.Application) -> AsyncIterator[None]:
    """Boot what ran before, keep time, and at the end stop every machine."""
    cloud, lifecycle = app[CLOUD], app[LIFECYCLE]
    lifecycle.resume()
    beat = asyncio.create_task(keep_time(cloud, lifecycle))
    yield
    beat.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beat
    await lifecycle.close()
    cloud.store.set_fact("last_seen", str(time.time()))
    cloud.store.close()


async def keep_time(cloud: Cloud, lifecycle: Lifecycle) -> None:
    while True:
        cloud.store.set_fact("last_seen", str(time.time()))
        for account in cloud.accounts.values():
            if cloud.credit(account) <= 0:
                stop_all(cloud, lifecycle, account.id)
        fire_queued_starts(cloud, lifecycle)
        await asyncio.sleep(HEARTBEAT)


def stop_all(cloud: Cloud, lifecycle: Lifecycle, account_id: int) -> None:
    """Credit used up: everything that the account runs is stopped."""
    for contract in cloud.living():
        if contract.account_id == account_id and contract.intended_status == "running":
            logger.warning("account %s has no credit: stopping machine %s", account_id, contract.id)
            lifecycle.stop(contract)


def fire_queued_starts(cloud: Cloud, lifecycle: Lifecycle) -> None:
    for contract in cloud.living():
        host = cloud.hosts[contract.machine_id]
        free = host.gpus - gpus_held(host, cloud.living(), but=contract.id)
        if contract.start_queued and free >= contract.num_gpus:
            lifecycle.start(contract)
