"""An instance's life at the command line, against a whole system."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests import plain_http
from tests.cli.conftest import Dumont
from tests.cli.installation import Installation


@pytest.fixture(autouse=True)
def _nothing_is_left(dumont: Dumont) -> Iterator[None]:
    """What a test made and did not destroy is destroyed."""
    yield
    for each in json.loads(dumont("instances", "--json").stdout)["instances"]:
        assert dumont("destroy", str(each["id"]), "-y").returncode == 0


@pytest.fixture
def key(home: Path) -> str:
    """A public key's file."""
    path = home / "key.pub"
    asyncssh.generate_private_key("ssh-ed25519").write_public_key(path)
    return str(path)


@pytest.fixture
def name(dumont: Dumont, key: str, request: pytest.FixtureRequest) -> str:
    """The label of an instance that runs."""
    label: str = request.node.name.removeprefix("test_")[:40]
    made = dumont("create", "--gpu", "rtx_4090", "--label", label, "--ssh-key", key, "--idle-pause", "60", "-y")
    assert made.returncode == 0, made.stderr
    return label


def shown(dumont: Dumont, label: str) -> dict[str, Any]:
    every = json.loads(dumont("instances", "--all", "--as-json").stdout)["instances"]
    found: dict[str, Any] = next(each for each in every if each["label"] == label)
    return found


def test_create_shows_the_price_and_what_happens_and_ends_with_the_login(dumont: Dumont, key: str) -> None:
    made = dumont("create", "--gpu", "rtx_4090", "--label", "made", "--ssh-key", key, "-y", "--as-json")
    assert made.returncode == 0, made.stderr
    body = json.loads(made.stdout)
    assert body["status"] == "running"
    assert "$0." in made.stderr
    address = re.search(r"its address for life: (ssh -p \d+ root@\S+)", made.stderr)
    assert address is not None
    assert address[1] == body["ssh_command"]
    assert re.search(r"\+0\.0 s +created +Made, .*\n(.*\n)* +\+\S+ s +running +running on RTX 4090", made.stderr), (
        made.stderr
    )
    assert f"ssh {body['id']}   or   {body['ssh_command']}" in made.stderr
    assert dumont("destroy", "made", "-y").returncode == 0
    assert shown(dumont, "made")["status"] == "destroyed"


def test_offers_that_failed_are_shown_with_their_reason(dumont: Dumont, whole: Installation, key: str) -> None:
    body = {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask Instance type by id 1."}
    gone = {"endpoint": "PUT /api/v0/asks/", "fault": "status", "status": 400, "body": body, "times": 1}
    answer = plain_http.post(f"{whole.read()['simulator']}/simulator/faults", json=gone, trust_env=False)
    assert answer.is_success, answer.text
    made = dumont("create", "--gpu", "rtx_4090", "--label", "second", "--ssh-key", key, "-y")
    assert made.returncode == 0, made.stderr
    assert re.search(r"offer_gone +RTX 4090, offer \d+: ", made.stderr), made.stderr


def test_pause_wake_and_resume_until_it_is_so(dumont: Dumont, name: str) -> None:
    before = shown(dumont, name)
    paused = dumont("pause", name)
    assert (paused.returncode, "✓ paused" in paused.stderr) == (0, True), paused.stderr
    assert shown(dumont, name)["status"] == "paused"
    assert dumont("pause", name).returncode == 0
    assert "its disk" in dumont("instances").stdout
    woken = dumont("wake", name, "--json")
    assert (woken.returncode, json.loads(woken.stdout)["status"]) == (0, "running"), woken.stderr
    assert "awake after" in woken.stderr
    assert dumont("pause", name).returncode == 0
    resumed = dumont("resume", name)
    assert (resumed.returncode, "✓ running" in resumed.stderr) == (0, True), resumed.stderr
    after = shown(dumont, name)
    same = ("id", "ssh_host", "ssh_port", "ssh_host_key", "provider_id")
    assert [after[each] for each in same] == [before[each] for each in same]


@pytest.mark.long
def test_detached_it_goes_on_and_events_tell_the_rest(dumont: Dumont, name: str) -> None:
    left = dumont("pause", name, "--detach")
    assert (left.returncode, "--follow" in left.stderr) == (0, True), left.stderr
    assert dumont("pause", name).returncode == 0  # joins it
    told = dumont("events", name, "--json").stdout.splitlines()
    kinds = [json.loads(line)["kind"] for line in told]
    assert kinds[0] == "created"
    assert kinds.count("pause") == 1
    assert kinds[-1] == "paused"
    assert [line.split()[2] for line in dumont("events", name, "--last", "1").stdout.splitlines()] == ["paused"]


@pytest.mark.long
def test_a_new_label_is_the_name_from_then_on(dumont: Dumont, name: str) -> None:
    assert dumont("rename", name, "renamed").returncode == 0
    gone = dumont("events", name)
    assert (gone.returncode, "instances --all" in gone.stderr) == (1, True)
    assert dumont("events", "renamed").returncode == 0


def test_ssh_config_names_its_address(dumont: Dumont, name: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(dumont("ssh-config").stdout)
    now = shown(dumont, name)
    words = ["ssh", "-G", "-F", str(tmp_path / "config"), name]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    read = dict(line.split(" ", 1) for line in lines if " " in line)
    assert (read["hostname"], read["port"], read["user"]) == (now["ssh_host"], str(now["ssh_port"]), "root")
    assert read["stricthostkeychecking"] in ("yes", "true")
    known = Path(read["userknownhostsfile"])
    assert known.read_text() == f"[{now['ssh_host']}]:{now['ssh_port']} {now['ssh_host_key']}\n"


def test_nothing_held_says_how_to_begin(dumont: Dumont) -> None:
    ran = dumont("instances")
    assert (ran.returncode, "create" in ran.stdout) == (0, True)
