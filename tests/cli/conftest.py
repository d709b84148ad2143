"""Installations with the parts that the supervisor's own tests need, or with all of them and a person in front."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.places import ROOT
from tests.cli.installation import Installation, await_none_left
from tests.conftest import Migrated

Ran = subprocess.CompletedProcess[str]
Dumont = Callable[..., Ran]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """PostgreSQL, Temporal and the simulator, in a folder with a space in its name; not started yet."""
    without = [f"--without={name}" for name in ("api", "worker", "gateway", "vault")]
    made = Installation(tmp_path / "my data", "--port-base=0", *without)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated) -> Iterator[Installation]:
    """Everything, running."""
    made = Installation(tmp_path_factory.mktemp("whole") / "my data", database_url=migrated())
    made.start()
    yield made
    made.stop()
    await_none_left(made)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a person without any kept login."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dumont(whole: Installation, home: Path) -> Dumont:
    """Runs one command against it, as that person."""

    def run(*arguments: str) -> Ran:
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "DUMONT_DATA_DIR": str(whole.folder), "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), **own},
            capture_output=True,
            text=True,
            check=False,
            cwd=home,
        )

    return run
