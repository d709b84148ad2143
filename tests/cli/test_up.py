"""The supervisor with real processes: ready, restarted, stopped, and back after the worst."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from cli.up.folder import Folder
from tests.cli.installation import Installation, await_database, await_none_left


def libpq(url: str) -> str:
    """The settings' form of the database's address as psycopg takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def dumont(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command on the folder."""
    words = [sys.executable, "-m", "cli", command, "--data-dir", str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})


def test_what_dies_is_started_again_and_nothing_is_left_after_a_stop(installation: Installation) -> None:
    before = installation.start()
    assert installation.addresses.stat().st_mode & 0o077 == 0
    assert {"supervisor", "postgres", "temporal"} <= before["pids"].keys()
    os.kill(before["pids"]["postgres"], signal.SIGKILL)
    installation.await_new_pid("postgres", before["pids"]["postgres"])
    await_database(libpq(before["database"]))
    # The first that was started again may have found the killed one's memory still in use.
    os.kill(installation.read()["pids"]["postgres"], 0)
    assert dumont("down", installation.folder).returncode == 0
    assert installation.process is not None
    assert installation.process.wait(120) == 0
    await_none_left(installation)
    assert not installation.addresses.exists()


def test_data_and_addresses_outlive_kill_9_and_no_process_does(installation: Installation) -> None:
    before = installation.start()
    with psycopg.connect(libpq(before["database"])) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    installation.kill_everything()
    after = installation.start()
    with psycopg.connect(libpq(after["database"])) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert {**after, "pids": None} == {**before, "pids": None}
    installation.stop(signal.SIGKILL)
    await_none_left(installation)


def test_a_second_start_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)  # its lock goes with it
    folder.lock()
    second = dumont("up", tmp_path)
    assert second.returncode == 1
    assert f"already runs on {folder.path}" in second.stderr.replace("\n", "")
    assert "Traceback" not in second.stderr


def test_down_says_when_nothing_runs(tmp_path: Path) -> None:
    ran = dumont("down", tmp_path)
    assert (ran.returncode, "Nothing runs" in ran.stderr) == (1, True)
