"""The supervisor with real processes: ready, restarted, stopped, and back after the worst."""

import os
import signal
import subprocess
import sys

import psycopg

from tests.cli.installation import Installation, await_database, await_none_left


def libpq(url: str) -> str:
    """The settings' form of the database's address as psycopg takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def test_what_dies_is_started_again_and_nothing_is_left_after_a_stop(installation: Installation) -> None:
    before = installation.start()
    assert installation.addresses.stat().st_mode & 0o077 == 0
    assert {"supervisor", "postgres", "temporal"} <= before["pids"].keys()
    os.kill(before["pids"]["postgres"], signal.SIGKILL)
    now = installation.await_new_pid("postgres", before["pids"]["postgres"])
    await_database(libpq(before["database"]))
    os.kill(now, 0)
    assert installation.stop() == 0
    assert installation.left() == []
    assert not installation.addresses.exists()


def test_data_and_addresses_outlive_kill_9_of_everything(installation: Installation) -> None:
    before = installation.start()
    with psycopg.connect(libpq(before["database"])) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    installation.kill_everything()
    after = installation.start()
    with psycopg.connect(libpq(after["database"])) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert {**after, "pids": None} == {**before, "pids": None}


def test_killing_the_supervisor_leaves_no_process(installation: Installation) -> None:
    installation.start()
    installation.stop(signal.SIGKILL)
    await_none_left(installation)


def test_a_second_start_on_the_same_folder_is_refused(installation: Installation) -> None:
    installation.start()
    command = [sys.executable, "-m", "cli", "up", "--data-dir", str(installation.folder)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert "Traceback" not in second.stderr
    assert installation.addresses.exists()
    ended = subprocess.run([*command[:3], "down", *command[4:]], check=False)
    assert ended.returncode == 0
    assert installation.process is not None
    assert installation.process.wait(1) == 0
