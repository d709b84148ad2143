"""``POST /simulator/reset``: everything as on the first day, or one account as on its first."""

import asyncio
import time
from typing import Any

from aiohttp import web

from simulator.control.accounts import account_in
from simulator.vast.api.http import LIFE, add, answer, cloud_of, lifecycle_of
from simulator.vast.cloud import FIRST_CREDIT, Cloud
from simulator.vast.instances.lifecycle import Lifecycle
from simulator.vast.records import Account, Payment


def routes(app: web.Application) -> None:
    add(app, "POST", "/simulator/reset", reset)


async def reset(request: web.Request) -> web.Response:
    """All machines gone, faults and logs cleared, the market as seeded. Accounts stay, with their first credit. With
    ``?account=`` only what is that account's goes, and the market stays as it is."""
    cloud, account = cloud_of(request), account_in(request)
    for one in [account] if account else list(cloud.accounts.values()):
        await _empty(cloud, lifecycle_of(request), one)
    if account is None:
        _begin_again(cloud)
        request.app[LIFE].forget()
    return answer({"success": True})


async def _empty(cloud: Cloud, lifecycle: Lifecycle, account: Account) -> None:
    await asyncio.gather(*(lifecycle.end(contract, "killed") for contract in cloud.living(account)))
    kinds: dict[str, dict[int, Any]] = {
        "contracts": cloud.contracts, "ssh_keys": cloud.ssh_keys, "api_keys": cloud.api_keys,
        "webhooks": cloud.webhooks,
    }  # fmt: skip
    for kind, records in kinds.items():
        for number in [number for number, record in records.items() if record.account_id == account.id]:
            del records[number]
            cloud.store.delete(kind, number)
    cloud.faults.clear(account.id)
    cloud.account_settings.forget(account.id)
    cloud.limiters.pop(account.id, None)
    cloud.rent_requests.pop(account.id, None)
    _give_first_credit(cloud, account)


def _give_first_credit(cloud: Cloud, account: Account) -> None:
    account.credit = account.payments[0].amount if account.payments else FIRST_CREDIT
    account.payments = [Payment(time=time.time(), amount=account.credit)]
    account.secrets, account.details, account.warned = {}, {}, False
    cloud.store.save("accounts", account.id, account)


def _begin_again(cloud: Cloud) -> None:
    """What is nobody's: the faults that strike everybody, the logs, the market."""
    cloud.faults.clear()
    cloud.requests.clear()
    cloud.limiters.clear()
    for kind in ("hosts", "offers"):
        cloud.store.clear(kind)
    cloud.populate()
