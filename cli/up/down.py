"""`dumont down`."""

import os
import signal
import time
from pathlib import Path

from cli.errors import CommandRefused
from cli.places import data_dir as resolved
from cli.up.folder import Folder

STOP_SECONDS = 60.0


def down(*, data_dir: Path | None = None) -> None:
    """Stop a running `dumont up`, in order, and wait until it has ended.

    Parameters
    ----------
    data_dir
        The folder it runs on [default: $DUMONT_DATA_DIR or .dumont].
    """
    folder = Folder(resolved(data_dir))
    owner = folder.owner() if folder.held() else None
    if owner is None:
        raise CommandRefused(f"Nothing runs on {folder.path}.")
    os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while folder.held():
        if time.monotonic() > deadline:
            raise CommandRefused(f"Process {owner} has not ended after {STOP_SECONDS:.0f} s.")
        time.sleep(0.05)
