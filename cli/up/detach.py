"""`dumont up --detach`: the same supervisor, in the background."""

import subprocess
import sys
import time

from rich.console import Console

from cli.errors import CommandRefused
from cli.places import command
from cli.private_files import read_json
from cli.up.folder import Folder
from cli.up.runner import last_lines
from cli.up.welcome import welcome


def start_in_background(folder: Folder, console: Console) -> None:
    """Starts this same command without `--detach`, and returns when it is ready."""
    started = time.monotonic()
    folder.make()
    log = folder.logs / "up.log"
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    with log.open("ab") as output:
        supervisor = subprocess.Popen(  # noqa: S603 - this program, with the arguments it got
            [sys.executable, "-P", "-m", "cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while read_json(folder.addresses).get("pids", {}).get("supervisor") != supervisor.pid:
        if supervisor.poll() is not None:
            raise CommandRefused(last_lines(log))
        time.sleep(0.05)
    welcome(console, read_json(folder.addresses), time.monotonic() - started, stop=f"{command()} down")
