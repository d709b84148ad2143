"""`dumont up`."""

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from cli.places import data_dir as resolved
from cli.private_files import read_json, write_private_json
from cli.up.addresses import addresses
from cli.up.detach import start_in_background
from cli.up.environment import given_by_user
from cli.up.folder import Folder
from cli.up.options import PortOptions
from cli.up.plan import Plan, chosen_parts
from cli.up.ports import choose_ports
from cli.up.supervisor import Supervisor
from cli.up.welcome import welcome


def up(
    *,
    ports: PortOptions | None = None,
    data_dir: Path | None = None,
    speed: Literal["fast", "realistic"] = "fast",
    without: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    quiet: Annotated[bool, Parameter(negative="")] = False,
    detach: Annotated[bool, Parameter(negative="")] = False,
    moved: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Start the whole system on this computer and keep it running until Ctrl-C.

    Parameters
    ----------
    ports
        Where its processes listen.
    data_dir
        Where everything is kept [default: $DUMONT_DATA_DIR or .dumont]; a start on the same folder goes on.
    speed
        The simulated cloud's clocks: fast (a machine boots in a second or so) or realistic (minutes, as in life).
    without
        Leave a part out: worker, api, gateway, simulator, postgres, temporal. May be given more than once.
    quiet
        Print nothing but errors.
    detach
        Return when it is ready, and let it run on; `dumont down` stops it.
    moved
        The data folder was moved or restored here, and the original is gone: go on with its machines. Without this a
        copied folder becomes an installation of its own, which leaves the original's machines alone.
    """
    asked = ports or PortOptions()
    folder = Folder(resolved(data_dir))
    console = Console(stderr=True, quiet=quiet)
    if detach and not folder.held():
        start_in_background(folder, console)
        return
    folder.lock()
    folder.addresses.unlink(missing_ok=True)
    folder.clear_leftovers()
    given = given_by_user()
    parts = chosen_parts(without, given)
    chosen = choose_ports(asked.single(given), asked.port_base, folder.ports, listening(parts))
    run(folder, Plan(folder.path, chosen, folder.secrets(), parts, speed, folder.home(), moved), console)


def run(folder: Folder, plan: Plan, console: Console) -> None:
    """Supervises until asked to stop."""
    started = time.monotonic()
    supervisor = Supervisor(folder, plan.specs(), Console(stderr=True, style="red").print)
    console.print(f"Starting on {folder.path} ...", highlight=False, soft_wrap=True)

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
