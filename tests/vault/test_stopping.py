"""The stop of a copy that has only just begun."""

import fcntl
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from machine.transfer import job
from machine.transfer.progress import Status
from tests.patience import PATIENCE_SECONDS


def test_a_stop_that_comes_before_the_first_status_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "JOBS", str(tmp_path))
    monkeypatch.setattr(job, "FIRST_STATUS_SECONDS", PATIENCE_SECONDS)
    folder = tmp_path / "snap"
    folder.mkdir()
    with (
        (folder / "lock").open("w") as lock,
        subprocess.Popen(["sleep", "200"]) as copy,
        ThreadPoolExecutor(1) as pool,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        stopping = pool.submit(job.stop, "snap")
        time.sleep(0.1)
        (folder / "new").write_text(json.dumps(Status(pid=copy.pid).shown()))
        os.replace(folder / "new", folder / "status.json")
        stopping.result(PATIENCE_SECONDS)
        assert copy.wait(PATIENCE_SECONDS) == -signal.SIGTERM
