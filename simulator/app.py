"""Putting it together: the cloud of one data folder, and the web application before it."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from simulator import (
    control,
    control_accounts,
    control_machines,
    control_market,
    control_reset,
    control_scenarios,
    ledger,
    page,
)
from simulator.cloud import Cloud
from simulator.control_scenarios import DRILLS
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.lifecycle import Lifecycle
from simulator.machines.disk import Disks
from simulator.machines.layers import Layers
from simulator.market_life import MarketLife
from simulator.privileges import Privileges
from simulator.scenario import Drills
from simulator.settings import Speed, for_speed
from simulator.store import Store
from simulator.timekeeping import keep_time
from simulator.wire import (
    api_keys,
    billing,
    front,
    instances,
    listing,
    logs,
    nothing,
    offers,
    rent,
    ssh_keys,
    terms,
    users,
    webhooks,
)
from simulator.wire.answers import CLOUD, LIFE, LIFECYCLE

ROUTES = (
    control, control_accounts, control_machines, control_market, control_reset, control_scenarios, page,
    listing, nothing, instances, terms, offers,
    rent, ssh_keys, users, api_keys, webhooks, billing, logs,
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
    store = Store(folder / "simulator.sqlite")
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
        middlewares=[front.log_requests, front.strike, front.errors, front.admit], client_max_size=1 << 22
    )
    app[CLOUD] = cloud
    app[LIFECYCLE] = Lifecycle(cloud)
    app[LIFE] = MarketLife(cloud, app[LIFECYCLE])
    app[DRILLS] = Drills(cloud, app[LIFE])
    for part in ROUTES:
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
    await cloud.notices.close()
    await lifecycle.close()
    cloud.store.set_fact("last_seen", str(time.time()))
    cloud.store.close()
