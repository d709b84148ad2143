"""The database's folder after a bad end."""

import os
from pathlib import Path

import pytest

from cli.up.postgres import forget_reused_pid
from cli.up.processes import LINUX

pytestmark = pytest.mark.skipif(not LINUX, reason="reads /proc")


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "postmaster.pid"


def test_a_note_whose_number_now_belongs_to_another_program_is_removed(pid_file: Path) -> None:
    pid_file.write_text(f"{os.getpid()}\n/data\n")
    forget_reused_pid(pid_file)
    assert not pid_file.exists()


@pytest.mark.parametrize("text", ["4194303\n/data\n", "", "not a number\n"])
def test_every_other_note_is_left_to_the_server(pid_file: Path, text: str) -> None:
    pid_file.write_text(text)
    forget_reused_pid(pid_file)
    assert pid_file.read_text() == text


def test_no_note_is_no_trouble(pid_file: Path) -> None:
    forget_reused_pid(pid_file)
    assert not pid_file.exists()
