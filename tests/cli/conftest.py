"""Installations with the parts that the supervisor's own tests need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """PostgreSQL, Temporal and the simulator, in a folder with a space in its name; not started yet."""
    made = Installation(tmp_path / "my data", *(f"--without={name}" for name in ("api", "worker", "gateway", "vault")))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()
