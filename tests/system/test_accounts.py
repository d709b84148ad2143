"""Keys and accounts: machines are given back whoever shares the account, and whatever becomes of the key."""

import secrets

import pytest

from tests.system.running import CHECKLIST_BODY, Running, until


async def new_account(system: Running) -> tuple[int, str]:
    """An account of its own at the cloud: its id and its key."""
    key = secrets.token_hex(32)
    made = await system.simulator.post("/simulator/accounts", json={"api_key": key, "credit": 50.0})
    assert made.is_success, made.text
    return int(made.json()["id"]), key


async def use(system: Running, key: str) -> int:
    """Save the key; the answer's status."""
    saved = await system.api.put("/settings", json={"vast_api_key": key})
    return saved.status_code


async def test_two_users_of_one_account_do_not_disturb_each_other(system: Running) -> None:
    _, key = await new_account(system)
    other = Running(system.installation)
    await other.register()
    assert (await use(system, key), await use(other, key)) == (200, 200)
    mine, theirs = await system.deploy(), await other.deploy()
    await system.ready(mine["id"])
    await other.ready(theirs["id"])
    assert (await system.api.get(f"/models/{theirs['id']}")).status_code == 404
    await system.alive(2)
    await system.stop(mine["id"])
    await system.alive(1)
    assert (await other.status(theirs["id"]))["status"] == "ready"
    await other.stop(theirs["id"])
    await other.close()


@pytest.mark.long
async def test_a_revoked_key_holds_the_release_up_until_the_accounts_new_key_is_saved(system: Running) -> None:
    account, old = await new_account(system)
    await use(system, old)
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    new = secrets.token_hex(32)
    await system.simulator.patch(f"/simulator/accounts/{account}", json={"api_key": new})
    await system.api.delete(f"/models/{deployment['id']}")

    async def told() -> bool | None:
        alarms = (await system.api.get("/leases")).json()["alarms"]
        return any(alarm["kind"] == "key_refused" for alarm in alarms) or None

    await until(told, 20, "the alarm")
    assert len(await system.machines()) == 1
    refused = await system.api.post("/models/deploy", json=CHECKLIST_BODY)
    assert (refused.status_code, refused.json()["error"]) == (400, "provider_key_refused")
    assert await use(system, new) == 200
    await system.alive(0, seconds=30)


@pytest.mark.long
async def test_another_accounts_key_is_refused_while_a_machine_is_open(system: Running) -> None:
    (_, first), (_, second) = await new_account(system), await new_account(system)
    await use(system, first)
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    answer = await system.api.put("/settings", json={"vast_api_key": second})
    assert (answer.status_code, answer.json()["error"]) == (409, "account_in_use")
    await system.stop(deployment["id"])
    await system.alive(0)

    async def closed() -> bool | None:
        return (await system.api.get("/leases")).json()["count"] == 0 or None

    await until(closed, 20, "the lease to close")
    assert await use(system, second) == 200


async def test_a_gpu_limit_is_kept(system: Running) -> None:
    await system.api.put("/settings", json={"settings": {"max_gpus": 1}})
    deployment = await system.deploy()
    answer = await system.api.post("/models/deploy", json=CHECKLIST_BODY)
    assert (answer.status_code, answer.json()["error"]) == (409, "gpu_limit")
    await system.ready(deployment["id"])
    await system.alive(1)
