"""A machine where namespaces are not allowed: processes with a home folder of their own, and no isolation.

What is lost, plainly: the host's files and processes are visible, ``/workspace`` is ``~/../workspace``, all machines
share the loopback address, so two cannot listen on the same port (a program that honours ``$PORT_<n>`` can).
"""

import asyncio
import contextlib
import os
import pty
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from simulator.machines import files, network
from simulator.machines.box import BOARD_ADDRESS, BootFailed
from simulator.machines.layers import Layers
from simulator.machines.spec import MachineSpec

MARK = "SIMULATED_MACHINE_FOLDER"
STOP_SECONDS = 1.0


class FolderBox:
    def __init__(self, folder: Path, layers: Layers) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.on_exit: Callable[[], None] | None = None
        self.on_wired: Callable[[], None] | None = None
        self._layers = layers
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._spec: MachineSpec | None = None
        self._board = ""

    def running(self) -> bool:
        return self._process is not None

    async def start(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._kill_all()  # what a simulator that was killed left behind
        files.lay_out(self.root, spec)
        files.write_start_files(self.root, spec)
        init = "cd ~; [ -f onstart.sh ] && bash onstart.sh & exec sleep 2147483647"
        command = ["/bin/sh", "-c", " ".join(spec.command) or init]
        try:
            with (self.folder / "log").open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *command, cwd=self.root / "root", env={**spec.env, **self.environment()},
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise BootFailed(str(error)) from error
        if self.on_wired:
            self.on_wired()
        self._watch = asyncio.create_task(self._await_exit(self._process))

    async def _await_exit(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self._process = None
        if self.on_exit:
            self.on_exit()

    async def stop(self, *, hard: bool = False) -> None:
        if self._watch:
            self._watch.cancel()
        self._kill_all()
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = None

    def _kill_all(self) -> None:
        for _ in range(3):  # what is being forked while we look is found the next time
            for pid in processes_of(self.folder):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def has_process(self, pid: int) -> bool:
        with contextlib.suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
        return True

    def command(self, argv: list[str]) -> list[str]:
        """``setsid`` is not everywhere; the session is made by the caller then."""
        plain = argv[next(i for i, word in enumerate(argv) if word.startswith("/")) :]
        return ["/bin/sh", "-c", 'cd ~ && exec "$@"', "sh", *plain]

    def environment(self) -> dict[str, str]:
        image = self._spec.image if self._spec else ""
        programs, packages = self._layers.search_path(image)
        return {
            "PATH": ":".join([*programs, os.environ.get("PATH", os.defpath)]), "PYTHONPATH": ":".join(packages),
            "HOME": str(self.root / "root"), "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash",
            MARK: str(self.folder), "SIMULATED_ROOT": str(self.root), "SIMULATED_BOARD": self._board,
        }  # fmt: skip

    def open_terminal(self) -> tuple[int, int]:
        return pty.openpty()

    def make_socket(self) -> socket.socket:
        return network.stream_socket(None)

    def listen(self, address: str, port: int) -> socket.socket:
        made = network.listening_socket(None, "127.0.0.1", port if port > 1024 else 0)
        if address == BOARD_ADDRESS:
            self._board = f"http://127.0.0.1:{made.getsockname()[1]}/model-server"
        return made

    def enter_files(self) -> None:
        """There is nothing to enter; names start at the machine's home."""

    def host_address(self) -> str:
        return "127.0.0.1"

    def port_inside(self, port: int) -> int:
        return port


def processes_of(folder: Path) -> list[int]:
    """The processes that carry the machine's mark in their environment (Linux), as far as we may look."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
