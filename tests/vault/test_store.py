"""What the store leaves behind on this computer."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.store import FOLDER, running_store

LONG_AGO, TO_COME = (0, 0), (2**32, 2**32)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; a socket's path must be short, and pytest's own are long."""
    folder = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def left_behind(folder: Path, name: str) -> Path:
    """As by a store that was killed: its folder, and the socket at which nobody listens."""
    made = folder / f"{FOLDER}{name}"
    made.mkdir()
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(f"{made}/s")
    return made


def aged(folder: Path) -> None:
    os.utime(folder, LONG_AGO)


def kept_young(folder: Path) -> None:
    """It was made a moment ago, however long the test takes."""
    os.utime(folder, TO_COME)


def there(folder: Path) -> set[Path]:
    return set(folder.iterdir())


async def test_what_a_killed_vault_left_goes_and_what_another_uses_stays(temporary: Path, tmp_path: Path) -> None:
    killed, starting = left_behind(temporary, "killed"), left_behind(temporary, "starting")
    kept_young(starting)
    async with running_store(str(tmp_path / "one")) as one:
        used = Path(one.socket).parent
        assert there(temporary) == {killed, starting, used}
        for each in (killed, used):
            aged(each)
        async with running_store(str(tmp_path / "two")) as two:
            assert there(temporary) == {starting, used, Path(two.socket).parent}
    assert there(temporary) == {starting}
