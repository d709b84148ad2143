"""Disks that end, where this computer can have them."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Key, poll, running
from ..shells import address, answers, machine, order, say, ssh


def came_or_failed(row: dict[str, Any]) -> bool:
    """Up, or not come up for want of room."""
    failed = row["actual_status"] == "exited" and "No space left" in (row["status_msg"] or "")
    return row["actual_status"] == "running" or failed


def folder_of(pid: int, folder: Path, number: int) -> Path:
    """The machine's folder as the simulator sees it: its disks are mounted in a namespace of its own."""
    return Path(f"/proc/{pid}/root{folder}/machines/{number}")


def loops_on(folder: Path) -> list[str]:
    """The files in this folder that loop devices of this computer have open."""
    found = []
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found.append(device.read_text())
    return [name for name in found if str(folder) in name]


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="takes root and loop devices")
def test_a_full_disk_says_so_and_outlives_the_simulator(tmp_path: Path, key: Key) -> None:
    folder = tmp_path / "data"
    with running(folder, "--disk-quota") as simulator:
        row = machine(simulator, key, disk=0.05)
        say(row, key, "echo mine > /workspace/file")
        full = ssh(row, key, "head -c 80000000 /dev/zero > /workspace/big")
        assert full.returncode == 1
        assert "No space left on device" in full.stderr
        assert simulator.show(row["id"])["disk_util"] > 0.9
        say(row, key, "cat /dev/zero > /workspace/rest 2> /dev/null; true")
        order(simulator, row["id"], "stopped")
        simulator.await_status(row["id"], "exited")
        order(simulator, row["id"], "running")  # what the platform writes at a start finds no room, or just enough
        poll(lambda: came_or_failed(simulator.show(row["id"])))
        assert simulator.control.get("/health").json()["status"] == "ok"
        order(simulator, row["id"], "stopped")
        simulator.await_status(row["id"], "exited")
        for name in ("big", "rest"):
            (folder_of(simulator.process.pid, folder, row["id"]) / "root/workspace" / name).unlink()
        order(simulator, row["id"], "running")
        row = simulator.await_status(row["id"], "running")
        poll(lambda: answers(*address(row)))
        poll(lambda: simulator.show(row["id"])["disk_util"] < 0.5)
        simulator.terminate(signal.SIGKILL)
    assert str(folder) not in Path("/proc/mounts").read_text()
    with running(folder, "--disk-quota") as again:
        seen = again.await_status(row["id"], "running")
        poll(lambda: answers(*address(seen)))
        assert say(seen, key, "cat /workspace/file") == "mine"
        again.vast.delete(f"/api/v0/instances/{row['id']}/").raise_for_status()
        poll(lambda: not (folder / f"machines/{row['id']}.disk").exists())
        again.terminate()
    poll(lambda: not loops_on(folder))  # the kernel lets go of them after the process has ended
