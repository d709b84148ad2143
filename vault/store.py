"""`rclone serve restic`, as a child of this process, on a socket that nobody else can open."""

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from clients import rclone

LISTING = {"Accept": "application/vnd.x.restic.rest.v2"}
"""What rclone wants to hear before it answers a listing, which is how it is asked whether it is there."""

START_SECONDS = 30.0

FOLDER = "dumont-vault-"
"""How the folder of its socket is called, among the temporary ones."""

FULL_FOR = 10.0
"""After the store said that it is full, a failed write is put down to that for so many seconds."""

_FULL = re.compile(
    r"no space left|remaining disk space|quota|insufficient storage|not enough (?:space|storage)", re.IGNORECASE
)

log = logging.getLogger(__name__)


class Store:
    """`socket`: where it answers. `where`: a folder, or an rclone remote."""

    def __init__(self, where: str, socket: str, process: asyncio.subprocess.Process) -> None:
        self.where, self.socket, self.process = where, socket, process
        self._full_at: float | None = None

    def failure(self) -> int:
        """The HTTP status for a write that it failed: full, if it said so a moment ago, or just not now."""
        full = self._full_at is not None and time.monotonic() - self._full_at < FULL_FOR
        return 507 if full else 503

    async def read_log(self) -> None:
        """Hand its complaints on, until it ends."""
        assert self.process.stderr is not None  # noqa: S101 - asked for below
        async for raw in self.process.stderr:
            line = raw.decode(errors="replace").strip()
            if _FULL.search(line):
                self._full_at = time.monotonic()
            log.warning("rclone: %s", line[:500])


@asynccontextmanager
async def running_store(where: str) -> AsyncIterator[Store]:
    """The store while the block lasts; it ends with this process, however that ends."""
    if rclone.is_folder(where):
        os.makedirs(where, mode=0o700, exist_ok=True)
    await asyncio.to_thread(_clear_away)
    folder = tempfile.mkdtemp(prefix=FOLDER)  # short, whatever the data folder is called, and ours alone
    at = f"{folder}/s"
    process = await asyncio.create_subprocess_exec(
        *(rclone.program(), "serve", "restic", "--addr", f"unix://{at}"),
        *("--append-only", "--cache-objects=false", "--log-level", "NOTICE", where),
        env={name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")},
        stdin=-3,
        stdout=-3,
        stderr=-1,
        preexec_fn=_die_with_parent,
    )
    store = Store(where, at, process)
    reading = asyncio.create_task(store.read_log())
    try:
        await _await_answer(store)
        yield store
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        reading.cancel()
        shutil.rmtree(folder, ignore_errors=True)


def _clear_away() -> None:
    """Remove the folders of stores whose vault was killed: nobody listens in them, and none is starting there."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            if time.time() - folder.stat().st_mtime < START_SECONDS:
                continue
            line.settimeout(1.0)
            try:
                line.connect(f"{folder}/s")
            except (ConnectionRefusedError, FileNotFoundError):
                shutil.rmtree(folder)


async def _await_answer(store: Store) -> None:
    async with (
        asyncio.timeout(START_SECONDS),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(store.socket)) as http,
    ):
        while store.process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get("http://store/", headers=LISTING):
                    return
            await asyncio.sleep(0.05)
    raise SystemExit("rclone does not start; its reason is above")


def _die_with_parent() -> None:
    if hasattr(signal, "SIGKILL") and os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
