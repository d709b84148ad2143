"""`dumont jobs` against a whole system: what a person types, sees and gets back as exit status."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.places import ROOT
from tests.cli.installation import Installation

Ran = subprocess.CompletedProcess[str]


class Person(NamedTuple):
    """Somebody at a shell, in a folder of their own, without any kept login."""

    folder: Path
    home: Path

    @property
    def words(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(self.home), "COLUMNS": "200"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "cli", "jobs", *arguments, "--data-dir", str(self.folder)]

    def jobs(self, *arguments: str) -> Ran:
        return subprocess.run(
            self.command(*arguments), env=self.words, capture_output=True, text=True, check=False, cwd=self.home
        )

    def script(self, name: str, text: str) -> str:
        path = self.home / name
        path.write_text(text)
        return str(path)


@pytest.fixture(scope="module")
def person(whole: Installation, home: Path) -> Person:
    return Person(whole.folder, home)


def test_a_script_runs_there_and_ends_here(person: Person) -> None:
    script = person.script(
        "train.py",
        "import os, sys, torch\nprint(torch.cuda.is_available(), os.environ['NAME'])\nprint('oops', file=sys.stderr)\n"
        "open('output/result', 'w').write('42')\nsys.exit(7)\n",
    )
    ran = person.jobs("run", script, "--gpu", "rtx_4090", "--env", "NAME=a=b c")
    assert (ran.returncode, ran.stdout) == (7, "True a=b c\n"), ran.stderr
    assert "oops" in ran.stderr
    assert "failed" in ran.stderr
    job_id = re.findall(r"job_[a-z0-9]{16}", ran.stderr)[0]
    assert json.loads(person.jobs("show", job_id).stdout)["exit_code"] == 7
    assert person.jobs("output", job_id).stdout == "True a=b c\n"
    assert person.jobs("output", job_id, "--follow").returncode == 7
    assert job_id in person.jobs("list").stdout
    listed = person.jobs("artifacts", job_id, "--to", str(person.home / "got"))
    assert "output/result" in listed.stdout
    assert (person.home / "got" / "output" / "result").read_text() == "42"


def test_ctrl_c_without_a_terminal_leaves_the_job_running(person: Person) -> None:
    script = person.script("long.sh", "echo begun; sleep 300")
    command = person.command("run", script, "--gpu", "RTX 4090")
    watching = subprocess.Popen(
        command, env=person.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert watching.stdout.readline() == "begun\n"
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=120)
    assert (watching.returncode, "goes on" in said) == (130, True), said
    job_id = re.findall(r"job_[a-z0-9]{16}", said)[0]
    assert json.loads(person.jobs("show", job_id).stdout)["status"] == "running"
    assert person.jobs("cancel", job_id).returncode == 0
    deadline = time.monotonic() + 60
    while json.loads(person.jobs("show", job_id).stdout)["status"] != "cancelled":
        assert time.monotonic() < deadline


def test_ctrl_c_at_a_terminal_asks_and_can_cancel(person: Person) -> None:
    script = person.script("asked.sh", "echo begun; sleep 300")
    keyboard, terminal = pty.openpty()
    command = person.command("run", script, "--gpu", "RTX 4090")
    watching = subprocess.Popen(
        command, env=person.words, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert watching.stdout.readline() == "begun\n"
    watching.send_signal(signal.SIGINT)
    os.write(keyboard, b"cancel\n")
    _, said = watching.communicate(timeout=120)
    os.close(keyboard)
    os.close(terminal)
    assert (watching.returncode, "leave/cancel/watch" in said) == (130, True), said
    assert "cancelled" in said


def test_what_cannot_run_is_said_in_a_sentence(person: Person) -> None:
    (person.home / "binary").write_bytes(b"\xff\xfe\x00")
    for arguments in (["run", "nowhere.sh"], ["run", "binary"], ["show", "job_nope"]):
        ran = person.jobs(*arguments)
        assert (ran.returncode, "Traceback" in ran.stderr) == (1, False), ran.stderr
        assert ran.stderr.strip()


def test_the_checklists_rows_pass(person: Person) -> None:
    command = [sys.executable, "-P", "-m", "cli", "checklist", "--only", "2", "--data-dir", str(person.folder)]
    ran = subprocess.run(command, env=person.words, capture_output=True, text=True, check=False, cwd=person.home)
    assert ran.returncode == 0, ran.stderr
    filled = (person.home / "checklist-preenchido.md").read_text()
    flow = filled[filled.index("## Fluxo 2") : filled.index("## Fluxo 3")]
    assert flow.count("[x] OK [ ] FALHA") == 6
