"""What the commands of instances send, and what they make of the answers; the api is a double."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cli.__main__ import app
from cli.errors import CommandRefused
from cli.places import ROOT
from tests.cli.double import Double, event, instance, listed

OFFER = {
    "id": 7,
    "gpu_name": "RTX 4090",
    "num_gpus": 1,
    "gpu_ram": 24.0,
    "geolocation": "Norway, NO",
    "reliability": 0.99,
    "dph_total": 0.3,
}
PUBLIC = asyncssh.generate_private_key("ssh-ed25519", "me@laptop").export_public_key().decode().strip()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Double]:
    """An account with one instance, 12, called work; a home without any key."""
    double = Double()
    monkeypatch.setenv("DUMONT_API", double.url)
    monkeypatch.setenv("DUMONT_TOKEN", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    double.on("GET", "/instances", listed("instances", instance()))
    double.on("GET", "/instances/12", instance())
    double.on("GET", "/instances/12/events", listed("events"))
    double.on("GET", "/instances/offers", {"offers": [OFFER], "count": 1})
    double.on("GET", "/ssh-keys", listed("ssh_keys"))
    double.on("POST", "/ssh-keys", {"id": "key_1"}, status=201)
    double.on("POST", "/instances", instance(status="provisioning"), status=201)
    yield double
    double.close()


def dumont(*words: str) -> None:
    """A command in this process; refusals come up as they are."""
    app(words, result_action="return_value", exit_on_error=False)


def own_key(home: Path, name: str = "id_ed25519.pub", text: str = PUBLIC) -> Path:
    folder = home / ".ssh"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text + "\n")
    return folder / name


def test_create_sends_what_was_said_and_nothing_else(api: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret=1")
    words = "create --gpu RTX4090 --gpus 2 --image a/b --disk 40 --max-price 1.5 --label x --port 8080 --port 8081"
    more = "--env A=b=c --env HF_TOKEN --persist /data --idle-pause 5 --idle-hibernate 60 -y --detach"
    dumont(*words.split(), *more.split())
    assert api.bodies("POST", "/instances") == [
        {
            "gpu_type": "RTX4090",
            "num_gpus": 2,
            "image": "a/b",
            "disk_size": 40.0,
            "max_price": 1.5,
            "label": "x",
            "ports": [8080, 8081],
            "env": {"A": "b=c", "HF_TOKEN": "secret=1"},
            "persist": ["/data"],
            "idle_pause_minutes": 5.0,
            "idle_hibernate_minutes": 60.0,
        }
    ]
    (asked,) = (each for each in api.asked if (each.method, each.path) == ("POST", "/instances"))
    assert asked.headers["Idempotency-Key"]
    (search,) = (each.query for each in api.asked if each.path == "/instances/offers")
    assert search["gpu_name"] + search["min_disk"] + search["max_price"] == ["RTX4090", "40.0", "1.5"]


def test_create_leaves_the_rest_to_the_api(api: Double) -> None:
    dumont("create", "-y", "--detach")
    assert api.bodies("POST", "/instances") == [{"num_gpus": 1}]


def test_own_public_keys_are_registered_where_the_account_has_none(
    api: Double, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_key(tmp_path)
    own_key(tmp_path, "broken.pub", "no key at all")
    dumont("create", "-y", "-d")
    assert api.bodies("POST", "/ssh-keys") == [{"name": "id_ed25519", "public_key": PUBLIC}]
    assert "Registered id_ed25519.pub" in capsys.readouterr().err


def test_an_account_with_a_key_is_left_as_it_is(api: Double, tmp_path: Path) -> None:
    own_key(tmp_path)
    api.on("GET", "/ssh-keys", listed("ssh_keys", {"id": "key_0"}))
    dumont("create", "-y", "-d")
    assert api.bodies("POST", "/ssh-keys") == []


def test_without_a_terminal_nobody_is_asked_and_nothing_is_registered_or_rented(api: Double, tmp_path: Path) -> None:
    own_key(tmp_path)
    with pytest.raises(CommandRefused, match="add -y"):
        dumont("create")
    assert api.bodies("POST", "/ssh-keys") + api.bodies("POST", "/instances") == []


def test_no_key_anywhere_is_said(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    dumont("create", "-y", "-d")
    assert "ssh-keygen" in capsys.readouterr().err


def test_a_key_for_one_instance_is_the_public_half_whichever_is_named(api: Double, tmp_path: Path) -> None:
    public = own_key(tmp_path)
    public.with_suffix("").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    dumont("create", "--ssh-key", str(public.with_suffix("")), "-y", "-d")
    assert api.bodies("POST", "/instances")[0]["ssh_public_keys"] == [PUBLIC]
    assert api.bodies("POST", "/ssh-keys") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "-y", "--ssh-key", "PRIVATE"), "private key"),
        (("create", "-y", "--ssh-key", "nowhere.pub"), "ssh-keygen"),
        (("create", "-y", "--env", "NOT_SET_HERE"), "NOT_SET_HERE=VALUE"),
        (("restore", "snap_1", "--into", "work", "--gpu", "RTX"), "for a new one"),
        (("pause", "nobody"), "instances --all"),
        (("cp", "a", "b"), "NAME:PATH"),
        (("cp", "work:a", "work:b"), "NAME:PATH"),
        (("destroy", "work"), "add -y"),
    ],
)
def test_what_cannot_be_is_said_before_anything_happens(
    api: Double, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    private = tmp_path / "key"
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(CommandRefused, match=said) as refused:
        dumont(*(str(private) if word == "PRIVATE" else word for word in words))
    assert "AAAA" not in str(refused.value)
    assert {each.method for each in api.asked} <= {"GET"}


def test_nobody_offers_it(api: Double) -> None:
    api.on("GET", "/instances/offers", {"offers": [], "count": 0})
    with pytest.raises(CommandRefused, match=r"2x RTX 9999, --max-price 0\.1"):
        dumont("create", "--gpu", "RTX 9999", "--gpus", "2", "--max-price", "0.1", "-y")


def test_a_name_is_an_id_or_a_label_and_the_living_come_first(api: Double) -> None:
    every = [instance(id=9, label="12"), instance(id=8, label="old", status="destroyed"), instance(id=7, label="old")]
    api.on("GET", "/instances", listed("instances", *every))
    for id in (7, 12):
        api.on("PATCH", f"/instances/{id}", instance(id=id))
    dumont("rename", "12", "a")
    dumont("rename", "old", "b")
    assert (api.bodies("PATCH", "/instances/12"), api.bodies("PATCH", "/instances/7")) == (
        [{"label": "a"}],
        [{"label": "b"}],
    )


def test_two_of_the_same_name_are_told_apart_by_id(api: Double) -> None:
    api.on("GET", "/instances", listed("instances", instance(id=9), instance(id=8)))
    with pytest.raises(CommandRefused, match="9, 8"):
        dumont("pause", "work")


def test_the_label_is_looked_for_on_every_page(api: Double) -> None:
    first = listed("instances", instance(id=9, label="x")) | {"next_cursor": "9"}
    api.on("GET", "/instances", first, listed("instances", instance(id=8)))
    api.on("PATCH", "/instances/8", instance(id=8))
    dumont("rename", "work", "y")
    assert [each.query.get("cursor") for each in api.asked if each.path == "/instances"] == [None, ["9"]]


def test_keep_awake(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("POST", "/instances/12/keep-awake", instance(keep_awake_until="2999-01-01T00:00:00Z"), instance())
    dumont("keep-awake", "work", "90")
    dumont("keep-awake", "work", "0")
    assert api.bodies("POST", "/instances/12/keep-awake") == [{"minutes": 90.0}, {"minutes": 0.0}]
    said = capsys.readouterr().err
    assert "12 (work) is kept awake for" in said
    assert "pauses when it is idle" in said


def test_a_verb_follows_what_comes_of_it(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    asleep = instance(status="paused", message="paused; RTX 4090 is stopped")
    api.on("POST", "/instances/12/pause", instance(status="pausing"), status=202)
    api.on("GET", "/instances/12", instance(), instance(status="pausing"), asleep)
    old, new = event(1, "running"), event(2, "paused")
    api.on("GET", "/instances/12/events", listed("events", old), listed("events", old), listed("events", new, old))
    dumont("pause", "12", "--as-json")
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "paused"
    assert "it is paused" in err
    assert "it is running" not in err  # that was before


def test_a_wish_that_came_out_otherwise_ends_with_1(api: Double) -> None:
    api.on("POST", "/instances/12/pause", instance(status="pausing"), status=202)
    with pytest.raises(SystemExit) as ended:
        dumont("pause", "12")  # it goes on running: somebody has logged in
    assert ended.value.code == 1


def test_an_api_that_is_away_for_a_moment_ends_no_watch(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("POST", "/instances/12/pause", instance(status="pausing"), status=202)
    away = {"error": "database_unavailable", "detail": "The database does not answer.", "details": None}
    asleep = instance(status="paused", message="paused")
    api.then("GET", "/instances/12", (200, instance()), (503, away), (200, asleep))
    dumont("pause", "12")
    assert "✓ paused" in capsys.readouterr().err


def test_destroy_says_what_to_do_with_the_snapshots(api: Double) -> None:
    api.on("DELETE", "/instances/12", instance(status="destroying"), status=202)
    dumont("destroy", "12", "-y", "-d")
    dumont("destroy", "12", "-y", "-d", "--delete-snapshots")
    assert [each.query for each in api.asked if each.method == "DELETE"] == [{}, {"delete_snapshots": ["true"]}]


def snap(**changes: Any) -> dict[str, Any]:
    made = {"id": "snap_1", "snapshot_id": "snap_1", "instance_id": 12, "created_at": "2026-11-24T12:00:00Z"}
    return made | {"status": "creating", "verified": False, "tags": [], "paths": ["/workspace"]} | changes


def test_snapshots_of_one_instance(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("GET", "/snapshots", listed("snapshots", snap(status="ready", files=3, size_bytes=2000)))
    dumont("snapshots", "work")
    dumont("snapshots", "--as-json")
    queries = [each.query.get("instance_id") for each in api.asked if each.path == "/snapshots"]
    assert queries == [["12"], None]
    assert "snap_1" in capsys.readouterr().out


def test_a_snapshot_is_followed_until_it_is_whole(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("POST", "/snapshots", snap(), status=202)
    whole = snap(status="ready", files=3, size_bytes=2000, data_added_bytes=10)
    api.on("GET", "/snapshots/snap_1", snap(), snap(size_bytes=1000), whole)
    dumont("snapshot", "work", "--label", "before")
    assert api.bodies("POST", "/snapshots") == [{"instance_id": 12, "label": "before"}]
    assert "3 files, 2.0 KB, 10 B of them new" in capsys.readouterr().err


def test_a_snapshot_that_failed_ends_with_1_and_the_reason(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("POST", "/snapshots", snap(), status=202)
    api.on("GET", "/snapshots/snap_1", snap(status="failed", message="The vault is full."))
    with pytest.raises(SystemExit):
        dumont("snapshot", "work")
    assert "The vault is full." in capsys.readouterr().err


def test_restore_to_a_new_instance_shows_its_address(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("POST", "/snapshots/snap_1/restore", {"instance_id": 13, "snapshot_id": "snap_1"}, status=202)
    api.on("GET", "/instances/13", instance(id=13, ssh_command="ssh -p 22013 root@127.0.0.1"))
    api.on("GET", "/instances/13/events", listed("events"))
    dumont("restore", "snap_1", "--gpu", "RTX 3090", "--max-price", "0.5", "-y")
    assert api.bodies("POST", "/snapshots/snap_1/restore") == [{"gpu_type": "RTX 3090", "max_price": 0.5}]
    assert "Instance 13, its address for life: ssh -p 22013" in capsys.readouterr().err


def test_restore_in_place_waits_for_it_to_run_anew(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("POST", "/snapshots/snap_1/restore", {"instance_id": 12, "snapshot_id": "snap_1"}, status=202)
    told = [event(2, "running"), event(1, "resuming")]
    api.on("GET", "/instances/12/events", listed("events"), listed("events"), listed("events", *told))
    dumont("restore", "snap_1", "--into", "work", "-y")
    assert api.bodies("POST", "/snapshots/snap_1/restore") == [{"instance_id": 12}]
    assert "it is resuming" in capsys.readouterr().err


def test_events_are_shown_oldest_first_a_line_each(api: Double, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("GET", "/instances/12/events", listed("events", event(3, "paused"), event(2, "pause"), event(1, "running")))
    dumont("events", "work", "--last", "2", "--as-json")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["pause", "paused"]


def test_an_answer_that_never_came_is_not_taken_for_a_no(api: Double) -> None:
    api.loses = ("POST", "/instances")
    with pytest.raises(CommandRefused, match="Whether it was made is not known"):
        dumont("create", "-y")


@pytest.mark.parametrize(
    ("words", "said"), [(("pause", "12"), "events 12 --follow"), (("events", "12", "--follow"), "")]
)
def test_ctrl_c_ends_the_watching_and_nothing_else(api: Double, words: tuple[str, ...], said: str) -> None:
    api.on("POST", "/instances/12/pause", instance(status="pausing"), status=202)
    api.on("GET", "/instances/12", instance(), instance(status="pausing"))
    looks = "/instances/12/events"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-P", "-m", "cli", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as watching:
        deadline = time.monotonic() + 60
        while len([each for each in api.asked if each.path == looks]) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=120)
    assert (watching.returncode, said in told, "Traceback" in told) == (130, True, False), told
    assert [each.method for each in api.asked if each.method not in ("GET", "POST")] == []
