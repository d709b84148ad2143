"""The script that keeps a model server: one server, known again, and ended when it has to be."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.endpoints.serve_script import FOLDER, serve_script
from domain.endpoints.phases import ModelType
from domain.endpoints.plans import plan_serving
from tests.simulator.conftest import poll

IGNORES_TERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"


class Machine:
    """A folder that stands for a machine's, with the script in it."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        plan = plan_serving(ModelType.LLM, "org/model-1B").model_copy(
            update={"arguments": [sys.executable, "-c", f"{server}; import signal; signal.pause()"]}
        )
        (folder / "serve").write_text(serve_script(plan).replace(FOLDER, str(folder)))
        (folder / "serve").chmod(0o700)
        (folder / "serve.key").write_text("a key")

    def serve(self, word: str) -> str:
        return subprocess.run([self.folder / "serve", word], capture_output=True, text=True, check=True).stdout

    @property
    def pid(self) -> int:
        return int((self.folder / "serve.pid").read_text().split()[0])

    def kill(self, number: signal.Signals) -> None:
        poll(lambda: os.getpgid(self.pid) == self.pid)  # it has called setsid
        os.killpg(self.pid, number)

    def ends(self) -> None:
        """Returns once the server has ended: a signal that was sent has not yet been received."""
        poll(lambda: self.serve("status").startswith("exited"))


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    made = Machine(tmp_path, getattr(request, "param", "print('up', flush=True)"))
    yield made
    if made.serve("status").startswith("running"):
        made.kill(signal.SIGKILL)


def test_one_that_runs_is_left_alone_and_one_that_died_is_started(machine: Machine) -> None:
    assert machine.serve("status").startswith("exited")
    machine.serve("start")
    first = machine.pid
    machine.serve("start")
    assert machine.pid == first
    machine.kill(signal.SIGKILL)
    machine.ends()
    machine.serve("start")
    assert machine.pid != first
    assert machine.serve("status").startswith("running")


def test_two_starts_at_once_make_one_server(machine: Machine) -> None:
    starts = [subprocess.Popen([machine.folder / "serve", "start"]) for _ in range(4)]
    assert [start.wait() for start in starts] == [0] * 4
    found = subprocess.run(["pgrep", "-f", f"^{machine.folder}/serve"], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    group = ["pgrep", "-g", str(machine.pid)]
    poll(lambda: subprocess.run(group, capture_output=True, text=True).stdout.split() == [str(machine.pid)])


def test_a_number_that_is_anothers_by_now_is_not_its_server(machine: Machine) -> None:
    (machine.folder / "serve.pid").write_text("1 1\n")
    assert machine.serve("status").startswith("exited")
    machine.serve("start")
    assert machine.pid != 1


@pytest.mark.parametrize("machine", ["print('up', flush=True)", IGNORES_TERM], indirect=True)
def test_a_server_that_hangs_is_ended_and_another_one_started(machine: Machine) -> None:
    machine.serve("start")
    first = machine.pid
    machine.kill(signal.SIGSTOP)
    machine.serve("restart")
    assert machine.pid != first
    assert machine.serve("status").startswith("running")
