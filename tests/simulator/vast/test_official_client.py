"""vastai 1.9.1, command line and SDK, unmodified."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Key, Simulator, poll
from .official import client_environment, command_line

Vast = Callable[..., str]


@pytest.fixture(scope="module")
def environment(shared: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return client_environment(shared, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def vastai(environment: dict[str, str]) -> Iterator[Vast]:
    with command_line(environment) as run:
        yield run


def test_the_program_itself(simulator: Simulator, environment: dict[str, str]) -> None:
    argv = [str(Path(sys.executable).parent / "vastai"), "show", "user"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert "1000.00" in done.stdout


def test_the_command_line_through_a_machines_life(simulator: Simulator, vastai: Vast, key: Key) -> None:
    query = ["search", "offers", "num_gpus=1 gpu_name=RTX_4090 reliability>0.9", "-o", "dph_total", "--limit", "3"]
    offers = json.loads(vastai(*query, "--raw"))
    assert [offer["gpu_name"] for offer in offers] == ["RTX 4090"] * 3
    vastai("create", "ssh-key", key.public)
    assert key.public in vastai("show", "ssh-keys", "--raw")
    vastai("create", "instance", str(offers[0]["id"]), "--image", "ubuntu:22.04", "--disk", "16", "--label", "job-1",
           "--ssh", "--direct", "--env", '-e A=1 -e B="x y" -p 8000:8000', "--onstart-cmd", "echo hi")  # fmt: skip
    number = str(simulator.control.get("/simulator/books").json()["machines"][-1]["id"])
    simulator.await_status(int(number), "running")
    row = json.loads(vastai("show", "instances", "--raw"))[0]
    assert row["extra_env"] == {"A": "1", "B": "x y", "-p 8000:8000": "1"}
    assert vastai("ssh-url", number).startswith(f"ssh://root@{row['public_ipaddr'].strip()}:")
    assert "hi" in poll(lambda: (text := vastai("logs", number, "--tail", "10")) and "hi" in text and text)
    vastai("label", "instance", number, "other")
    assert json.loads(vastai("show", "instance", number, "--raw"))["label"] == "other"
    vastai("attach", "ssh", number, str(key.file.with_suffix(".pub")))
    vastai("stop", "instance", number)
    simulator.await_status(row["id"], "exited")
    vastai("start", "instance", number)
    simulator.await_status(row["id"], "running")
    vastai("destroy", "instance", number, "-y")
    poll(lambda: simulator.book(row["id"])["status"] == "destroyed")


def test_more_of_the_command_line(simulator: Simulator, vastai: Vast) -> None:
    assert "RTX_4090" in vastai("search", "offers", "-i", "--new", "gpu_ram>=24 geolocation in [SE,US,NO,DE]")
    odd = 'rentable=any verified=any gpu_name in ["RTX 4090",RTX_3090] duration>2 driver_version>=535.86.05'
    assert json.loads(vastai("search", "offers", odd, "--raw"))
    numbers = [str(simulator.rent(label="job-1")) for _ in range(2)]
    simulator.await_status(int(numbers[1]), "running")
    assert "RTX 4090" in vastai("show", "instances", "--label", "job-1", "--status", "running", "--limit", "5")
    for verb in ("reboot", "recycle"):
        vastai(verb, "instance", numbers[1])
    vastai("stop", "instances", *numbers)
    simulator.await_status(int(numbers[0]), "exited")
    vastai("destroy", "instances", *numbers, "-y")
    poll(lambda: simulator.control.get("/simulator/books").json()["alive"] == 0)


SCRIPT = """
import json, sys, time
from vastai import VastAI
vast = VastAI(raw=True)
offer = vast.search_offers(query="num_gpus=1 gpu_name=RTX_3090", limit=1, order="dph_total")[0]
made = vast.create_instance(id=offer["id"], image="ubuntu:22.04", disk=12.0, label="sdk", ssh=True, direct=True)
number = made["new_contract"]
def status():
    return next((row["actual_status"] for row in vast.show_instances() if row["id"] == number), "gone")
def wait(wanted):
    deadline = time.monotonic() + 120
    while status() != wanted:
        assert time.monotonic() < deadline, (wanted, status())
        time.sleep(0.05)
wait("running")
vast.label_instance(id=number, label="sdk-2")
assert vast.show_instance(id=number)["label"] == "sdk-2"
assert "simulated" not in json.dumps(vast.show_ssh_keys())
vast.stop_instance(id=number); wait("exited")
vast.start_instance(id=number); wait("running")
vast.logs(instance_id=number, tail="5")
vast.destroy_instance(id=number); wait("gone")
print("done")
"""


def test_the_sdk(simulator: Simulator, environment: dict[str, Any]) -> None:
    argv = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.strip().endswith("done"), done.stderr
