"""Flow 3's rows with a real ssh and a real SSH server: that they ask the right things, and see when one is not so.

The api is a double, so this proves the rows and not the product; `dumont checklist` on a whole system does that.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cli.checklist import workplace
from cli.checklist.idle_windows import SHORT
from cli.checklist.row import Outcome, Result
from cli.checklist.rows import flow3
from cli.checklist.runner import clean_up, run_rows
from cli.checklist.tester import Tester
from tests.cli.double import Double, event, instance, listed
from tests.cli.login_server import LoginServer
from tests.patience import PATIENCE_SECONDS

NVIDIA = """#!/bin/sh
[ "$1" = -L ] && echo "GPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-1)" || echo "| NVIDIA-SMI 550.54 |"
"""


class Account:
    """A double whose instance lives at a real SSH server: the key that the run registers is let in there."""

    def __init__(self, folder: Path) -> None:
        self.api = Double()
        self.server: LoginServer | None = None
        self.folder = folder

    def begin(self, tester: Tester) -> None:
        """As far as `POST /ssh-keys`, which is the first thing that a run does."""
        self.api.on("POST", "/ssh-keys", {"id": "key_1"}, status=201)
        self.server = LoginServer(workplace.terminal(tester).public_key)
        self.api.on("POST", "/instances", self.shown("provisioning"), status=201)
        self.api.on("PATCH", "/instances/12", self.shown("running"))
        self.api.on("GET", "/instances/offers", {"offers": [{"gpu_name": "RTX 3090", "dph_total": 0.2}]})
        self.api.on("GET", "/instances/12/events", listed("events", event(1, "pause", "15 idle seconds.")))
        self.api.on("GET", "/snapshots", listed("snapshots", self.snapshot()))
        self.api.on("GET", "/leases", listed("leases"))
        self.api.on("POST", "/snapshots/snap_1/restore", {"instance_id": 13}, status=202)
        self.api.on("GET", "/instances", listed("instances"))
        self.api.on("DELETE", "/ssh-keys/key_1", {})
        for number in (12, 13):
            self.api.on("DELETE", f"/instances/{number}", self.shown("destroying", number), status=202)
        self.states("running")
        self.api.on("GET", "/instances/13", self.shown("running", 13))

    def states(self, *statuses: str) -> None:
        """What instance 12 is at one look after the other, and for ever at last."""
        self.api.on("GET", "/instances/12", *map(self.shown, statuses))

    def shown(self, status: str, id: int = 12) -> dict[str, Any]:
        assert self.server is not None
        return instance(
            id=id,
            instance_id=id,
            status=status,
            ssh_port=self.server.port,
            ssh_host_key=self.server.host_key,
            last_wake={"method": "resume"},
        )

    @staticmethod
    def snapshot(**changes: Any) -> dict[str, Any]:
        made = {"id": "snap_1", "snapshot_id": "snap_1", "created_at": "2026-11-24T12:00:00Z", "files": 1}
        return made | {"size_bytes": 1, "status": "ready", "verified": True} | changes

    def close(self) -> None:
        self.api.close()
        if self.server:
            self.server.close()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """The server's shells are on this computer, so the file of the run is put elsewhere, and a GPU is made up."""
    file, program = tmp_path / "workspace/file.bin", tmp_path / "bin/nvidia-smi"
    file.parent.mkdir()
    program.parent.mkdir()
    program.write_text(NVIDIA)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(workplace, "WRITE", f"head -c 1000 /dev/urandom > '{file}' && sha256sum '{file}'")
    monkeypatch.setattr(workplace, "READ", f"sha256sum '{file}'")
    made = Account(tmp_path)
    yield made
    made.close()


@pytest.fixture
def tester(account: Account) -> Iterator[Tester]:
    made = Tester(account.api.url, deadline_seconds=PATIENCE_SECONDS)
    account.begin(made)
    yield made
    workplace.terminal(made).close()


def run(tester: Tester, *ids: str) -> dict[str, Result]:
    rows = [row for row in flow3.ROWS if not ids or row.id in ids]
    return {result.row.id: result for result in run_rows(tester, rows, lambda *_: None)}


def test_every_row_is_carried_out_and_everything_given_back(account: Account, tester: Tester) -> None:
    first = run(tester, *(f"3.1.{number}" for number in range(1, 6)))
    account.states("running", "running", "pausing", "paused", "paused", "running")
    second = run(tester, *(f"3.2.{number}" for number in range(1, 6)))
    account.states("running", "paused", "hibernating", "hibernated")
    third = run(tester, *(f"3.3.{number}" for number in range(1, 6)))
    every = first | second | third
    assert {id: result.note for id, result in every.items() if result.outcome is not Outcome.OK} == {}
    assert list(every) == [row.id for row in flow3.ROWS]
    assert "15 s" in every["3.2.1"].note
    assert "15 idle seconds." in every["3.2.2"].note
    assert every["3.2.5"].seconds == tester.made.resume_seconds > 0
    assert account.api.bodies("POST", "/instances") == [flow3.WANTED]
    windows = {"idle_pause_minutes": SHORT.pause, "idle_hibernate_minutes": SHORT.hibernate}
    assert account.api.bodies("PATCH", "/instances/12") == [windows, windows]

    for number in (12, 13):
        account.api.on("GET", f"/instances/{number}", account.shown("destroyed", number))
    assert clean_up(tester) is None
    gone = [(each.path, each.query) for each in account.api.asked if each.method == "DELETE"]
    query = {"delete_snapshots": ["true"]}
    assert gone == [("/instances/12", query), ("/instances/13", query), ("/ssh-keys/key_1", {})]
    assert not workplace.terminal(tester).folder.exists()


def made(tester: Tester) -> None:
    tester.made.instances = [12, 13]
    tester.made.sha256 = "0" * 64
    tester.made.snapshot = "snap_1"


def test_a_file_that_changed_is_seen(tester: Tester) -> None:
    made(tester)
    tester.made.sha256 = ""
    workplace.leave_a_file(tester)
    assert run(tester, "3.3.5")["3.3.5"].outcome is Outcome.OK
    tester.made.sha256 = "0" * 64
    result = run(tester, "3.3.5")["3.3.5"]
    assert (result.outcome, "mudou" in result.note) == (Outcome.FAILED, True)


def test_another_host_key_is_no_login(account: Account, tester: Tester) -> None:
    made(tester)
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    account.api.on("GET", "/instances/12", account.shown("running") | {"ssh_host_key": other})
    result = run(tester, "3.1.4")["3.1.4"]
    assert (result.outcome, "Host key verification failed" in result.note) == (Outcome.FAILED, True), result.note


def test_another_gpu_is_seen(account: Account, tester: Tester) -> None:
    made(tester)
    program = account.folder / "bin/nvidia-smi"
    program.write_text(NVIDIA.replace("RTX 3090", "RTX 3060"))
    assert run(tester, "3.1.5")["3.1.5"].outcome is Outcome.FAILED


@pytest.mark.parametrize("wrong", [{"verified": False}, {"status": "creating"}, {"status": "failed"}])
def test_a_snapshot_that_nobody_tried_is_none(account: Account, tester: Tester, wrong: dict[str, Any]) -> None:
    made(tester)
    account.api.on("GET", "/snapshots", listed("snapshots", account.snapshot(**wrong)))
    assert run(tester, "3.3.2")["3.3.2"].outcome is Outcome.FAILED


def test_a_machine_that_is_still_rented_is_seen(account: Account, tester: Tester) -> None:
    made(tester)
    assert run(tester, "3.3.3")["3.3.3"].outcome is Outcome.OK
    lease = {"provider_id": 7, "holder": {"kind": "instance", "id": "12"}}
    account.api.on("GET", "/leases", listed("leases", lease))
    assert run(tester, "3.3.3")["3.3.3"].outcome is Outcome.FAILED


def test_the_same_instance_is_no_new_one(account: Account, tester: Tester) -> None:
    made(tester)
    account.api.on("POST", "/snapshots/snap_1/restore", {"instance_id": 12}, status=202)
    assert run(tester, "3.3.4")["3.3.4"].outcome is Outcome.FAILED


def test_what_cannot_be_given_back_is_told_and_the_rest_is_given_back(account: Account, tester: Tester) -> None:
    made(tester)
    account.api.on("DELETE", "/instances/12", {"error": "x"}, status=503)
    account.api.on("GET", "/instances/13", account.shown("destroyed", 13))
    told = clean_up(tester)
    assert told is not None
    assert "a instância 12 não foi destruída" in told
    assert "13" not in told
    assert "chave" not in told
