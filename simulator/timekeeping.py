"""What happens by the clock: money runs out, queued starts fire, bids are settled, offers end, the market lives."""

import asyncio
import logging
import time

from simulator.vast.cloud import Cloud
from simulator.vast.instances.lifecycle import Lifecycle
from simulator.vast.market import hosts
from simulator.vast.market.life import MarketLife
from simulator.vast.records import Account

logger = logging.getLogger(__name__)
LOW_CREDIT = 5.0
"""$ under which the low-credit notice goes out"""


async def keep_time(cloud: Cloud, lifecycle: Lifecycle, life: MarketLife) -> None:
    """For as long as the simulator runs."""
    last, last_rewrite = time.monotonic(), time.monotonic()
    while True:
        await asyncio.sleep(cloud.settings.clocks.beat)
        now = time.monotonic()
        try:
            await _beat(cloud, lifecycle, life, now - last)
            every = cloud.settings.clocks.rewrite_keys
            if every and now - last_rewrite >= every:
                last_rewrite = now
                rewrite_keys(cloud)
        except Exception:
            logger.exception("a beat of the clock failed; the next one comes")
        last = now


async def _beat(cloud: Cloud, lifecycle: Lifecycle, life: MarketLife, seconds: float) -> None:
    cloud.store.set_fact("last_seen", str(time.time()))
    for account in cloud.accounts.values():
        watch_credit(cloud, lifecycle, account)
    await life.advance(seconds / 3600 * cloud.settings.market.rate)
    await hosts.keep_end_dates(cloud, lifecycle)
    waiting = {c.machine_id for c in cloud.living() if c.is_bid or c.start_queued}
    for number in waiting:
        hosts.settle(cloud, lifecycle, cloud.hosts[number])
    for contract in cloud.living():
        if machine := cloud.fleet.known(contract.id):
            cloud.count_traffic(contract, machine)


def watch_credit(cloud: Cloud, lifecycle: Lifecycle, account: Account) -> None:
    """A notice when it is low; when it is used up, everything that the account runs is stopped."""
    left = cloud.credit(account)
    if left < LOW_CREDIT and not account.warned:
        account.warned = True
        cloud.store.save("accounts", account.id, account)
        cloud.notifications.tell_account("client:low_credit", account.id, f"${left:.2f} are left")
    if left > 0:
        return
    for contract in cloud.living(account):
        if contract.intended_status == "running" or contract.outbid or contract.start_queued:
            logger.warning("account %s has no credit: stopping machine %s", account.id, contract.id)
            lifecycle.stop(contract)


def rewrite_keys(cloud: Cloud, account: Account | None = None) -> None:
    """The platform's own keys and no others, on every machine or one account's (SkyPilot #10730)."""
    for contract in cloud.living(account):
        machine = cloud.fleet.known(contract.id)
        if machine and machine.spec:
            machine.set_keys(cloud.keys_of(contract), only=True)
