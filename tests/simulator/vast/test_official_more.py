"""More of vastai 1.9.1, unmodified: bids and terms, keys and variables, money, and lists of what is not here."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..conftest import Simulator, poll
from .official import client_environment, command_line

Vast = Callable[..., str]


@pytest.fixture(scope="module")
def environment(shared: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return client_environment(shared, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def vastai(environment: dict[str, str]) -> Iterator[Vast]:
    with command_line(environment) as run:
        yield run


def newest(simulator: Simulator) -> int:
    return int(simulator.control.get("/simulator/books").json()["machines"][-1]["id"])


def test_bids_and_terms(simulator: Simulator, vastai: Vast) -> None:
    offer = simulator.offers()[0]
    rent = ["create", "instance", str(offer["id"]), "--image", "ubuntu:22.04", "--ssh"]
    vastai(*rent, "--bid_price", str(offer["min_bid"] + 0.01))
    number = str(newest(simulator))
    simulator.await_status(int(number), "running")
    vastai("change", "bid", number, "--price", "0.4")
    assert simulator.show(int(number))["dph_base"] == 0.4
    vastai("change", "bid", number)
    assert simulator.show(int(number))["dph_base"] == pytest.approx(offer["min_bid"])
    vastai("update", "instance", number, "--image", "ubuntu:24.04", "--env", '{"A": "1"}')
    assert simulator.show(int(number))["image_uuid"] == "ubuntu:24.04"
    vastai("launch", "instance", "-g", "RTX_3090", "-n", "1", "-i", "ubuntu", "--label", "launched")
    launched = newest(simulator)
    assert simulator.show(launched)["gpu_name"] == "RTX 3090"
    assert "discount" in vastai("prepay", "instance", str(launched), "10")
    assert json.loads(vastai("show", "deposit", str(launched)))["balance"] == pytest.approx(10, abs=0.1)
    assert json.loads(vastai("show", "user", "--raw"))["credit"] == pytest.approx(990, abs=0.1)
    offers = [str(row["id"]) for row in simulator.offers("RTX 3080")[:2]]
    vastai("create", "instances", *offers, "--image", "ubuntu:22.04")
    assert simulator.control.get("/simulator/books").json()["alive"] == 4
    vastai("stop", "instances", number, str(launched))
    simulator.await_status(launched, "exited")
    vastai("start", "instances", number, str(launched))
    simulator.await_status(launched, "running")


def test_keys_and_variables(simulator: Simulator, vastai: Vast, tmp_path: Path) -> None:
    permissions = tmp_path / "permissions.json"
    permissions.write_text('{"api": {"misc": {}, "user_read": {}}}')
    vastai("create", "api-key", "--name", "reader", "--permission_file", str(permissions))
    keys = json.loads(vastai("show", "api-keys", "--raw"))["apikeys"]
    assert [(key["name"], "key" in key) for key in keys] == [("reader", False)]
    assert "reader" in vastai("show", "api-key", str(keys[0]["id"]))
    vastai("delete", "api-key", str(keys[0]["id"]))
    assert json.loads(vastai("show", "api-keys", "--raw"))["apikeys"] == []
    vastai("create", "env-var", "TOKEN", "first")
    vastai("update", "env-var", "TOKEN", "second")
    assert json.loads(vastai("show", "env-vars", "-s", "--raw")) == {"TOKEN": "second"}
    vastai("delete", "env-var", "TOKEN")
    assert "No environment variables" in vastai("show", "env-vars")
    details = tmp_path / "user.json"
    details.write_text('{"billaddress_city": "Recife"}')
    vastai("set", "user", "--file", str(details))
    assert json.loads(vastai("show", "user", "--raw"))["billaddress_city"] == "Recife"


def test_money(simulator: Simulator, vastai: Vast) -> None:
    simulator.control.patch("/simulator/settings", json={"money_rate": 100_000})
    number = simulator.rent(label="dear")
    simulator.await_status(number, "running")
    simulator.vast.delete(f"/api/v0/instances/{number}/").raise_for_status()
    poll(lambda: simulator.book(number)["status"] == "destroyed")  # its meters stand still
    charges = json.loads(vastai("show", "invoices-v1", "--charges", "--raw"))
    row = charges["results"][0]
    assert (charges["total"], row["source"]) == (1, f"instance-{number}")
    assert row["amount"] == pytest.approx(simulator.book(number)["cost_usd"])
    assert {item["type"] for item in row["items"]} == {"gpu", "storage", "upload", "download"}
    assert str(number) in vastai("show", "invoices-v1", "--charges", "--no-color")
    assert "1000.00" in vastai("show", "invoices-v1", "--invoices", "--no-color")
    old = json.loads(vastai("show", "invoices", "--instance_label", "dear", "--raw"))
    assert old == []  # the label is looked up among what is still rented
    assert {row["type"] for row in json.loads(vastai("show", "invoices", "--raw"))} == {"charge", "payment"}


EXECUTE = """
import sys
from vastai import VastAI
vast = VastAI(raw=True)
print(vast.execute(id=int(sys.argv[1]), command="ls -d /workspace /root/hasbooted"))
print(vast.execute(id=int(sys.argv[1]), command="du -s /workspace"))
print(len(vast.show_instances()))
"""


def test_execute_with_the_sdk(simulator: Simulator, environment: dict[str, str]) -> None:
    """The command line's own ``execute`` breaks over the result (clouds.md A1); the SDK's does not."""
    number = simulator.rent()
    simulator.await_status(number, "running")
    argv = [sys.executable, "-c", EXECUTE, str(number)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert "/root/hasbooted\n/workspace" in done.stdout
    assert done.stdout.strip().endswith("1")


EMPTY = (
    ("show", "volumes"), ("search", "volumes", "disk_space>10"), ("search", "templates"), ("show", "machines"),
    ("show", "endpoints"), ("show", "workergroups"), ("show", "subaccounts"), ("show", "members"),
    ("show", "team-roles"), ("show", "ipaddrs"), ("show", "connections"), ("show", "audit-logs"),
    ("show", "scheduled-jobs"), ("show", "earnings"), ("tfa", "status"), ("show", "instance-backups"),
    ("show", "network-disks"), ("show", "deployments"), ("show", "pending-price-increases"),
)  # fmt: skip


def test_what_is_not_here_answers_empty(simulator: Simulator, vastai: Vast) -> None:
    for words in EMPTY:
        vastai(*words)
    unknown = [
        entry for entry in simulator.control.get("/simulator/requests").json()["requests"] if entry["status"] >= 400
    ]
    assert unknown == []
