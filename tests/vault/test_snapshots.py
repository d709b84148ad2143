"""Snapshots of real machines through the real vault, and every way that we know in which one goes wrong."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncssh import SSHClientConnection

from activities.errors import Final
from activities.machines.shell import ShellActivities
from activities.machines.tools import BIN
from activities.snapshots import transfers
from activities.snapshots.repositories import Repositories
from activities.snapshots.vault import SnapshotFailure
from clients.ssh_streams import lines
from db.instances.tables import Instance
from db.machines.lease_tokens import VAULT, lease_token
from db.snapshots import snapshots
from db.snapshots.repositories import password_of
from domain.snapshots.phases import SnapshotStatus
from tests.vault.catching import caught, lie_in_wait, request_release
from tests.vault.world import Door, Machine, World, environment, perform, until

SLOW = "head -c 40000000 /dev/urandom > /workspace/big"
VERY_SLOW = "head -c 300000000 /dev/urandom > /workspace/big"


async def test_the_second_snapshot_adds_only_what_is_new(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "head -c 5000000 /dev/urandom > /workspace/data; echo one > /workspace/note")
    _, first = await world.taken(machine)
    await world.say(machine, "echo two > /workspace/note")
    second_id, second = await world.taken(machine)
    assert first.data_added_bytes > 5_000_000 > 500_000 > second.data_added_bytes
    async with world.database.begin() as session:
        newest = await snapshots.newest(session, await session.get_one(Instance, machine.instance_id))
    assert newest is not None
    assert newest.id == second_id


async def test_taking_it_again_changes_nothing(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    snapshot_id, _ = await world.taken(machine)
    before = await world.row(snapshot_id)
    await perform(world.vault.take_snapshot, snapshot_id)
    await perform(world.vault.verify_snapshot, snapshot_id)
    after = await world.row(snapshot_id)
    assert (after.restic_id, after.ended_at) == (before.restic_id, before.ended_at)


async def test_a_machine_without_restic_and_rsync_is_given_them(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "rm $(command -v restic) $(command -v rsync); echo one > /workspace/note")
    snapshot_id, _ = await world.taken(machine)
    assert (await world.row(snapshot_id)).verified
    assert await world.say(machine, f"{BIN}/restic version") != ""
    await perform(ShellActivities(world.database, world.machines).bring_rsync, machine.lease_id)
    assert (await world.say(machine, "rsync --version")).startswith("rsync")


async def test_a_worker_that_dies_leaves_the_copy_to_the_next(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, SLOW)
    snapshot_id = await world.begun(machine)
    first = environment()
    await lie_in_wait(world, machine, "backup")
    attempt = asyncio.create_task(first.run(world.vault.take_snapshot, snapshot_id))
    await caught(world, machine)
    attempt.cancel()  # as a worker's end does: nobody asked for a cancellation
    await asyncio.gather(attempt, return_exceptions=True)
    await request_release(world, machine)
    taken = await perform(world.vault.take_snapshot, snapshot_id)
    assert taken.size_bytes >= 40_000_000
    assert await world.say(machine, f"cat /var/lib/dumont/jobs/{snapshot_id}/starts") == "."


@pytest.mark.long
async def test_a_copy_that_is_killed_is_started_again(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, SLOW)
    snapshot_id = await world.begun(machine)
    await lie_in_wait(world, machine, "backup")
    taking = asyncio.create_task(perform(world.vault.take_snapshot, snapshot_id))
    await caught(world, machine)
    await world.say(machine, "pkill -9 -f 'transfer-.*pyz [s]tart'; true")
    assert (await taking).size_bytes >= 40_000_000
    await perform(world.vault.verify_snapshot, snapshot_id)
    assert await world.say(machine, f"cat /var/lib/dumont/jobs/{snapshot_id}/starts") == ".."


@pytest.mark.long
async def test_the_vault_that_dies_in_the_middle_costs_time_only(world: World, the_door: Door) -> None:
    machine = await world.machine()
    await world.say(machine, SLOW)
    snapshot_id = await world.begun(machine)
    await lie_in_wait(world, machine, "backup")
    taking = asyncio.create_task(perform(world.vault.take_snapshot, snapshot_id))
    await caught(world, machine)
    the_door.end(signal.SIGKILL)
    await request_release(world, machine)
    await asyncio.to_thread(the_door.start)
    assert (await taking).size_bytes >= 40_000_000
    await perform(world.vault.verify_snapshot, snapshot_id)


async def test_a_vault_that_is_away_fails_the_snapshot_when_nothing_moves(world: World) -> None:
    nowhere = world.changed(vault_url="http://host.simulator:1", snapshot_stall_seconds=4.0)
    nowhere.__dict__.update(user_id=world.user_id, account_id=world.account_id, key_id=world.key_id)
    patient = nowhere.settings.model_copy(update={"snapshot_stall_seconds": 3600.0})
    nowhere.vault._transfers = transfers.Transfers(patient)  # it is the copy that stands still, not our SSH to it
    machine = await nowhere.machine()
    await nowhere.say(machine, "echo one > /workspace/note")
    snapshot_id = await nowhere.begun(machine)
    with pytest.raises(Final, match="nothing moved for"):
        await perform(nowhere.vault.take_snapshot, snapshot_id)


@pytest.mark.long
async def test_a_machine_that_is_gone_fails_the_snapshot(world: World) -> None:
    patient = world.changed(snapshot_stall_seconds=3.0)
    machine = await world.machine()
    await world.say(machine, SLOW)
    snapshot_id = await world.begun(machine)
    await lie_in_wait(world, machine, "backup")
    taking = asyncio.create_task(perform(patient.vault.take_snapshot, snapshot_id))
    await caught(world, machine)
    world.simulator.vast.delete(f"/api/v0/instances/{machine.number}/").raise_for_status()
    with pytest.raises(Final, match="has not answered for"):
        await taking


async def test_a_lease_that_closes_fails_the_snapshot(world: World) -> None:
    machine = await world.machine()
    snapshot_id = await world.begun(machine)
    await world.close_lease(machine)
    with pytest.raises(Final, match="not there any more"):
        await perform(world.vault.take_snapshot, snapshot_id)


async def test_a_cancelled_snapshot_ends_on_the_machine_too(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, VERY_SLOW)
    snapshot_id = await world.begun(machine)
    asked = environment()
    await lie_in_wait(world, machine, "backup")
    attempt = asyncio.create_task(asked.run(world.vault.take_snapshot, snapshot_id))
    await caught(world, machine)
    asked.cancel()
    await asyncio.gather(attempt, return_exceptions=True)  # the stop was sent: restic hears of it when it goes on
    await request_release(world, machine)
    await _stopped(world, machine, snapshot_id)


async def test_a_snapshot_cancelled_while_its_start_is_on_the_way_ends_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = await world.machine()
    await world.say(machine, VERY_SLOW)
    snapshot_id = await world.begun(machine)
    asked = environment()

    async def answered_late(connection: SSHClientConnection, command: str, **more: Any) -> AsyncIterator[str]:
        async for line in lines(connection, command, **more):
            asked.cancel()
            await asyncio.sleep(0.1)  # the machine has begun; its answer is not here yet
            yield line

    monkeypatch.setattr(transfers, "lines", answered_late)
    with pytest.raises(asyncio.CancelledError):
        await asked.run(world.vault.take_snapshot, snapshot_id)
    await _stopped(world, machine, snapshot_id)


async def _stopped(world: World, machine: Machine, snapshot_id: str) -> None:
    async def stopped() -> bool | None:
        said = await world.say(machine, f"cat /var/lib/dumont/jobs/{snapshot_id}/status.json")
        return '"stopped"' in said or None

    await until(stopped, "the copy to stop")
    assert await world.say(machine, "pgrep -x restic || echo none") == "none"


async def test_a_machine_that_claims_a_snapshot_that_is_not_there_is_not_believed(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    await world.taken(machine)
    snapshot_id = await world.begun(machine)
    lie = '{"state": "done", "result": {"snapshot_id": "0123abcd", "files": 1, "size_bytes": 4}}'
    folder = f"/var/lib/dumont/jobs/{snapshot_id}"
    await world.say(machine, f"mkdir -p {folder}; echo '{lie}' > {folder}/status.json; touch {folder}/lock")
    with pytest.raises(Final, match="it is not there"):
        await perform(world.vault.take_snapshot, snapshot_id)
    assert (await world.row(snapshot_id)).status is SnapshotStatus.CREATING


async def test_a_machine_that_sells_an_old_snapshot_as_new_is_not_believed(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    old_id, _ = await world.taken(machine)
    restic_id = (await world.row(old_id)).restic_id or ""
    snapshot_id = await world.begun(machine)
    lie = f'{{"state": "done", "result": {{"snapshot_id": "{restic_id[:8]}", "files": 1, "size_bytes": 4}}}}'
    folder = f"/var/lib/dumont/jobs/{snapshot_id}"
    await world.say(machine, f"mkdir -p {folder}; echo '{lie}' > {folder}/status.json; touch {folder}/lock")
    with pytest.raises(Final, match="it is not there"):
        await perform(world.vault.take_snapshot, snapshot_id)


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ('s/"z": 4/"z": 5/', "as it is in the snapshot"),
        ("/workspace.note/d", "cut off"),
        ('s/"h": "..../"h": "0000/', "other content than the manifest says"),
        ('s/"snapshot": "snap_..../"snapshot": "snap_0000/', "another snapshot's"),
    ],
)
async def test_a_manifest_that_lies_is_found_out(world: World, lie: str, sentence: str) -> None:
    """The machine's own restic is one that changes the manifest before it sends it."""
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    liar = (
        f'#!/bin/sh\n[ "$1" = backup ] && sed -i \'{lie}\' /var/lib/dumont/manifest.jsonl\nexec /usr/bin/restic "$@"\n'
    )
    await world.say(machine, f"cat > /usr/local/bin/restic <<'EOF'\n{liar}EOF\nchmod +x /usr/local/bin/restic")
    snapshot_id = await world.begun(machine)
    await perform(world.vault.take_snapshot, snapshot_id)
    with pytest.raises(Final, match=sentence):
        await perform(world.vault.verify_snapshot, snapshot_id)
    assert (await world.row(snapshot_id)).status is SnapshotStatus.FAILED


async def test_files_in_use_are_no_lie(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "for i in $(seq 300); do echo $i > /workspace/$i; done; " + SLOW)
    change = "echo $i > /workspace/busy; echo $i > /workspace/new$i; rm -f /workspace/new$((i-3))"
    busy = f"i=0; while [ -e /workspace ]; do i=$((i+1)); {change}; done"
    await world.say(machine, f"setsid sh -c '{busy}' > /dev/null 2>&1 < /dev/null & echo")
    snapshot_id, _ = await world.taken(machine, final=False)
    assert (await world.row(snapshot_id)).verified


async def test_a_lock_left_behind_is_in_nobodys_way(world: World, tmp_path: Path) -> None:
    """Of a restic that was killed. This one has an exclusive lock while it waits for a password from a pipe."""
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    await world.taken(machine)
    async with world.database.begin() as session:
        password = await password_of(session, world.sealer, machine.instance_id)
    store = f"{world.settings.vault_store}/{machine.instance_id}"
    os.mkfifo(pipe := tmp_path / "pipe")
    held = await asyncio.create_subprocess_exec(
        *("restic", "-r", store, "key", "passwd", "--new-password-file", str(pipe)),
        env={"RESTIC_PASSWORD": password, "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    locks = world.settings.data_dir / "vault" / str(machine.instance_id) / "locks"

    async def locked() -> bool | None:
        return any(locks.iterdir()) or None

    await until(locked, "the lock")
    held.kill()
    await held.wait()
    assert any(locks.iterdir())
    snapshot_id, _ = await world.taken(machine)
    assert (await world.row(snapshot_id)).verified


@pytest.mark.long
async def test_old_ones_are_forgotten_and_what_is_nobodys_stays_a_day(world: World) -> None:
    few = world.changed(snapshots_kept=2)
    machine = await world.machine()
    taken = []
    for number in range(5):
        await world.say(machine, f"echo {number} > /workspace/note")
        taken.append((await world.taken(machine, label="dear" if number == 0 else None))[0])
    unknown = await world.begun(machine)
    await perform(world.vault.take_snapshot, unknown)
    async with world.database.begin() as session:
        row = await session.get_one(type(await world.row(unknown)), unknown)
        restic_id, row.restic_id, row.status = row.restic_id, None, SnapshotStatus.FAILED
    await perform(few.vault.forget_snapshots, machine.instance_id)
    async with world.database.begin() as session:
        alive = {each.id for each in await snapshots.of_instance(session, machine.instance_id)}
    assert alive == {taken[0], taken[3], taken[4], unknown}
    there = {each.id for each in await _restic(world, machine.instance_id)}
    kept = {(await world.row(each)).restic_id for each in (taken[0], taken[3], taken[4])}
    assert there == kept | {restic_id}


async def _restic(world: World, instance_id: int) -> list:  # type: ignore[type-arg]
    async with world.database.begin() as session:
        password = await password_of(session, world.sealer, instance_id)
    repositories = Repositories(world.database, world.sealer, world.settings)
    return await repositories._restic(instance_id, password).snapshots()


async def test_an_instance_that_is_over_with_no_snapshots_leaves_nothing(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, "echo one > /workspace/note")
    await world.taken(machine)
    store = world.settings.data_dir / "vault" / str(machine.instance_id)
    assert store.exists()
    async with world.database.begin() as session:
        instance = await session.get_one(Instance, machine.instance_id)
        instance.status = type(instance.status).DESTROYED
    await perform(world.vault.forget_snapshots, machine.instance_id)
    assert store.exists()
    async with world.database.begin() as session:
        await snapshots.delete_all(session, machine.instance_id)
        assert machine.instance_id in await snapshots.left_to_remove(session)
    await perform(world.vault.forget_snapshots, machine.instance_id)
    assert not store.exists()
    async with world.database.begin() as session:
        assert machine.instance_id not in await snapshots.left_to_remove(session)


async def test_a_snapshot_of_nothing_is_refused_with_the_reason(world: World) -> None:
    machine = await world.machine()
    snapshot_id = await world.begun(machine, paths=["/nowhere"])
    with pytest.raises(Final, match="none of the paths is there"):
        await perform(world.vault.take_snapshot, snapshot_id)


@asynccontextmanager
async def other_vault(world: World, port: int, store: Path, **changes: Any) -> AsyncIterator[World]:
    """A vault of a test's own, with its store there, and the world as its machines see it."""
    changes = {"vault_port": port, "vault_url": f"http://host.simulator:{port}"} | changes
    other = world.changed(vault_backend=str(store), **changes)
    other.__dict__.update(user_id=world.user_id, account_id=world.account_id, key_id=world.key_id)
    opened = Door(other.settings)
    await asyncio.to_thread(opened.start)
    try:
        yield other
    finally:
        await asyncio.to_thread(opened.end, signal.SIGTERM)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
async def test_a_vault_without_room_fails_the_snapshot_and_says_so(
    world: World, small_disk: Path, spare_ports: list[int]
) -> None:
    async with other_vault(world, spare_ports[1], small_disk) as full:
        machine = await full.machine()
        await full.say(machine, SLOW)
        snapshot_id = await full.begun(machine)
        with pytest.raises(Final, match="the vault has no room left"):
            await perform(full.vault.take_snapshot, snapshot_id)
        await full.say(machine, "rm /workspace/big; echo small > /workspace/note")
        again = await full.begun(machine)
        await full.vault.fail_snapshot(SnapshotFailure(snapshot_id=snapshot_id, message="no room"))
        await perform(full.vault.forget_snapshots, machine.instance_id)
        assert (await full.row(again)).status is SnapshotStatus.CREATING


async def test_a_vault_that_machines_cannot_reach_is_reached_through_our_ssh(
    world: World, tmp_path: Path, unreachable_port: int
) -> None:
    async with other_vault(world, unreachable_port, tmp_path / "store", vault_url=None) as hidden:
        machine = await hidden.machine()
        await hidden.say(machine, "echo one > /workspace/note")
        snapshot_id, _ = await hidden.taken(machine)
        assert (await hidden.row(snapshot_id)).verified
        await hidden.say(machine, "echo two > /workspace/note")
        await perform(hidden.restores.restore, await hidden.restore_in_place(machine, snapshot_id))
        assert await hidden.say(machine, "cat /workspace/note") == "one"


async def test_no_secret_is_on_the_machines_disk_or_command_lines(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, SLOW)
    snapshot_id = await world.begun(machine)
    await lie_in_wait(world, machine, "backup")
    taking = asyncio.create_task(perform(world.vault.take_snapshot, snapshot_id))
    await caught(world, machine)
    async with world.database.begin() as session:
        password = await password_of(session, world.sealer, machine.instance_id)
    lines = await world.say(machine, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    await request_release(world, machine)
    await taking
    token = lease_token(world.sealer, machine.lease_id, VAULT)
    for secret in (password, token):
        assert secret not in lines
        assert (
            await world.say(machine, f"grep -rqF {secret} /var/lib/dumont /root /tmp /workspace || echo none") == "none"
        )
