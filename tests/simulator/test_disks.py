"""Disks that end, where this computer can have them."""

import os
import signal
from pathlib import Path

import pytest

from .conftest import Key, poll, running
from .shells import address, answers, machine, say, ssh


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
        say(row, key, "rm /workspace/big")
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
    used = [file.read_text() for file in Path("/sys/block").glob("loop*/loop/backing_file")]
    assert not any(str(folder) in name for name in used)
