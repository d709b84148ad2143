"""The launcher, and what make runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.places import ROOT

MAKE = shutil.which("make")


def test_the_launcher_works_from_a_path_with_a_space_through_links_and_from_anywhere(tmp_path: Path) -> None:
    commands = tmp_path / "my programs" / ".venv" / "bin"
    commands.mkdir(parents=True)
    shutil.copy(ROOT / "cli/setup/dumont.sh", commands / "dumont")
    python = commands / "python"
    python.write_text('#!/bin/sh\necho "$PYTHONPATH|$*"\n')
    python.chmod(0o755)
    (tmp_path / "first").symlink_to(commands / "dumont")
    (tmp_path / "second").symlink_to("first")
    ran = subprocess.run([tmp_path / "second", "up", "a b"], capture_output=True, text=True, check=True, cwd="/")
    assert ran.stdout == f"{(tmp_path / 'my programs').resolve()}|-P -m cli up a b\n"


def test_a_python_is_found() -> None:
    found = subprocess.run(["sh", "cli/setup/find-python.sh"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).exists()


def test_without_a_python_the_error_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    ran = subprocess.run(
        ["sh", str(ROOT / "cli/setup/find-python.sh")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "Python 3.11" in ran.stderr


@pytest.mark.skipif(MAKE is None, reason="no make")
@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("up", ".venv/bin/dumont up"),
        ("test", "-m pytest"),
        ("test-long", "-m long"),
        ("check", "-m mypy"),
        ("lock", "uv"),
    ],
)
def test_make_targets(target: str, runs: str) -> None:
    assert MAKE is not None
    shown = subprocess.run([MAKE, "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    assert runs in shown.stdout


def test_the_locks_name_hashes_and_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert "index-url" not in text
        assert "://" not in text


def test_the_checks_can_be_started() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
