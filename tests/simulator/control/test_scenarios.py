"""Scenarios: scripts in time that can be repeated."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..conftest import ROOT, Simulator, poll, running

EXAMPLES = sorted((ROOT / "simulator/scenarios").glob("*.toml"))
TEXT = """
name = "two kills"
seed = 5
length = 0.8
[settings.market]
customers = 0.2
[[step]]
at = 0.0
fault = { endpoint = "GET /api/v1/instances", fault = "status", status = 503 }
[[step]]
at = 0.1
every = 0.2
times = 2
machine = "victim"
call = "POST /simulator/machines/{machine}/kill"
[[step]]
at = 0.6
machine = "nobody"
call = "PATCH /simulator/hosts/{host}"
"""


def begin(simulator: Simulator, text: str) -> int:
    headers = {"Content-Type": "application/toml"}
    answer = simulator.control.post("/simulator/scenarios", content=text.encode(), headers=headers)
    return int(answer.raise_for_status().json()["id"])


def drill(simulator: Simulator, number: int) -> dict[str, Any]:
    drills = simulator.control.get("/simulator/scenarios").json()["scenarios"]
    return next(one for one in drills if one["id"] == number)


def await_end(simulator: Simulator, number: int) -> None:
    poll(lambda: drill(simulator, number)["state"] == "done")


def victims(simulator: Simulator) -> list[int]:
    wish = {"label": "victim", "count": 6, "target_state": "stopped"}
    numbers: list[int] = simulator.control.post("/simulator/machines", json=wish).json()["ids"]
    return numbers


def test_the_same_seed_strikes_the_same_places(simulator: Simulator) -> None:
    struck, answered = [], []
    for text in (TEXT, TEXT.replace("length = 0.8\n", "")):
        simulator.control.post("/simulator/reset").raise_for_status()
        numbers = victims(simulator)
        number = begin(simulator, text)
        await_end(simulator, number)
        answered.append(simulator.vast.get("/api/v1/instances/").status_code)
        struck.append([place for place, one in enumerate(numbers) if simulator.book(one)["status"] == "killed"])
        assert drill(simulator, number)["log"][-1]["answer"] == "no such machine"
    assert struck[0] == struck[1]
    assert len(struck[0]) == 2
    assert answered == [200, 503]  # the first has a length, at the end of which its fault is taken away


def test_stopping_one_takes_its_faults_away(simulator: Simulator) -> None:
    number = begin(simulator, TEXT.replace("at = 0.6", "at = 60"))
    poll(lambda: simulator.control.get("/simulator/faults").json()["faults"])
    assert simulator.control.delete(f"/simulator/scenarios/{number}").json()["state"] == "stopped"
    assert simulator.control.get("/simulator/faults").json()["faults"] == []


@pytest.mark.parametrize("example", [file.stem for file in EXAMPLES])
def test_the_examples_begin(simulator: Simulator, example: str) -> None:
    simulator.rent(target_state="stopped")
    made = simulator.control.post("/simulator/scenarios", json={"example": example}).raise_for_status().json()
    entry = poll(lambda: drill(simulator, made["id"])["log"])[0]
    assert entry["did"].startswith(("fault ", "PATCH /simulator/hosts/"))
    stopped = simulator.control.delete(f"/simulator/scenarios/{made['id']}").json()
    assert stopped["state"] in ("stopped", "done")


@pytest.mark.parametrize(
    "text", ["name = 1", "name = 'x'\n[[step]]\nat = 1", "[[step]", TEXT.replace("/simulator/machines", "/api/v0")]
)
def test_bad_scenarios_are_refused(simulator: Simulator, text: str) -> None:
    headers = {"Content-Type": "application/toml"}
    answer = simulator.control.post("/simulator/scenarios", content=text.encode(), headers=headers)
    assert answer.status_code == 400


def test_from_the_command_line(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--scenario", str(ROOT / "simulator/scenarios/lost-replies.toml")) as simulator:
        poll(lambda: len(simulator.control.get("/simulator/faults").json()["faults"]) == 4)
        assert drill(simulator, 1)["name"] == "lost-replies"
    (tmp_path / "bad.toml").write_text("name = 1")
    argv = [
        sys.executable,
        "-m",
        "simulator",
        "--data-dir",
        str(tmp_path / "data"),
        "--scenario",
        str(tmp_path / "bad.toml"),
    ]
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert refused.returncode == 1
    assert "bad.toml" in refused.stderr
