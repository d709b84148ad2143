"""The simulated nvidia-smi beside the real one: what driver 580.159 printed on a rented H200 (the folder nvidia_smi).

Figures differ; what must be the same is every other character, the width of every column, and how each command ends.
"""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from machine.agent.gpus import COMMAND, parsed

RECORDED = Path(__file__).with_name("nvidia_smi")
PROGRAM = Path(__file__).parents[3] / "simulator/images/nvidia/bin/nvidia-smi"
H200 = {"name": "H200", "count": 1, "memory_mb": 143771, "driver": "580.159.04", "cuda": "13.0", "watts": 700}
STATES = {
    "idle": {"utilization": 0, "memory_used_mb": 0},
    "held": {"utilization": 0, "memory_used_mb": 657},
    "loaded": {"utilization": 98, "memory_used_mb": 1011},
    "missing": {"utilization": 0, "memory_used_mb": 0, "missing": True},
    "errors": {"utilization": 0, "memory_used_mb": 0},
}
"""Idle; a process that holds memory and computes nothing; one that multiplies matrices; no device; wrong commands."""

UNKNOWN_COLUMNS = {"temperature.memory", "compute_cap", "vbios_version"}
"""What the simulator does not know of a GPU."""


def recorded(name: str) -> list[tuple[list[str], str, int]]:
    """The commands, what each printed, and its exit code."""
    text = (RECORDED / f"{name}.txt").read_text()
    found = re.findall(r"^\$ (.+?)\n(.*?)^\[exit (\d+)]$", text, re.DOTALL | re.MULTILINE)
    return [(command.split(), printed, int(code)) for command, printed, code in found]


class Simulated:
    def __init__(self, root: Path, state: Mapping[str, object]) -> None:
        self._root = root
        (root / "run/simulator").mkdir(parents=True)
        (root / "run/simulator/gpu.json").write_text(json.dumps({**H200, "host": 1, **state}))

    def run(self, command: list[str]) -> tuple[str, int]:
        ended = subprocess.run(
            [sys.executable, PROGRAM, *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            env={"SIMULATED_ROOT": str(self._root)},
        )
        return ended.stdout, ended.returncode


def shape(text: str) -> str:
    """Without figures, the day it was printed, and processes, which are listed in no container."""
    text = re.sub(r"GPU-[0-9a-f-]{36}", "GPU-", text)
    text = re.sub(r"^\w{3} \w{3} [ \d]\d ", "Day Mon 00 ", text)  # a day of one figure has a blank before it
    text = re.sub(r"\|    0   N/A.*\n", f"|{'  No running processes found':<89}|\n", text)
    return re.sub(r"\d", "0", text)


@pytest.mark.parametrize("day", [" 1", " 9", "10", "31"])
def test_the_day_of_the_month_changes_no_shape(day: str) -> None:
    assert shape(f"Tue Dec {day} 03:09:11 2026       \n") == "Day Mon 00 00:00:00 0000       \n"


def plain(command: list[str]) -> bool:
    return not any(option.startswith(("--query-gpu=index", "--query-compute-apps")) for option in command)


@pytest.mark.parametrize("name", STATES)
def test_it_prints_what_the_real_one_prints(tmp_path: Path, name: str) -> None:
    simulated = Simulated(tmp_path, STATES[name])
    for command, printed, code in recorded(name):
        if plain(command):
            said, ended = simulated.run(command)
            assert shape(said.replace("This machine is simulated: no GPU is here.\n", "")) == shape(printed), command
            assert ended == code, command


@pytest.mark.parametrize("name", ["idle", "held", "loaded"])
def test_each_column_is_written_as_the_real_one_writes_it(tmp_path: Path, name: str) -> None:
    simulated = Simulated(tmp_path, STATES[name])
    command, printed, _ = next(each for each in recorded(name) if "--query-gpu=index" in " ".join(each[0]))
    asked = command[1].partition("=")[2].split(",")
    titles, values = csv.reader(printed.splitlines(), skipinitialspace=True)
    known = [at for at, column in enumerate(asked) if column not in UNKNOWN_COLUMNS]
    said, _ = simulated.run(["", f"--query-gpu={','.join(asked[at] for at in known)}", "--format=csv"])
    own_titles, own_values = csv.reader(said.splitlines(), skipinitialspace=True)
    assert own_titles == [titles[at] for at in known]
    for at, own in zip(known, own_values, strict=True):
        if titles[at] != "serial":
            assert re.sub(r"[\d.]+", "0", shape(own)) == re.sub(r"[\d.]+", "0", shape(values[at])), titles[at]


@pytest.mark.parametrize(("name", "load"), [("idle", 0.0), ("held", 0.0), ("loaded", 98.0)])
def test_the_agent_reads_the_real_one(name: str, load: float) -> None:
    printed = next(printed for command, printed, _ in recorded(name) if command == COMMAND)
    read = parsed(printed)
    assert (read["utilization"], read["gpu_names"]) == (load, ["NVIDIA H200"])
    assert read["gpu_memory_total"] == [143771.0]


def test_no_device_is_an_exit_code_of_nought_when_they_are_listed() -> None:
    """So the probe of a machine must read what was said (activities/machines/probing.py)."""
    assert ("No devices found.\n", 0) in [(printed, code) for command, printed, code in recorded("missing")]
