"""`dumont up` and `dumont down`."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from cli.errors import Refused
from cli.places import data_dir as resolved
from cli.private_files import read_json, write_private_json
from cli.up.addresses import addresses
from cli.up.environment import SPEEDS, given_by_user
from cli.up.folder import Folder
from cli.up.plan import Plan, chosen_parts
from cli.up.ports import choose_ports
from cli.up.supervisor import Supervisor
from cli.up.welcome import welcome

STOP_SECONDS = 20.0


def up(
    *,
    data_dir: Path | None = None,
    port_base: int | None = None,
    api_port: int | None = None,
    gateway_port: int | None = None,
    temporal_port: int | None = None,
    temporal_ui_port: int | None = None,
    simulator_port: int | None = None,
    postgres_port: int | None = None,
    speed: str = "fast",
    without: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Start the whole system on this computer and keep it running until Ctrl-C.

    Parameters
    ----------
    data_dir
        Where everything is kept [default: $DUMONT_DATA_DIR or .dumont]; a start on the same folder goes on.
    port_base
        N: api on N, gateway N+1, Temporal N+2, its Web UI N+3, simulator N+4, PostgreSQL N+5. 0: free ones, then kept.
    api_port
        [default: 8000] This and the others: 0 takes a free one and keeps it for the next start.
    gateway_port
        [default: 8080]
    temporal_port
        [default: 7233]
    temporal_ui_port
        [default: 8233]
    simulator_port
        [default: 8090]
    postgres_port
        [default: 54320]
    speed
        The simulated cloud's clocks: fast (a machine boots in a second or so) or realistic (minutes, as in life).
    without
        Leave a part out: worker, api, gateway, simulator, postgres, temporal. May be given more than once.
    quiet
        Print nothing but errors.
    """
    if speed not in SPEEDS:
        raise Refused(f"--speed is fast or realistic, not '{speed}'.")
    single = {
        "api": api_port,
        "gateway": gateway_port,
        "temporal": temporal_port,
        "temporal-ui": temporal_ui_port,
        "simulator": simulator_port,
        "postgres": postgres_port,
    }
    folder = Folder(resolved(data_dir))
    folder.lock()
    folder.addresses.unlink(missing_ok=True)
    folder.clear_leftovers()
    parts = chosen_parts(without, given_by_user())
    ports = choose_ports(single, port_base, folder.ports, listening(parts))
    run(folder, Plan(folder.path, ports, folder.secrets(), parts, speed), Console(stderr=True, quiet=quiet))


def run(folder: Folder, plan: Plan, console: Console) -> None:
    """Supervises until asked to stop."""
    started = time.monotonic()
    supervisor = Supervisor(folder, plan.specs(), console.print)

    def publish() -> None:
        write_private_json(folder.addresses, addresses(plan, {"supervisor": os.getpid(), **supervisor.pids()}))

    def ready() -> None:
        plan.write_environment()
        publish()
        welcome(console, read_json(folder.addresses), time.monotonic() - started)

    try:
        asyncio.run(supervisor.run(ready, publish))
    finally:
        folder.addresses.unlink(missing_ok=True)


def listening(parts: frozenset[str]) -> frozenset[str]:
    """The names of the ports that the parts will take."""
    return parts | ({"temporal-ui"} if "temporal" in parts else set())


def down(*, data_dir: Path | None = None) -> None:
    """Stop a running `dumont up`, in order, and wait until it has ended.

    Parameters
    ----------
    data_dir
        The folder it runs on [default: $DUMONT_DATA_DIR or .dumont].
    """
    path = resolved(data_dir)
    folder = Folder(path)
    owner = folder.owner() if folder.held() else None
    if owner is None:
        raise Refused(f"Nothing runs on {path}.")
    os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while folder.held():
        if time.monotonic() > deadline:
            raise Refused(f"Process {owner} has not ended after {STOP_SECONDS:.0f} s.")
        time.sleep(0.05)
