"""The script that ends a user's programs, in a PID namespace of its own whose PID 1 is like a rented machine's."""

import subprocess
import sys
from pathlib import Path

import pytest

from activities.machines.end_processes import ending

MARK = "CONTAINER_ID"
WRITER = "import sys, time\nwhile True:\n    open(sys.argv[1], 'a').write('x'); time.sleep(0.05)\n"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WRITER}"
OURS = "sleep 2147483647 &"
"""What a launch script waits with."""


class Machine:
    """PID 1 begins programs at once, as `onstart` does, runs the script when they work, and sees whether they go on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = folder / "written"

    def program(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return f"nohup {sys.executable} {self.folder / name} {self.written} >/dev/null 2>&1 &"

    def ended(self, *programs: str, mark: str = MARK) -> str:
        """What the script says, once what is to write has begun to."""
        script = self.folder / "script"
        script.write_text(ending(MARK))
        begin = "\n".join(programs)
        waiting = f"until [ -s {self.written} ]; do sleep 0.05; done" if "python" in begin else ":"
        life = f"{begin}\n{waiting}\nsh {script}\nwc -c < {self.written}\nsleep 0.4\nwc -c < {self.written}"
        self.written.touch()
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "env", f"{mark}=1", "sh", "-c", life]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.splitlines()
        counts, before, after = said if len(said) == 3 else ("", *said)
        assert before == after or not counts, "something writes on"
        return counts


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_the_machine_waits_with_is_spared(machine: Machine) -> None:
    assert machine.ended(OURS) == "0 0"


def test_what_began_with_the_machine_is_its_users_all_the_same(machine: Machine) -> None:
    assert machine.ended(OURS, machine.program("train.py", WRITER)) == "1 0"


def test_a_word_among_its_arguments_spares_nothing(machine: Machine) -> None:
    assert machine.ended(OURS, machine.program("log_sshd_attacks.py", WRITER)) == "1 0"


def test_what_does_not_listen_is_made_to(machine: Machine) -> None:
    assert machine.ended(OURS, machine.program("deaf.py", DEAF)) == "1 0"


def test_what_begins_it_again_is_ended_too(machine: Machine) -> None:
    program = machine.program("train.py", WRITER).removesuffix("&").strip()
    assert machine.ended(OURS, f"sh -c 'while :; do {program}; done' &").endswith(" 0")


def test_a_machine_that_is_no_rented_one_is_left_alone(machine: Machine) -> None:
    assert machine.ended(machine.program("train.py", WRITER), mark="OTHER") == ""
