"""Transitions that overtake each other, as calls from inside the simulator meet them."""

import asyncio
from pathlib import Path

from simulator.app import open_cloud
from simulator.machines.privileges import Privileges
from simulator.vast.instances.contracts import RentBody, new_contract
from simulator.vast.instances.lifecycle import Lifecycle
from tests.gateway.asking import becomes


async def test_an_end_that_is_overtaken_is_not_the_end_of_who_asked_for_it(tmp_path: Path) -> None:
    """It was the clock once: a machine destroyed just when its time was over, and the market stood still for good."""
    cloud = await open_cloud(tmp_path, "fast", 1, Privileges(namespaces=False, in_user_namespace=False))
    lifecycle = Lifecycle(cloud)
    account, offer = next(iter(cloud.accounts.values())), next(iter(cloud.offers.values()))
    contract = new_contract(cloud, account, offer, RentBody(image="ubuntu", target_state="stopped"))
    cloud.keep(contract)
    asked = asyncio.create_task(lifecycle.end(contract, "expired"))
    await asyncio.sleep(0)
    lifecycle.destroy(contract)
    await asked

    async def ending() -> str | None:
        return contract.ending

    await becomes(ending, "destroyed")
    await lifecycle.close()
