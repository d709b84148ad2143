"""Two hundred machines alive at once: what they cost, that they answer, and that nothing of them stays."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from .conftest import Key, Simulator, poll, running
from .processes import processes_in
from .shells import say

MANY = 200
TICKS = os.sysconf("SC_CLK_TCK")


def members(simulator: Simulator) -> list[Path]:
    """The simulator's process and all that came of it, machines included."""
    found, front = [], [simulator.process.pid]
    while front:
        pid = front.pop()
        found.append(Path(f"/proc/{pid}"))
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                front += [int(child) for child in children.read_text().split()]
    return found


def kilobytes(process: Path) -> int:
    """Nothing for one that has ended."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def cpu_seconds(processes: list[Path]) -> float:
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


@pytest.mark.long
def test_two_hundred_machines_alive(tmp_path: Path, key: Key) -> None:
    with running(tmp_path / "data") as simulator:
        begun = time.monotonic()
        env = {"SSH_PUBLIC_KEY": key.public, "TEST_FOLDER": str(simulator.folder)}
        wish = {"count": MANY, "env": env, "runtype": "ssh_direc ssh_proxy"}
        numbers = simulator.control.post("/simulator/machines", json=wish, timeout=60).raise_for_status().json()["ids"]

        def up() -> bool:
            rows = simulator.control.get("/simulator/books").json()["machines"]
            return [row["actual_status"] for row in rows] == ["running"] * MANY

        poll(up, 120)
        booted = time.monotonic() - begun
        machines = members(simulator)[1:]
        per_machine = sum(kilobytes(process) for process in machines) / MANY
        whole = members(simulator)
        before = cpu_seconds(whole)
        time.sleep(10)  # the time that is measured
        percent = (cpu_seconds(whole) - before) * 10
        itself = kilobytes(whole[0]) / 1024
        print(f"{MANY} machines up in {booted:.1f} s: {per_machine:.0f} KB each, the simulator {itself:.0f} MB; "
              f"{percent:.1f} % of one core when idle")  # fmt: skip
        assert per_machine < 6000
        assert percent < 25
        for number in (numbers[0], numbers[-1]):
            assert say(simulator.show(number), key, "hostname") == f"C.{number}"
        simulator.terminate(signal.SIGKILL)
        poll(lambda: not processes_in(simulator.folder))


def test_an_idle_machine_is_small(simulator: Simulator) -> None:
    rows = [simulator.await_status(simulator.rent(), "running") for _ in range(3)]
    kilobytes = [memory_of(simulator.folder / "machines" / str(row["id"])) for row in rows]
    assert max(kilobytes) < 6000


def memory_of(folder: Path) -> int:
    """Proportional memory, in KB, of the processes whose root folder is this machine's or that wait for them."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            here = (process / "cwd").resolve() == folder or b"C." + folder.name.encode() in words
            inside = (process / "environ").read_bytes().find(f"CONTAINER_ID={folder.name}".encode()) >= 0
            if here or inside:
                rollup = (process / "smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except OSError:
            continue
    assert total
    return total
