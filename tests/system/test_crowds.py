"""Many at once: one offer for twelve accounts, and an account with more machines than fit into a page."""

import asyncio
import secrets
from collections import Counter

import pytest

from tests.long_runs import only_long
from tests.system.running import Running
from tests.system.test_accounts import new_account, use
from tests.system.test_reaper import closed_label

MORE_THAN_TWO_PAGES = 62


@pytest.mark.parametrize("count", only_long(3, 12))
async def test_one_offer_sold_to_flows_of_many_accounts_at_once(system: Running, count: int) -> None:
    """Each account has its own ledger of offers, so all want the cheapest, and the cloud sells it to every one."""
    users = [system, *(Running(system.installation) for _ in range(count - 1))]
    for user in users[1:]:
        await user.register()
    for user in users:
        assert await use(user, (await new_account(system))[1]) == 200
    await system.fault("PUT /api/v0/asks/", "double_sale", times=None)
    deployments = await asyncio.gather(*(user.deploy() for user in users))
    for user, deployment in zip(users, deployments, strict=True):
        await user.ready(deployment["id"], seconds=150)
    await system.alive(count, seconds=60)
    sold = Counter(row["offer_id"] for row in await system.machines(alive=None))
    assert max(sold.values()) > 1
    for user, deployment in zip(users[1:], deployments[1:], strict=True):
        await user.stop(deployment["id"])
        await user.close()


@pytest.mark.long
async def test_what_is_ours_is_found_on_the_last_page_and_what_is_not_is_left_on_every_page(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.stop(deployment["id"])
    kept = await system.deploy()
    await system.ready(kept["id"])
    wish = {"label": f"other-{secrets.token_hex(3)}", "target_state": "stopped"}
    crowd = await system.simulator.post("/simulator/machines", json=wish | {"count": MORE_THAN_TWO_PAGES})
    foreign = crowd.json()["ids"]
    orphan = await system.simulator.post("/simulator/machines", json=wish | {"label": await closed_label(system)})
    assert orphan.json()["id"] > max(foreign)
    left = {row["id"] for row in await system.alive(MORE_THAN_TWO_PAGES + 1, seconds=40)}
    assert set(foreign) < left
    assert (await system.status(kept["id"]))["status"] == "ready"
    for number in foreign:
        await system.simulator.post(f"/simulator/machines/{number}/kill")
