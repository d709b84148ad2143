"""Putting it together: the cloud of one data folder, and the web application before it."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from simulator import page
from simulator.control import accounts, books, faults, machines, market, reset, scenarios, settings
from simulator.control.scenarios import DRILLS
from simulator.faults import Faults
from simulator.machines.disk import Disks
from simulator.machines.layers import Layers
from simulator.machines.privileges import Privileges
from simulator.scenarios.drill import Drills
from simulator.settings import Speed, for_speed
from simulator.store import RecordStore
from simulator.timekeeping import keep_time
from simulator.vast import ledger
from simulator.vast.api import (
    api_keys,
    billing,
    empty_lists,
    instance_list,
    instances,
    logs,
    middleware,
    offers,
    rent,
    ssh_keys,
    terms,
    users,
    webhooks,
)
from simulator.vast.api.http import CLOUD, LIFE, LIFECYCLE
from simulator.vast.cloud import Cloud
from simulator.vast.instances.fleet import Fleet
from simulator.vast.instances.lifecycle import Lifecycle
from simulator.vast.market.life import MarketLife

CONTROL = (settings, faults, books, accounts, reset, machines, market, scenarios, page)
VAST = (
    instance_list, empty_lists, instances, terms, offers, rent, ssh_keys, users, api_keys, webhooks, billing, logs,
)  # fmt: skip


async def open_cloud(
    folder: Path,
    speed: Speed,
    seed: int,
    privileges: Privileges,
    disks: Disks | None = None,
    openssh: bool = False,
) -> Cloud:
    """The cloud as the data folder has it; a new folder is a new cloud."""
    (folder / "machines").mkdir(parents=True, exist_ok=True)
    layers = Layers(folder / "images", privileges.in_user_namespace)
    await asyncio.to_thread(layers.build)
    store = RecordStore(folder / "simulator.sqlite")
    number = int(store.fact("network") or secrets.randbelow(64))
    store.set_fact("network", str(number))
    fleet = Fleet(folder / "machines", number, privileges.namespaces, layers, disks, openssh)
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
        middlewares=[middleware.log_requests, middleware.strike, middleware.errors, middleware.admit],
        client_max_size=1 << 22,
    )
    app[CLOUD] = cloud
    app[LIFECYCLE] = Lifecycle(cloud)
    app[LIFE] = MarketLife(cloud, app[LIFECYCLE])
    app[DRILLS] = Drills(cloud, app[LIFE])
    for part in (*CONTROL, *VAST):
        part.routes(app)
    app.cleanup_ctx.append(run_machines)
    return app


async def run_machines(app: web.Application) -> AsyncIterator[None]:
    """Boot what ran before, keep time, and at the end stop every machine."""
    cloud, lifecycle = app[CLOUD], app[LIFECYCLE]
    lifecycle.resume()
    beat = asyncio.create_task(keep_time(cloud, lifecycle, app[LIFE]))
    yield
    beat.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beat
    await app[DRILLS].close()
    await cloud.notifications.close()
    await lifecycle.close()
    cloud.store.set_fact("last_seen", str(time.time()))
    cloud.store.close()
