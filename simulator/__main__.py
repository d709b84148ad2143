"""``python -m simulator --data-dir DIR --host 127.0.0.1 --port P --speed fast|realistic [--seed N]``"""

import gc_settings

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from simulator.app import make_app, open_cloud
from simulator.control.scenarios import DRILLS
from simulator.machines import openssh
from simulator.machines.disk import Disks, enter_mount_namespace
from simulator.machines.privileges import Privileges, enter_user_namespace, find_out
from simulator.scenarios.scenario import Scenario, read

logger = logging.getLogger("simulator")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("simulator", description="A simulated Vast.ai with real machines behind it.")
    parser.add_argument("--data-dir", type=Path, default=Path(".simulator"), help="where it keeps everything")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700, help="0 takes a free one")
    parser.add_argument("--speed", choices=("fast", "realistic"), default="fast")
    parser.add_argument("--seed", type=int, default=1, help="of the market and of the faults' chances")
    parser.add_argument(
        "--way-out", type=int, action="append", default=[], metavar="PORT",
        help="a port of 127.0.0.1 that machines reach as host.simulator:PORT (may be repeated)",
    )  # fmt: skip
    parser.add_argument("--no-namespaces", action="store_true", help="machines as plain folders, without isolation")
    parser.add_argument("--disk-quota", action="store_true", help="machines' disks end (root on Linux, loop devices)")
    parser.add_argument(
        "--openssh", action="store_true", default=bool(os.environ.get("SIMULATOR_OPENSSH")),
        help="machines have this computer's own sshd (root on Linux; also with SIMULATOR_OPENSSH=1)",
    )  # fmt: skip
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="a drill to run from the start (TOML)")
    return parser.parse_args()


async def serve(options: argparse.Namespace, folder: Path, privileges: Privileges, scenario: Scenario | None) -> None:
    disks = Disks() if options.disk_quota else None
    cloud = await open_cloud(folder, options.speed, options.seed, privileges, disks, options.openssh)
    cloud.settings.way_out = options.way_out
    app = make_app(cloud)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, backlog=512)
    await site.start()
    port = runner.addresses[0][1]
    kind = "namespaces" if privileges.namespaces else "plain folders, without isolation"
    logger.info("simulated Vast.ai on http://%s:%s (data in %s, machines are %s)", options.host, port, folder, kind)
    if scenario:
        app[DRILLS].begin(scenario, f"http://{options.host}:{port}")
    await _until_told()
    await runner.cleanup()


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


def catch_what_is_ignored() -> None:
    """Signals that we were started deaf to (by nohup, in the background) we go on to ignore, but by catching them:
    what is ignored stays ignored in every program of every machine, and a shell would outlive its terminal."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _scenario(file: Path | None) -> Scenario | None:
    if file is None:
        return None
    try:
        return read(file.read_text())
    except (OSError, ValueError) as problem:
        sys.exit(f"{file}: {problem}")


def main() -> None:
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    scenario = _scenario(options.scenario)
    if options.disk_quota and (problem := enter_mount_namespace()):
        sys.exit(f"--disk-quota: {problem}")
    if not options.no_namespaces:
        enter_user_namespace()
    catch_what_is_ignored()
    with contextlib.suppress(AttributeError, NotImplementedError):
        # One waiting thread per process is the default before Python 3.12; a pidfd costs nothing.
        asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())
    folder: Path = options.data_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")  # held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"another simulator uses {folder}")
    gc_settings.keep_what_is_loaded()
    privileges = find_out(folder, options.no_namespaces)
    as_root = privileges.namespaces and not privileges.in_user_namespace
    if options.openssh and not (as_root and openssh.find()):
        sys.exit("--openssh: this needs root, namespaces and sshd (in Debian: apt-get install openssh-server)")
    asyncio.run(serve(options, folder, privileges, scenario))


if __name__ == "__main__":
    main()
