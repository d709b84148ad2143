"""`dumont ssh`, `cp` and `ssh-config` with the real OpenSSH programs and a real SSH server; the api is a double."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from cli.places import ROOT
from tests.cli.conftest import Dumont, Ran
from tests.cli.double import Double, instance, listed
from tests.cli.login_server import LoginServer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a space in its name, and a key pair."""
    made = tmp_path_factory.mktemp("my home")
    (made / ".ssh").mkdir(mode=0o700)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(made / "key")
    key.write_public_key(made / "key.pub")
    (made / "key").chmod(0o600)
    return made


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[LoginServer]:
    made = LoginServer((home / "key.pub").read_text())
    yield made
    made.close()


@pytest.fixture
def api(server: LoginServer) -> Iterator[Double]:
    """An account with one instance, called work, at that server's address."""
    double = Double()
    at(double, port=server.port, key=server.host_key)
    yield double
    double.close()


def at(double: Double, *, port: int, key: str, **changes: str) -> None:
    shown = instance(ssh_port=port, ssh_host_key=key, **changes)
    double.on("GET", "/instances", listed("instances", shown))
    double.on("GET", "/instances/12", shown)


@pytest.fixture
def dumont(api: Double, home: Path) -> Dumont:
    def run(*arguments: str, stdin: str = "") -> Ran:
        own = {
            "DUMONT_API": api.url,
            "DUMONT_TOKEN": "t",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "100% mine"),
        }
        return subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), **own},
            cwd=home,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_command_runs_there_and_its_exit_status_is_ours(dumont: Dumont, home: Path) -> None:
    ran = dumont("ssh", "work", "-i", str(home / "key"), "--", "sh -c 'cat; echo --help; exit 7'", stdin="hello\n")
    assert (ran.returncode, ran.stdout) == (7, "hello\n--help\n"), ran.stderr


def test_options_of_ssh_are_passed_on_and_a_command_needs_no_dashes(dumont: Dumont, home: Path) -> None:
    ran = dumont("ssh", "12", "-i", str(home / "key"), "-o", "LogLevel=DEBUG1", "echo", "there")
    assert (ran.returncode, ran.stdout) == (0, "there\n"), ran.stderr
    assert "debug1:" in ran.stderr


def test_another_host_key_than_the_api_names_is_never_talked_to(
    dumont: Dumont, api: Double, server: LoginServer, home: Path
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    at(api, port=server.port, key=other)
    ran = dumont("ssh", "work", "-i", str(home / "key"), "-o", "StrictHostKeyChecking=no", "--", "echo", "in")
    assert (ran.returncode, ran.stdout) == (255, "")
    assert "Host key verification failed" in ran.stderr
    at(api, port=server.port, key=server.host_key)
    assert dumont("ssh", "work", "-i", str(home / "key"), "--", "true").returncode == 0  # what was noted is noted anew


def test_the_persons_own_known_hosts_is_left_alone(dumont: Dumont, home: Path) -> None:
    assert dumont("ssh", "work", "-i", str(home / "key"), "--", "true").returncode == 0
    assert not (home / ".ssh/known_hosts").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "destroyed", "message": "destroyed"}, "is destroyed"),
        ({"status": "paused", "ssh_wake": "never"}, "wake 12"),
        ({"ssh_host": ""}, "no SSH address"),
    ],
)
def test_where_a_login_makes_no_sense_it_says_so(
    dumont: Dumont, api: Double, server: LoginServer, changes: dict[str, str], said: str
) -> None:
    at(api, port=server.port, key=server.host_key, **changes)
    ran = dumont("ssh", "work")
    assert (ran.returncode, said in ran.stderr) == (1, True), ran.stderr


@pytest.mark.parametrize("options", [(), ("--rsync",)])
def test_files_go_there_and_come_back_the_same(
    dumont: Dumont, home: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    here, there, back = tmp_path / "a folder", tmp_path / "machine", tmp_path / "back"
    here.mkdir()
    there.mkdir()
    (here / "data 1.bin").write_bytes(os.urandom(300_000))
    login = ("-i", str(home / "key"))
    sent = dumont("cp", *login, *options, str(here), f"work:{there}/")
    assert sent.returncode == 0, sent.stderr
    got = dumont("cp", *login, *options, f"work:{there}/a folder", str(back))
    assert got.returncode == 0, got.stderr
    copies = list(back.rglob("data 1.bin"))
    assert [copy.read_bytes() for copy in copies] == [(here / "data 1.bin").read_bytes()]


def test_ssh_config_is_understood_by_ssh(dumont: Dumont, home: Path, server: LoginServer, tmp_path: Path) -> None:
    printed = dumont("ssh-config")
    assert printed.returncode == 0, printed.stderr
    (tmp_path / "config").write_text(printed.stdout)
    for name in ("dumont-12", "work"):
        words = ["ssh", "-F", str(tmp_path / "config"), "-i", str(home / "key"), "-o", "BatchMode=yes", name, "echo in"]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (0, "in\n"), ran.stderr
