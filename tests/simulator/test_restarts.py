"""The simulator stopped, killed, started again, and run by an ordinary user."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from .conftest import HOUR, ROOT, Key, Simulator, poll, running
from .processes import processes_in
from .shells import address, answers, machine, say


def with_a_busy_machine(simulator: Simulator, key: Key) -> dict[str, object]:
    row = machine(simulator, key, env={"TEST_FOLDER": str(simulator.folder)}, onstart="date +%N >> /workspace/starts")
    say(row, key, f"TEST_FOLDER={simulator.folder} setsid sleep 3333 > /dev/null 2>&1 < /dev/null &")
    poll(lambda: any("sleep 3333" in line for line in processes_in(simulator.folder)))
    poll(lambda: say(row, key, "wc -l < /workspace/starts || true") == "1")  # it runs beside the SSH server
    return row


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_no_process_left_and_goes_on_as_it_was(tmp_path: Path, key: Key, number: int) -> None:
    folder = tmp_path / "data"
    with running(folder) as simulator:
        row = with_a_busy_machine(simulator, key)
        stopped = simulator.rent(target_state="stopped")
        simulator.terminate(number)
    poll(lambda: not processes_in(folder))
    api_key = (folder / "api_key").read_text()
    with running(folder) as again:
        assert (folder / "api_key").read_text() == api_key
        assert (folder / "api_key").stat().st_mode & 0o777 == 0o600
        assert again.show(stopped)["intended_status"] == "stopped"
        seen = again.await_status(int(str(row["id"])), "running")
        assert address(seen) == address(row)
        poll(lambda: answers(*address(seen)))
        poll(lambda: say(seen, key, "wc -l < /workspace/starts") == "2")
        assert again.control.get("/simulator/books").json()["alive"] == 2


async def test_a_simulator_that_is_deaf_to_hangups_does_not_make_its_machines_so(tmp_path: Path, key: Key) -> None:
    deaf = ["/bin/sh", "-c", "trap '' HUP QUIT; exec \"$@\"", "sh", sys.executable]
    with running(tmp_path / "data", command=deaf) as simulator:
        row = machine(simulator, key)
        host, port = address(row)
        async with asyncssh.connect(host, port, username="root", client_keys=[key.file], known_hosts=None) as client:
            program = await client.create_process("echo up; while sleep 0.05; do :; done", term_type="xterm")
            await program.stdout.readline()
            program.close()
        poll(lambda: say(row, key, "ps -eo args | grep '[w]hile sleep' || true") == "")
        simulator.process.send_signal(signal.SIGHUP)
        assert simulator.show(row["id"])["actual_status"] == "running"


def test_one_simulator_per_folder(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        argv = [sys.executable, "-m", "simulator", "--data-dir", str(tmp_path / "data"), "--port", "0"]
        second = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert second.returncode == 1
    assert "another simulator uses" in second.stderr


def test_what_was_being_booted_boots(tmp_path: Path) -> None:
    with running(tmp_path / "data") as simulator:
        clocks = {"clocks": {"loading": [HOUR, HOUR]}}  # those of the next simulator are its own
        simulator.control.patch("/simulator/settings", json=clocks).raise_for_status()
        number = simulator.rent()
        simulator.await_status(number, "loading")
        simulator.terminate(signal.SIGKILL)
    with running(tmp_path / "data") as again:
        again.await_status(number, "running")


def ordinary_python() -> list[str] | None:
    """A command that runs this Python's libraries as ``nobody``, or None where that cannot be."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return None
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "env", "PYTHONDONTWRITEBYTECODE=1"]
    libraries = next((path for path in sys.path if path.endswith("site-packages")), "")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for command in ([sys.executable], [f"PYTHONPATH={libraries}", f"/usr/bin/{version}"]):
        attempt = [*drop, *command, "-c", "import aiohttp, asyncssh, pydantic"]
        if subprocess.run(attempt, capture_output=True, check=False).returncode == 0:
            return [*drop, *command]
    return None


def test_an_ordinary_user_has_machines_too(tmp_path_factory: pytest.TempPathFactory, key: Key) -> None:
    command = ordinary_python()
    if os.geteuid() == 0 and command is None:
        pytest.skip("this Python cannot be run by another user")
    parent = Path("/tmp") / f"simulator-nobody-{os.getpid()}"  # noqa: S108 (pytest's own folders are closed to others)
    parent.mkdir(mode=0o777)
    parent.chmod(0o777)
    folder = parent / "data"
    try:
        folder.mkdir()
        folder.chmod(0o777)
        with running(folder, command=command) as simulator:
            row = with_a_busy_machine(simulator, key)
            assert say(row, key, "id -u; echo ok > /workspace/f; cat /workspace/f") == "0\nok"
            assert say(row, key, "nvidia-smi -L").startswith("GPU 0")
            kind = simulator.control.get("/simulator/info").json()["machines"]
            if kind == "namespaces":
                assert say(row, key, "hostname") == f"C.{row['id']}"
                say(row, key, "set -e; echo A=1 >> /etc/environment; echo '#!/bin/sh' > /usr/local/bin/new")
                assert say(row, key, "echo $A") == "1"
            simulator.terminate(signal.SIGKILL)
            poll(lambda: not processes_in(folder))
    finally:
        shutil.rmtree(parent, ignore_errors=True)
