"""What people do over SSH, with the real client, strict host keys, and a real machine behind."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from gateway.server import RunningGateway
from tests.gateway.asking import becomes
from tests.gateway.ssh.client import exists, finished
from tests.gateway.ssh.conftest import client
from tests.gateway.ssh.place import Place

pytestmark = pytest.mark.usefixtures("place", "served")


async def test_a_command_has_its_output_errors_and_exit_code(place: Place) -> None:
    done = await client(place).run("echo out; echo err >&2; exit 7")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")


async def test_input_goes_in_and_its_end_too(place: Place) -> None:
    sent = os.urandom(3_000_000)
    done = await client(place).run("sha256sum", stdin=sent)
    assert done.out.split()[0] == hashlib.sha256(sent).hexdigest()


async def test_any_user_name_is_the_same_on_an_instances_own_port(place: Place) -> None:
    own = client(place)
    own.login = "somebody"
    assert (await own.run("whoami")).out == "root\n"


async def test_a_signal_that_ends_it_there_is_told_here(place: Place) -> None:
    done = await client(place).run("kill -TERM $$")
    assert done.code == 255
    assert done.out == ""


async def test_the_environment_goes_along(place: Place) -> None:
    own = client(place)
    command = own.command("-o", "SetEnv=LC_FLOWER=rose", own.target, "echo $LC_FLOWER")
    assert (await finished(command)).out == "rose\n"


async def test_files_go_by_scp_both_ways_in_both_protocols(place: Place, tmp_path: Path) -> None:
    own, file = client(place), tmp_path / "file"
    file.write_bytes(os.urandom(2_000_000))
    for number, mode in enumerate([[], ["-O"]]):
        there, back = f"/tmp/scp-{place.id}-{number}", tmp_path / f"back-{number}"  # noqa: S108 - on the machine
        up = await own.scp(*mode, str(file), f"{own.target}:{there}")
        assert up.code == 0, up.err
        down = await own.scp(*mode, f"{own.target}:{there}", str(back))
        assert down.code == 0, down.err
        assert back.read_bytes() == file.read_bytes()


async def test_sftp(place: Place, tmp_path: Path) -> None:
    (tmp_path / "up").write_text("hello")
    batch = f"put {tmp_path}/up /tmp/sftp-{place.id}\nget /tmp/sftp-{place.id} {tmp_path}/down\nls /tmp\n"
    done = await client(place).sftp(batch)
    assert done.code == 0, done.err
    assert (tmp_path / "down").read_text() == "hello"
    assert f"sftp-{place.id}" in done.out


async def test_rsync(place: Place, tmp_path: Path) -> None:
    own, source, back = client(place), tmp_path / "source", tmp_path / "back"
    source.mkdir()
    for number in range(50):
        (source / f"file {number}").write_bytes(os.urandom(20_000))
    shell, there = " ".join(["ssh", *own.options]), f"{own.target}:/tmp/rsync-{place.id}"
    up = await finished(["rsync", "-a", "-e", shell, f"{source}/", f"{there}/"])
    assert up.code == 0, up.err
    down = await finished(["rsync", "-a", "-e", shell, f"{there}/", f"{back}/"])
    assert down.code == 0, down.err
    assert {each.name: each.read_bytes() for each in back.iterdir()} == {
        each.name: each.read_bytes() for each in source.iterdir()
    }


async def test_twenty_sessions_over_one_connection(place: Place, tmp_path: Path) -> None:
    """More than an sshd takes on one (MaxSessions: ten): we open another behind it, and nobody is refused."""
    own, control = client(place), str(tmp_path / "control")
    master = await own.start("-M", "-S", control, "-N", own.target)
    await becomes(lambda: exists(Path(control)), True)
    commands = (own.command("-S", control, own.target, f"sleep 1; echo {number}") for number in range(20))
    done = await asyncio.gather(*(finished(command) for command in commands))
    assert {each.out.strip() for each in done} == {str(number) for number in range(20)}
    master.terminate()
    await master.wait()


async def test_a_client_that_leaves_takes_its_terminal_with_it(place: Place) -> None:
    own = client(place)
    mark = f"sleep 98{place.id}"
    process = await own.start("-tt", own.target, mark)
    await _until_runs(place, mark, True)
    process.kill()
    await process.wait()
    await _until_runs(place, mark, False)


async def _until_runs(place: Place, command: str, wanted: bool) -> None:
    pattern = f"[{command[0]}]{command[1:]}"

    async def runs() -> bool:
        return (await client(place).run(f"pgrep -f '{pattern}'")).code == 0

    await becomes(runs, wanted)


async def test_the_next_login_uses_what_the_last_left_clean(place: Place, served: RunningGateway) -> None:
    """The machine sees fewer logins than we do; nothing of one client is left for the next."""
    own = client(place)
    for _ in range(5):
        assert (await own.run("true")).code == 0
    await becomes(lambda: _clients(served), 0)


async def _clients(served: RunningGateway) -> int:
    return len(served.ssh.clients)
