"""A snapshot and a restore through the vault's door, against restic alone on the same folder and disk.

420 MB in 5,000 files that do not compress. Alone: `restic backup` to a repository in a folder, `restic restore`. Ours:
the transfer program with its manifest and its checks, through the door and rclone. Both begin with an empty repository,
in turns.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from activities.snapshots.transfer_program import program
from benchmarks.figures import Count, Figure
from clients.restic import Restic
from vault.relay import PIECE, Relay
from vault.rights import Holdings, Rights
from vault.server import make_app
from vault.store import running_store

RUNS = 5
FILES, SIZE = 5_000, 84_000
BAR = 0.9
"""Of the rate of restic alone."""
PASSWORD = "measured"  # noqa: S105 - of a repository that lasts a minute
INSTANCE = 1


class Everybody(Rights):
    """The door without its database: who comes is instance 1."""

    def __init__(self) -> None:
        pass

    async def of(self, authorization: str) -> Holdings | None:
        return Holdings(INSTANCE, None)


def measure() -> list[Figure | Count]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        files = filled(folder / "files")
        samples: dict[str, list[float]] = {"alone": [], "ours": [], "back alone": [], "back ours": [], "again": []}
        with door(folder / "store") as port:
            for number in range(RUNS):
                alone(folder, files, samples)
                ours(folder, files, port, number, samples)
    middle = {name: sorted(times)[len(times) // 2] for name, times in samples.items()}
    megabytes = FILES * SIZE / 1e6
    return [
        Figure("snapshot, restic alone", samples["alone"]),
        Figure("snapshot, ours", samples["ours"], middle["alone"] / BAR),
        Figure("snapshot again, ours, nothing new", samples["again"]),
        Figure("restore, restic alone", samples["back alone"]),
        Figure("restore, ours, every file checked", samples["back ours"], middle["back alone"] / BAR),
        Count("snapshot, ours, MB/s", round(megabytes / middle["ours"] * 1000)),
        Count("restore, ours, MB/s", round(megabytes / middle["back ours"] * 1000)),
    ]


def filled(folder: Path) -> Path:
    source = random.Random(7)  # noqa: S311 - bytes to fill files with
    for number in range(FILES):
        file = folder / str(number // 100) / str(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source.randbytes(SIZE))
    return folder


def alone(folder: Path, files: Path, samples: dict[str, list[float]]) -> None:
    repository, back = folder / "alone", folder / "back"
    for old in (repository, back):
        shutil.rmtree(old, ignore_errors=True)
    restic(repository, "init")
    samples["alone"].append(timed(lambda: restic(repository, "backup", str(files))))
    samples["back alone"].append(timed(lambda: restic(repository, "restore", "latest", "--target", str(back))))


def ours(folder: Path, files: Path, port: int, number: int, samples: dict[str, list[float]]) -> None:
    store, work = folder / "store" / str(INSTANCE), folder / "work"
    for old in (store, work):
        shutil.rmtree(old, ignore_errors=True)
    work.mkdir()
    asyncio.run(Restic(str(store), PASSWORD, work / "cache").make())
    order = {"restic": "restic", "repository": f"rest:http://127.0.0.1:{port}/{INSTANCE}/", "token": "t"}
    order |= {"password": PASSWORD, "stall_seconds": "60", "paths": [str(files)], "tags": [], "final": True}  # type: ignore[dict-item]
    first = worked_off(work, {**order, "id": f"first{number}", "kind": "snapshot"}, samples["ours"])
    worked_off(work, {**order, "id": f"again{number}", "kind": "snapshot"}, samples["again"])
    shutil.rmtree(files)
    back = {**order, "id": f"back{number}", "kind": "restore", "snapshot": first["snapshot_id"]}
    worked_off(work, back, samples["back ours"])


def worked_off(work: Path, order: dict[str, Any], times: list[float]) -> dict[str, Any]:
    """Its result; the time is from the start to the word that it is done."""
    packed = work / program().name
    packed.write_bytes(program().content)
    environment = {**os.environ, "DUMONT_COPYING_FOLDER": str(work)}
    began = time.perf_counter()
    command = [sys.executable, "-I", "-S", str(packed), "start"]
    done = subprocess.run(command, input=json.dumps(order), text=True, env=environment, check=True, stdout=-1)  # noqa: S603
    times.append((time.perf_counter() - began) * 1000)
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if last["state"] != "done":
        raise SystemExit(last["reason"])
    result: dict[str, Any] = last["result"]
    return result


def restic(repository: Path, *arguments: str) -> None:
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(repository)}
    environment["RESTIC_CACHE_DIR"] = str(repository.parent / "cache")
    subprocess.run(["restic", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607


def timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


@contextmanager
def door(store: Path) -> Iterator[int]:
    """The door and rclone, beside this thread; the port."""
    loop, ports = asyncio.new_event_loop(), list[int]()
    stop, ready = asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with running_store(str(store)) as kept:
            connector = aiohttp.UnixConnector(kept.socket, limit=0)
            async with aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=PIECE) as http:
                runner = web.AppRunner(make_app(Relay(Everybody(), kept, http)), access_log=None, read_bufsize=PIECE)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                ports.append(int(runner.addresses[0][1]))
                ready.set()
                await stop.wait()
                await runner.cleanup()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
