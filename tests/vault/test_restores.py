"""Restores: what was there before is not lost, what cannot be whole is not put into place, and a crash costs time."""

import asyncio
import signal

import pytest

from activities.errors import Final
from db.instances.tables import Instance
from tests.vault.catching import caught, lie_in_wait, request_release
from tests.vault.world import Door, Machine, World, environment, perform

BIG = "head -c 60000000 /dev/urandom > /workspace/big; echo one > /workspace/note"


async def snapshotted(world: World, fill: str) -> tuple[Machine, str]:
    machine = await world.machine()
    await world.say(machine, fill)
    snapshot_id, _ = await world.taken(machine)
    return machine, snapshot_id


async def test_a_restore_in_place_keeps_what_was_there_aside(world: World) -> None:
    machine, snapshot_id = await snapshotted(
        world, "cd /workspace; echo old > note; echo same > same; mkdir folder; echo 1 > folder/a; ln -s note link"
    )
    await world.say(
        machine, "cd /workspace; echo mine > note; echo new > new; rm folder/a; rm link; mkdir link; echo 2 > link/x"
    )
    restored = await perform(world.restores.restore, await world.restore_in_place(machine, snapshot_id))
    assert restored.replaced == 3
    assert await world.say(
        machine, "cd /workspace; cat note same folder/a; readlink link; ls -A | sort | tr '\\n' ' '"
    ) == ("old\nsame\n1\nnote\n.dumont-before-restore folder link note same")
    assert await world.say(machine, "cd /workspace/.dumont-before-restore/*; cat note new link/x") == "mine\nnew\n2"


async def test_what_belongs_to_the_machine_stays_the_machines(world: World) -> None:
    machine, snapshot_id = None, ""
    instance_id = await world.instance(persist=["/workspace", "/root"])
    machine = await world.machine(instance_id)
    await world.say(
        machine,
        "mkdir -p /root/.ssh /root/.cache; echo c > /root/.ssh/config; echo x > /root/.cache/x; echo p > /root/p",
    )
    snapshot_id, _ = await world.taken(machine)
    await world.close_lease(machine)
    other = await world.machine(instance_id)
    await world.say(
        other, "mkdir -p /root/.cache; echo warm > /root/.cache/warm; cp /root/.ssh/authorized_keys /tmp/keys"
    )
    await perform(world.restores.restore, await world.restore_in_place(other, snapshot_id))
    assert (
        await world.say(other, "cat /root/.ssh/config /root/p /root/.cache/warm; ls /root/.cache") == "c\np\nwarm\nwarm"
    )
    await world.say(other, "cmp /tmp/keys /root/.ssh/authorized_keys")


@pytest.mark.long
async def test_a_restore_that_is_killed_is_started_again(world: World) -> None:
    machine, snapshot_id = await snapshotted(world, BIG)
    await world.say(machine, "sha256sum /workspace/big > /tmp/sum; echo two > /workspace/note; rm /workspace/big")
    await lie_in_wait(world, machine, "restore")
    restoring = asyncio.create_task(perform(world.restores.restore, await world.restore_in_place(machine, snapshot_id)))
    await caught(world, machine)
    await world.say(machine, "pkill -9 -f 'transfer-.*pyz [s]tart'; true")
    await restoring
    await world.say(machine, "sha256sum -c /tmp/sum")
    assert await world.say(machine, "cat /workspace/note; ls -A /workspace | sort | tr '\\n' ' '") == (
        "one\n.dumont-before-restore big note"
    )


@pytest.mark.long
async def test_a_worker_that_dies_in_a_restore_leaves_it_to_the_next(world: World) -> None:
    machine, snapshot_id = await snapshotted(world, BIG)
    await world.say(machine, "rm /workspace/big")
    order, same = await world.restore_in_place(machine, snapshot_id), environment()
    await lie_in_wait(world, machine, "restore")
    attempt = asyncio.create_task(same.run(world.restores.restore, order))
    await caught(world, machine)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await request_release(world, machine)
    again = environment()
    again.info = same.info
    await perform(world.restores.restore, order, of=again)
    assert (
        await world.say(machine, "cat /var/lib/dumont/jobs/restore-*/starts; stat -c %s /workspace/big") == ".60000000"
    )


@pytest.mark.long
async def test_a_vault_that_dies_in_a_restore_costs_time_only(world: World, the_door: Door) -> None:
    machine, snapshot_id = await snapshotted(world, BIG)
    await world.say(machine, "sha256sum /workspace/big > /tmp/sum; rm /workspace/big")
    await lie_in_wait(world, machine, "restore")
    restoring = asyncio.create_task(perform(world.restores.restore, await world.restore_in_place(machine, snapshot_id)))
    await caught(world, machine)
    the_door.end(signal.SIGKILL)
    await request_release(world, machine)
    await asyncio.to_thread(the_door.start)
    await restoring
    await world.say(machine, "sha256sum -c /tmp/sum")


@pytest.mark.long
async def test_a_machine_that_is_gone_fails_the_restore(world: World) -> None:
    patient = world.changed(snapshot_stall_seconds=3.0)
    machine, snapshot_id = await snapshotted(world, BIG)
    order = await world.restore_in_place(machine, snapshot_id)
    await lie_in_wait(world, machine, "restore")
    restoring = asyncio.create_task(perform(patient.restores.restore, order))
    await caught(world, machine)
    world.simulator.vast.delete(f"/api/v0/instances/{machine.number}/").raise_for_status()
    with pytest.raises(Final, match="has not answered for"):
        await restoring


async def test_no_room_fails_before_anything_is_touched(world: World) -> None:
    machine, snapshot_id = await snapshotted(world, BIG)
    await world.say(machine, "echo mine > /workspace/note; rm /workspace/big")
    full = "mount -t tmpfs -o size=30m tmpfs /mnt && cp -a /workspace/. /mnt/ && mount --bind /mnt /workspace"
    await world.say(machine, full)
    with pytest.raises(Final, match=r"the copy needs 0\.1 GB"):
        await perform(world.restores.restore, await world.restore_in_place(machine, snapshot_id))
    assert await world.say(machine, "cat /workspace/note; ls -A /workspace") == "mine\nnote"


async def test_another_instance_restores_only_what_it_was_told_to(world: World) -> None:
    machine, snapshot_id = await snapshotted(world, "echo one > /workspace/note")
    other = await world.machine()
    order = await world.restore_in_place(other, snapshot_id)
    await perform(world.restores.restore, order)
    assert await world.say(other, "cat /workspace/note") == "one"
    async with world.database.begin() as session:
        (await session.get_one(Instance, other.instance_id)).restore_snapshot_id = None
    await asyncio.sleep(1.1)  # for so long the door remembers (vault/rights.py)
    with pytest.raises(Final, match="refuses this machine"):
        await perform(world.restores.restore, order)
    assert machine.instance_id != other.instance_id
