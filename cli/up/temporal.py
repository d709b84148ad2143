"""Temporal's development server from its wheel, with the settings that make it fit to hold paid machines."""

from pathlib import Path

from cli.errors import CommandRefused
from cli.places import bin_dir
from cli.up.probes import succeeds
from cli.up.spec import Spec

# Histories are what a person reads afterwards; the server's own default is one day.
RETENTION = "30d"

# Each measured: without the first two, one shard makes 20 steps a second and short timers take a whole second;
# the last two let a cancellation reach a running activity at once.
DYNAMIC_SETTINGS = (
    "history.transferProcessorMaxPollRPS=2000",
    'history.timerProcessorMaxTimeShift="50ms"',
    "system.enableCancelActivityWorkerCommand=true",
    "frontend.WorkerCommandsEnabled=true",
)

# The write-ahead log gives nearly all of the speed. `full` syncs each commit: with `normal` a power cut could lose the
# last steps of a workflow that has just rented a machine.
PRAGMAS = ("journal_mode=wal", "synchronous=full")

SEARCH_ATTRIBUTES = (
    "DumontUser=Keyword",
    "DumontKind=Keyword",
    "DumontPhase=Keyword",
    "DumontGpu=Keyword",
    "DumontInstanceId=Int",
)


def temporal_spec(folder: Path, port: int, ui_port: int) -> Spec:
    """The server with its Web UI as one process of ours."""
    binary = program()
    address = ("--address", f"127.0.0.1:{port}")
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port), "--log-level", "warn"]
    flags += ["--ui-disable-news-fetch", "--db-filename", str(folder / "temporal.db")]
    flags += _repeated("--sqlite-pragma", PRAGMAS)
    flags += _repeated("--dynamic-config-value", DYNAMIC_SETTINGS)
    flags += _repeated("--search-attribute", SEARCH_ATTRIBUTES)
    retention = ("operator", "namespace", "update", "-n", "default", "--retention", RETENTION, *address)
    return Spec(
        name="temporal",
        command=(binary, "server", "start-dev", *flags),
        ready=succeeds(binary, *retention, listening=port),
    )


def program() -> str:
    """The wheel's binary."""
    binary = bin_dir() / "temporal"
    if not binary.exists():
        raise CommandRefused("Temporal is not installed here: run `make install` again.")
    return str(binary)


def _repeated(flag: str, values: tuple[str, ...]) -> list[str]:
    return [part for value in values for part in (flag, value)]
