"""The official client: its code as it is, its command line imported once and forked for every command."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..conftest import KEY, Simulator

# Importing the client takes half a second. What a child runs is the client's own main(), with its own arguments.
FORKS = """
import json, os, sys, tempfile
from vastai.cli import main
from vastai.cli.commands import (instances, offers, machines, teams, keys, endpoints, billing, storage, auth, misc,
                                 deployments, metrics, benchmarks, price_increase, repl, update, uninstall)
for line in sys.stdin:
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    pid = os.fork()
    if pid == 0:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["vastai", *json.loads(line)]
        sys.stdin = open(os.devnull)
        main.main()
        sys.stdout.flush()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    out.seek(0)
    err.seek(0)
    print(json.dumps([status, out.read().decode(), err.read().decode()]), flush=True)
"""


def client_environment(simulator: Simulator, home: Path) -> dict[str, str]:
    folders = {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")}
    return {**os.environ, **folders, "VAST_URL": simulator.url, "VAST_API_KEY": KEY, "VASTAI_NO_UPDATE_CHECK": "1"}


@contextlib.contextmanager
def command_line(environment: dict[str, str]) -> Iterator[Callable[..., str]]:
    """A function that runs one command and gives what it printed; a failure fails the test."""
    process = subprocess.Popen(
        [sys.executable, "-c", FORKS], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout

    def run(*words: str) -> str:
        assert process.stdin
        assert process.stdout
        print(json.dumps(words), file=process.stdin, flush=True)
        status, out, err = json.loads(process.stdout.readline())
        assert status == 0, err
        assert "Failed" not in err + out, err + out
        return str(out)

    try:
        yield run
    finally:
        process.kill()
        process.communicate()
