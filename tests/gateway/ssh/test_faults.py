"""Strangers, losses and restarts."""

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from db.accounts.ssh_keys import delete_key
from db.alarms import open_alarms
from db.machines.tables import Lease
from db.session import Database
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.machines import MachineSeen
from gateway.server import RunningGateway, serving
from gateway.ssh import traffic
from tests.gateway.asking import becomes
from tests.gateway.ssh.client import Client, finished
from tests.gateway.ssh.conftest import Gateway, client, settings_for
from tests.gateway.ssh.open_machine import open_machine
from tests.gateway.ssh.place import Place, Rented, make_key, rent
from tests.patience import PATIENCE_SECONDS
from tests.postgres import Postgres
from tests.simulator.conftest import Simulator

ROUNDS = 60
"""In which each kind of scanner knocks at both ports: more than one address may."""


async def test_strangers_wake_nothing(asleep: Place, gateway: Gateway, tmp_path: Path) -> None:
    make_key(other := tmp_path / "other")
    async with gateway():
        for key in (other, asleep.key):
            own = client(asleep, key)
            done = await finished(own.command("-o", "PubkeyAuthentication=no", own.target, "true"))
            assert done.code == 255
        stranger = await client(asleep, other).run("true")
        assert (stranger.code, "Permission denied" in stranger.err) == (255, True)
    assert await asleep.wakes() == 0
    assert (await asleep.read()).desired is Desired.PAUSED


async def _cost_of_scanners(*ports: int) -> float:
    """Seconds of CPU that this process spends on them, what they are themselves included.

    Three kinds: one that only knocks, one that says nonsense, one that never says anything.
    """

    async def scan(words: bytes) -> None:
        for each in ports * ROUNDS:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", each)
                writer.write(words)
                await asyncio.wait_for(reader.read(100), 0.2)
                writer.close()
            except (OSError, TimeoutError):
                await asyncio.sleep(0.01)

    before = time.process_time()
    await asyncio.gather(*(scan(words) for words in (b"", b"GET / HTTP/1.0\r\n\r\n", b"SSH-2.0-x\r\n")))
    return time.process_time() - before


async def test_a_scanner_on_every_port_costs_little_and_stops_nobody(place: Place, gateway: Gateway) -> None:
    """As measured by what they cost a server that does nothing but greet: computers differ."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with gateway() as running, await asyncio.start_server(greet, "127.0.0.1", 0) as simple:
        port = simple.sockets[0].getsockname()[1]
        least = await _cost_of_scanners(port, port)
        spent = await _cost_of_scanners(place.port, running.ssh.port.result())
        assert spent < 10 * least
        assert running.ssh.preauth_limits.turned_away > 0
        running.ssh.preauth_limits.buckets = type(
            running.ssh.preauth_limits
        )().buckets  # the strangers' address is this one
        await becomes(lambda: _code(client(place).run("exit 4")), 4)
    assert running.ssh.connector.wakes == 0


async def test_a_new_key_is_good_at_once_and_a_deleted_one_is_not(
    place: Place, gateway: Gateway, database: Database, tmp_path: Path
) -> None:
    make_key(other := tmp_path / "other")
    own = client(place, other)
    async with gateway() as running:
        assert (await own.run("true")).code == 255
        key_id = await place.add_key(other)
        await becomes(lambda: _code(own.run("exit 4")), 4)
        staying = await own.start(own.target, "sleep 1000")
        await becomes(lambda: _guests(running), 1)
        async with database.begin() as session:
            assert await delete_key(session, place.rows.user_id, key_id)
        await becomes(lambda: _code(own.run("exit 4")), 255)
        _, err = await asyncio.wait_for(staying.communicate(), PATIENCE_SECONDS)
        assert b"not accepted any more" in err
        assert (await client(place).run("exit 4")).code == 4


async def test_keys_of_the_instance_itself_open_it(place: Place, gateway: Gateway, tmp_path: Path) -> None:
    make_key(other := tmp_path / "other")
    await place.change(ssh_public_keys=[other.with_suffix(".pub").read_text(), "nonsense"])
    async with gateway():
        assert (await client(place, other).run("exit 4")).code == 4


@pytest.mark.parametrize("login", ["i-{id}", "{id}", "my-box"])
async def test_the_shared_port_asks_which_instance(place: Place, gateway: Gateway, login: str) -> None:
    await place.change(label="my-box")
    async with gateway() as one, gateway() as two:
        keys = {await _host_key(each.ssh.port.result()) for each in (one, two)}
        assert len(keys) == 1
        own = Client(place, one.ssh.port.result(), place.key, login.format(id=place.id))
        own.trust(keys.pop())
        assert (await own.run("exit 4")).code == 4
        own.login = "root"
        done = await finished(["ssh", "-o", "LogLevel=INFO", *own.options, own.target, "exit 4"])
        assert (done.code, "say which instance" in done.err) == (255, True)


async def _host_key(port: int) -> str:
    done = await finished(["ssh-keyscan", "-T", "60", "-t", "ed25519", "-p", str(port), "127.0.0.1"])
    return done.out.split(maxsplit=1)[1].strip()


async def test_the_machine_behind_changes_and_strict_clients_do_not_notice(
    place: Place, gateway: Gateway, simulator: Simulator
) -> None:
    own = client(place)
    async with gateway() as running:
        assert (await own.run("touch /tmp/first; echo first")).out == "first\n"
        staying = await own.start(own.target, place.sleep)
        await becomes(lambda: _on_machine(running), 1)
        other = await asyncio.to_thread(rent, simulator)
        await place.move_to(other)
        _, err = await asyncio.wait_for(staying.communicate(), PATIENCE_SECONDS)
        assert b"Connect again" in err
        await becomes(lambda: _code(own.run("test ! -e /tmp/first && exit 4")), 4)


async def test_a_machine_lost_in_the_middle_of_a_copy(
    database: Database, place: Place, gateway: Gateway, simulator: Simulator, tmp_path: Path
) -> None:
    lost = await asyncio.to_thread(rent, simulator)
    await place.move_to(lost)
    own, file = client(place), tmp_path / "file"
    file.write_bytes(os.urandom(10_000_000))
    async with gateway():
        limited = asyncio.create_task(own.scp("-l", "800", str(file), f"{own.target}:/tmp/file"))
        await becomes(lambda: _is_noted(place), True)
        answer = await asyncio.to_thread(simulator.vast.delete, f"/api/v0/instances/{lost.cloud_id}/")
        answer.raise_for_status()
        done = await limited
        assert done.code != 0
        assert "Connect again" in done.err
        assert (await asyncio.wait_for(_refused_softly(own), PATIENCE_SECONDS)) != ""


async def _refused_softly(own: Client) -> str:
    """A login while the machine is away is held, and told why."""
    process = await own.start(own.target, "true")
    assert process.stderr is not None
    line = await process.stderr.readline()
    process.kill()
    await process.wait()
    return line.decode()


async def _is_noted(place: Place) -> bool:
    return await place.traffic_age() is not None


async def test_an_address_that_changed_hands_gets_nothing(
    place: Place, gateway: Gateway, machine: Rented, database: Database
) -> None:
    """Another machine answers at the lease's address: nobody is let on it, and the right one is used when known."""
    async with open_machine() as impostor:
        lease_id = await place.move_to(machine)
        await _seen_at(database, lease_id, impostor)
        async with gateway():
            process = await client(place).start(client(place).target, "echo right")
            assert process.stderr is not None
            line = await asyncio.wait_for(process.stderr.readline(), PATIENCE_SECONDS)
            assert b"another machine answers at its address" in line
            await _seen_at(database, lease_id, machine)
            out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
            assert out == b"right\n"


async def _seen_at(database: Database, lease_id: str, machine: Rented) -> None:
    seen = MachineSeen(public_ipaddr=machine.host, ports={"22/tcp": machine.port})
    async with database.begin() as session:
        row = update(Lease).where(Lease.id == lease_id)
        await session.execute(row.values(seen=seen.model_dump(mode="json")))


async def test_traffic_is_noted_and_an_open_connection_is_none(
    place: Place, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "NOTED_EVERY_SECONDS", 3600)
    own = client(place)
    async with gateway() as running:
        process = await own.start("-o", "ServerAliveInterval=1", own.target, "echo begun; cat")
        assert process.stdin is not None
        assert process.stdout is not None

        async def noted_at() -> datetime | None:
            await running.ssh.traffic.write_down()
            return (await place.read()).traffic_at

        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS) == b"begun\n"
        begun = await noted_at()
        assert begun is not None
        await asyncio.sleep(1.5)  # of keepalives
        assert await noted_at() == begun
        process.stdin.write(b"x\n")
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS) == b"x\n"
        assert await noted_at() != begun
        process.kill()
        await process.wait()


async def test_a_pause_ends_sessions_with_a_reason(place: Place, gateway: Gateway) -> None:
    own = client(place)
    async with gateway() as running:
        process = await own.start(own.target, "sleep 1000")
        await becomes(lambda: _on_machine(running), 1)
        await place.pause()
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
        assert b"is paused now" in err


async def _on_machine(running: RunningGateway) -> int:
    """Channels that lead to the machine."""
    return sum(each.channels for each in running.ssh.clients.everyone)


async def _guests(running: RunningGateway) -> int:
    """Who has something open on the machine."""
    return sum(len(each.sessions) for each in running.ssh.clients.everyone)


async def test_an_instance_that_is_over_has_no_door(place: Place, gateway: Gateway) -> None:
    own = client(place)
    async with gateway():
        assert (await own.run("exit 4")).code == 4
        await place.change(status=InstanceStatus.DESTROYED, desired=Desired.DESTROYED)
        await becomes(lambda: _code(own.run("exit 4")), 255)


async def test_without_the_database_known_instances_are_served(
    restartable_url: str, postgres: Postgres, tmp_path: Path, shard: str, machine: Rented
) -> None:
    database = Database(restartable_url, pool_size=2)
    place = Place(database, tmp_path, shard)
    await place.begin(machine)
    async with serving(settings_for(restartable_url, shard)) as running:
        await becomes(lambda: _code(client(place).run("exit 4")), 4)
        postgres.stop()
        try:
            assert (await client(place).run("exit 5")).code == 5
            assert len(running.ssh.table.instances) == 1
        finally:
            postgres.start()
        await place.change(status=InstanceStatus.DESTROYED)
        await becomes(lambda: _code(client(place).run("exit 5")), 255)
    await database.close()


async def test_a_port_that_another_program_has_is_said(
    place: Place, gateway: Gateway, database: Database, looks_often: None
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", place.port)

    async def said() -> bool:
        async with database.begin() as session:
            return any(str(place.port) in alarm.text for alarm in await open_alarms(session))

    async with gateway():
        await becomes(said, True)
        taken.close()
        await taken.wait_closed()
        await becomes(lambda: _code(client(place).run("exit 4")), 4)
        await becomes(said, False)


async def _code(running: object) -> int:
    return int((await running).code)  # type: ignore[misc]
