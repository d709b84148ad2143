"""What happens to hosts, and through them to the machines on them: taken GPUs, bids, absence, removal, end dates."""

import time

from simulator.vast.cloud import Cloud
from simulator.vast.instances.lifecycle import Lifecycle
from simulator.vast.market.bidding import standing
from simulator.vast.records import Host


def settle(cloud: Cloud, lifecycle: Lifecycle, host: Host) -> None:
    """Let the GPUs go to whom they belong now: stop who was outbid, start who has waited."""
    if host.offline:
        return
    here = standing(host, cloud.living())
    winners = here.winners()
    for contract in here.contracts:
        if contract.is_bid and contract.cur_state == "running" and contract.id not in winners:
            lifecycle.outbid(contract)
    for contract in here.contracts:
        waits = contract.start_queued or contract.outbid
        if waits and lifecycle.may_run(contract) and cloud.credit(cloud.accounts[contract.account_id]) > 0:
            lifecycle.start(contract)


def change(cloud: Cloud, lifecycle: Lifecycle, host: Host) -> None:
    """A host was changed: keep it, and let its machines feel it."""
    cloud.store.save("hosts", host.id, host)
    for contract in cloud.living():
        if contract.machine_id == host.id:
            if host.offline:
                lifecycle.lose_sight(contract)
            else:
                lifecycle.see_again(contract)
    settle(cloud, lifecycle, host)


async def remove(cloud: Cloud, lifecycle: Lifecycle, host: Host) -> None:
    """The landlord took it away: its offers go, and its machines vanish with their files."""
    host.removed = True
    cloud.store.save("hosts", host.id, host)
    for contract in cloud.living():
        if contract.machine_id == host.id:
            await lifecycle.end(contract, "removed")


async def keep_end_dates(cloud: Cloud, lifecycle: Lifecycle) -> None:
    """When an offer's time is over its machines stop, and later they are deleted."""
    now = time.time()
    for contract in cloud.living():
        end = cloud.hosts[contract.machine_id].end_date
        if now > end + cloud.settings_of(contract.account_id).clocks.after_end:
            await lifecycle.end(contract, "expired")
        elif now > end and contract.intended_status == "running":
            lifecycle.stop(contract)
