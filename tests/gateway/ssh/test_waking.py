"""A login to a sleeping instance: who wakes it, who does not, and what each is told."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from domain.instances.phases import Desired, InstanceStatus, SshWake
from gateway.server import RunningGateway
from gateway.ssh import reconnect_cooldown
from gateway.ssh.connector import Connector
from tests.gateway.asking import becomes
from tests.gateway.ssh.client import says
from tests.gateway.ssh.conftest import Gateway, client
from tests.gateway.ssh.place import Place, Rented, make_key
from tests.gateway.ssh.waking import wakes_on_request
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port


async def test_a_login_wakes_it_waits_and_is_served(asleep: Place, machine: Rented, gateway: Gateway) -> None:
    own = client(asleep)
    async with gateway():
        login = await own.start(own.target, "cat")
        assert login.stdin is not None
        login.stdin.write(b"typed while it slept")
        await says(login, f"instance {asleep.id} is paused; waking it")
        await becomes(asleep.wakes, 1)
        for step in ("one", "two"):
            await asleep.change(status=InstanceStatus.RESUMING, message=f"step {step}")
            await says(login, f"instance {asleep.id} is resuming: step {step}")
        await asleep.move_to(machine, message="")
        out, _ = await asyncio.wait_for(login.communicate(b"."), PATIENCE_SECONDS)
    assert (login.returncode, out) == (0, b"typed while it slept.")
    assert await asleep.wakes() == 1
    row = await asleep.read()
    assert row.requested_by == "a login over SSH"


async def test_the_price_is_told_before(place: Place, machine: Rented, gateway: Gateway) -> None:
    async with gateway() as running:
        await place.pause()
        await becomes(lambda: _status(running, place), InstanceStatus.PAUSED)
        async with wakes_on_request(place, machine):
            done = await client(place).run("true")
    assert done.code == 0
    assert "0.42 USD/h" in done.err


async def _status(running: RunningGateway, place: Place) -> InstanceStatus:
    """As the gateway knows it."""
    return running.ssh.table.instances[place.id].status


async def test_fifty_logins_at_once_are_one_wake(asleep: Place, machine: Rented, gateway: Gateway) -> None:
    own = client(asleep)
    async with gateway() as running:
        logins = [asyncio.create_task(own.run(f"echo {number}")) for number in range(50)]
        await becomes(lambda: _held(running.ssh.connector), 50)
        async with wakes_on_request(asleep, machine):
            done = await asyncio.gather(*logins)
        assert running.ssh.connector.wakes == 1
    assert [each.out.strip() for each in done] == [str(number) for number in range(50)]
    assert await asleep.wakes() == 1


async def test_one_who_leaves_takes_nothing_from_the_others(asleep: Place, machine: Rented, gateway: Gateway) -> None:
    own = client(asleep)
    async with gateway() as running:
        impatient = await own.start(own.target, "echo never")
        patient = asyncio.create_task(own.run("echo patient"))
        await becomes(lambda: _held(running.ssh.connector), 2)
        impatient.send_signal(signal.SIGKILL)
        await impatient.wait()
        await becomes(lambda: _held(running.ssh.connector), 1)
        async with wakes_on_request(asleep, machine):
            assert (await patient).out == "patient\n"


async def _held(connector: Connector) -> int:
    return connector.held


async def test_scp_and_sftp_wake_it_too(asleep: Place, machine: Rented, gateway: Gateway, tmp_path: Path) -> None:
    file, own = tmp_path / "file", client(asleep)
    file.write_bytes(os.urandom(300_000))
    async with gateway(), wakes_on_request(asleep, machine):
        up = await own.scp(str(file), f"{own.target}:/tmp/woken-{asleep.id}")
    assert up.code == 0, up.err


async def test_an_instance_that_says_never_is_not_woken(asleep: Place, gateway: Gateway) -> None:
    await asleep.change(ssh_wake=SshWake.NEVER)
    async with gateway():
        done = await client(asleep).run("true")
    assert done.code == 255
    assert f"dumont wake {asleep.id}" in done.err
    assert (await asleep.read()).desired is Desired.PAUSED


async def test_after_fruitless_wakes_nobody_tries_by_logging_in(asleep: Place, gateway: Gateway) -> None:
    await asleep.change(failed_wakes=3)
    async with gateway():
        done = await client(asleep).run("true")
    assert done.code == 255
    assert "the last 3 attempts to wake it failed" in done.err
    assert await asleep.wakes() == 0


async def test_a_wake_that_fails_is_told_and_not_tried_again(asleep: Place, gateway: Gateway) -> None:
    async with gateway():
        waiting = asyncio.create_task(client(asleep).run("true"))
        await becomes(asleep.wakes, 1)
        await asleep.change(desired=Desired.PAUSED, message="no GPU is free anywhere")
        done = await waiting
    assert done.code == 255
    assert "could not be woken: no GPU is free anywhere" in done.err
    assert await asleep.wakes() == 1


async def test_a_wake_that_takes_too_long_lets_go(asleep: Place, gateway: Gateway) -> None:
    async with gateway(ssh_hold_seconds=1.0):
        done = await client(asleep).run("true")
        assert done.code == 255
        assert "did not come up within 1 s" in done.err
        await becomes(asleep.wakes, 1)  # what was begun goes on without the login
    assert (await asleep.read()).desired is Desired.RUNNING


async def test_one_destroyed_while_it_is_waited_for(asleep: Place, gateway: Gateway) -> None:
    async with gateway():
        waiting = asyncio.create_task(client(asleep).run("true"))
        await becomes(asleep.wakes, 1)
        await asleep.change(desired=Desired.DESTROYED, status=InstanceStatus.DESTROYING)
        done = await waiting
    assert done.code == 255
    assert "is being destroyed" in done.err


async def test_a_login_while_it_is_being_paused_keeps_it_awake(place: Place, machine: Rented, gateway: Gateway) -> None:
    async with gateway() as running:
        await place.change(status=InstanceStatus.PAUSING, desired=Desired.PAUSED)
        await becomes(lambda: _status(running, place), InstanceStatus.PAUSING)
        async with wakes_on_request(place, machine):
            done = await client(place).run("echo here")
    assert done.out == "here\n"
    assert "keeping it awake" in done.err
    assert await place.wakes() == 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of the quiet periods: it stands still until a test moves it."""
    made = Clock()
    monkeypatch.setattr(reconnect_cooldown, "time", made)
    return made


async def test_an_editor_that_reconnects_does_not_wake_it_and_a_person_does(
    place: Place, machine: Rented, gateway: Gateway, clock: Clock, tmp_path: Path
) -> None:
    """The editor was connected when it was paused; the person comes with another key."""
    editor = client(place)
    make_key(other := tmp_path / "other")
    await place.add_key(other)
    async with gateway(ssh_quiet_seconds=3.0):
        connected = await editor.start(editor.target, place.sleep)
        await becomes(lambda: _sleeps(place), True)
        await place.pause()
        assert await asyncio.wait_for(connected.wait(), PATIENCE_SECONDS) == 255
        for _ in range(4):  # longer than the period: every attempt prolongs it
            clock.now += 2.0
            refused = await editor.run("true")
            assert refused.code == 255
            assert "reconnecting does not wake it" in refused.err
        assert await place.wakes() == 0
        async with wakes_on_request(place, machine):
            assert (await client(place, other).run("echo person")).out == "person\n"
    assert await place.wakes() == 1


async def test_after_the_quiet_period_the_same_client_wakes_it(
    place: Place, machine: Rented, gateway: Gateway, clock: Clock
) -> None:
    own = client(place)

    async def back() -> str:
        clock.now += 4.0  # again, should the gateway have heard its own notice of the pause since
        return (await own.run("echo back")).out

    async with gateway(ssh_quiet_seconds=3.0):
        connected = await own.start(own.target, place.sleep)
        await becomes(lambda: _sleeps(place), True)
        await place.pause()
        await asyncio.wait_for(connected.wait(), PATIENCE_SECONDS)
        async with wakes_on_request(place, machine):
            await becomes(back, "back\n")


async def _sleeps(place: Place) -> bool:
    return (await client(place).run(f"pgrep -f '[s]{place.sleep[1:]}'")).code == 0


async def test_another_gateway_keeps_the_quiet_too(place: Place, gateway: Gateway) -> None:
    own = client(place)
    async with gateway() as one, gateway() as two:
        connected = await own.start(own.target, place.sleep)
        await becomes(lambda: _sleeps(place), True)
        await place.pause()
        await asyncio.wait_for(connected.wait(), PATIENCE_SECONDS)
        await becomes(lambda: _is_quiet(place, one, two), True)
        before = _logins(one, two)
        for _ in range(100):
            assert (await own.run("true")).code == 255
            if all(now > then for now, then in zip(_logins(one, two), before, strict=True)):
                break  # the kernel has dealt them out to both
        else:
            pytest.fail("one gateway got all the logins")
        assert await place.wakes() == 0


async def _is_quiet(place: Place, *running: RunningGateway) -> bool:
    """Whether each knows of the pause, and of a client that it does not wake it for."""
    quiet = [{instance_id for instance_id, _ in each.ssh._cooldown._until} for each in running]
    statuses = [await _status(each, place) for each in running]
    return all(place.id in each for each in quiet) and set(statuses) == {InstanceStatus.PAUSED}


def _logins(*running: RunningGateway) -> list[int]:
    return [each.ssh.preauth_limits.logins for each in running]


async def _guests(*running: RunningGateway) -> int:
    return sum(len(each.ssh.clients) for each in running)


async def test_using_a_forward_wakes_it_and_having_one_does_not(
    asleep: Place, machine: Rented, gateway: Gateway
) -> None:
    own, local = client(asleep), free_port()
    async with gateway() as running:
        process = await own.start("-N", "-L", f"{local}:127.0.0.1:22", own.target)
        await becomes(lambda: _guests(running), 1)
        assert await asleep.wakes() == 0
        async with wakes_on_request(asleep, machine):
            await becomes(lambda: _knocked(local), True)
        assert await asleep.wakes() == 1
        process.kill()
        await process.wait()


async def _knocked(port: int) -> bool:
    """Whether a connection through the forward came to its end on the machine, where nobody serves that port."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    await reader.read()
    writer.close()
    return True


@pytest.mark.parametrize("status", [InstanceStatus.PROVISIONING, InstanceStatus.RESUMING, InstanceStatus.FAILING_OVER])
async def test_one_that_comes_up_already_is_waited_for(
    asleep: Place, machine: Rented, gateway: Gateway, status: InstanceStatus
) -> None:
    await asleep.change(status=status, desired=Desired.RUNNING)
    async with gateway(), wakes_on_request(asleep, machine):
        assert (await client(asleep).run("echo up")).out == "up\n"
    assert await asleep.wakes() == 0
