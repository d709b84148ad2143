"""Machines with this computer's own OpenSSH server in front (Debian: openssh-server; `.ci/run` installs it)."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openssh import REAL_SSHD, needs_real_sshd

from ..conftest import Key, Simulator, poll, running
from ..processes import processes_in
from ..shells import Row, address, answers, machine, options, order, say, sftp, ssh

pytestmark = needs_real_sshd


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("openssh") / "data", *REAL_SSHD) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def row(cloud: Simulator, key: Key) -> Row:
    return machine(cloud, key)


def test_it_is_openssh_that_answers(row: Row, key: Key) -> None:
    told = ssh(row, key, "true", "-v", "-o", "LogLevel=VERBOSE").stderr
    assert "Welcome to vast.ai (simulated)" in told
    assert "sshd: root@notty" in say(row, key, "ps ax")
    assert say(row, key, "whoami; pwd; echo $SSH_CONNECTION").startswith("root\n/root\n127.")
    assert ssh(row, key, "exit 7").returncode == 7


def test_a_terminal_files_and_forwards(row: Row, key: Key, tmp_path: Path) -> None:
    assert ssh(row, key, "tty", "-tt").stdout.startswith("/dev/pts/")
    (tmp_path / "file").write_text("text")
    assert sftp(row, key, "put file /tmp/file\nget /tmp/file back\n", tmp_path).returncode == 0
    assert (tmp_path / "back").read_text() == "text"
    say(row, key, "nohup python3 -m http.server 9000 --directory /tmp > /dev/null 2>&1 < /dev/null &")
    host, port = address(row)
    through = ["ssh", *options(key), "-p", str(port), "-W", "localhost:9000", f"root@{host}"]
    asking = "GET /file HTTP/1.0\r\n\r\n"
    assert poll(
        lambda: "text" in subprocess.run(through, input=asking, capture_output=True, text=True, check=False).stdout
    )


def test_strangers_stay_outside(row: Row, key: Key, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    refused = ssh(row, Key(tmp_path / "other", ""), "true")
    assert (refused.returncode, "Permission denied" in refused.stderr) == (255, True)


def test_ten_sessions_on_a_connection_and_no_more(row: Row, key: Key, tmp_path: Path) -> None:
    host, port = address(row)
    shared = ["ssh", *options(key), "-S", str(tmp_path / "control"), "-p", str(port), f"root@{host}"]
    with contextlib.ExitStack() as open_ones:
        master = open_ones.enter_context(subprocess.Popen([*shared, "-M", "-N"]))
        open_ones.callback(master.terminate)
        poll((tmp_path / "control").exists)
        for _ in range(10):
            assert open_ones.enter_context(session(shared)) == "ready\n"
        eleventh = subprocess.run([*shared, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert "Session open refused by peer" in eleventh.stderr


@contextlib.contextmanager
def session(shared: list[str]) -> Iterator[str]:
    """What one says first, its complaints among it; it stays open until the end."""
    command = [*shared, "echo ready; cat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as ran:
        assert ran.stdout
        yield ran.stdout.readline()


def test_a_stop_cuts_connections_and_a_start_shows_the_same_host_key(cloud: Simulator, key: Key) -> None:
    own = machine(cloud, key)
    before = say(own, key, "ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key; echo kept > /etc/kept")
    host, port = address(own)
    staying = subprocess.Popen(["ssh", *options(key), "-p", str(port), f"root@{host}", "sleep 1000"])
    poll(lambda: "sleep 1000" in say(own, key, "ps ax"))
    order(cloud, own["id"], "stopped")
    assert staying.wait(120) == 255
    cloud.await_status(own["id"], "exited")
    order(cloud, own["id"], "running")
    again = cloud.await_status(own["id"], "running")
    poll(lambda: answers(*address(again)))
    assert say(again, key, "ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key; cat /etc/kept") == f"{before}\nkept"


def test_a_host_that_falls_silent_cuts_connections_and_what_runs_there_runs_on(cloud: Simulator, key: Key) -> None:
    own = machine(cloud, key)
    host, port = address(own)
    staying = subprocess.Popen(["ssh", *options(key), "-p", str(port), f"root@{host}", "sleep 1001"])
    poll(lambda: "sleep 1001" in say(own, key, "ps ax"))
    at = f"/simulator/hosts/{own['machine_id']}"
    cloud.control.patch(at, json={"offline": True}).raise_for_status()
    assert staying.wait(120) == 255
    cloud.control.patch(at, json={"offline": False}).raise_for_status()
    own = cloud.await_status(own["id"], "running")
    poll(lambda: answers(*address(own)))
    assert "sleep 1001" in say(own, key, "ps ax")


def test_nothing_of_it_outlives_the_simulator(tmp_path: Path, key: Key) -> None:
    with running(tmp_path / "data", *REAL_SSHD) as simulator:
        own = machine(simulator, key, env={"TEST_FOLDER": str(simulator.folder)})
        host, port = address(own)
        staying = subprocess.Popen(["ssh", *options(key), "-p", str(port), f"root@{host}", "sleep 1002"])
        poll(lambda: "sleep 1002" in say(own, key, "ps ax"))
        simulator.process.kill()
        assert staying.wait(120) == 255
        poll(lambda: processes_in(simulator.folder) == [])
