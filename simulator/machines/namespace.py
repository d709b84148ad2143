"""A machine made of Linux namespaces: its own mounts, processes, network, host name, and one small init process.

Nothing here needs a container engine: ``unshare`` and ``nsenter`` (util-linux) do the work. An ordinary user gets the
same, because the simulator then runs in a user namespace as a whole (see ``privileges.py`` beside it).
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from simulator.machines import files, network
from simulator.machines.box import BOARD_ADDRESS, HOST_ADDRESS, BootFailed
from simulator.machines.layers import Layers
from simulator.machines.spec import MachineSpec

SETUP = Path(__file__).with_name("setup.sh").read_text()
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("unshare", "nsenter", "setpriv", "mount", "umount", "pivot_root")
BOOT_SECONDS = 20.0
STOP_SECONDS = 1.0
TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441
CLONE_NEWNS, CLONE_FS = 0x00020000, 0x00000200


class NamespaceBox:
    def __init__(self, folder: Path, layers: Layers) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.on_exit: Callable[[], None] | None = None
        self.on_wired: Callable[[], None] | None = None
        self._layers = layers
        self._process: asyncio.subprocess.Process | None = None
        self._init = 0
        self._network: int | None = None
        self._watch: asyncio.Task[None] | None = None

    def running(self) -> bool:
        return self._init != 0

    async def start(self, spec: MachineSpec) -> None:
        folders = self._prepare(spec)
        with (self.folder / "log").open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._launch(spec, folders), cwd=self.folder, env=spec.env | {"PATH": PATH, "HOME": "/root"},
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            await asyncio.wait_for(self._await_ready(process), BOOT_SECONDS)
        except (BootFailed, TimeoutError, OSError) as error:
            await self._end(process, hard=True)
            raise BootFailed(f"machine {spec.id} did not boot: {error}") from error
        self._watch = asyncio.create_task(self._await_exit(process))

    async def _await_ready(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise BootFailed("the first process has no pipes")
        if await process.stdout.readline() != b"ready\n":
            tail = (self.folder / "log").read_text(errors="replace")[-500:]
            raise BootFailed(tail)
        self._init = _only_child(process.pid)
        self._network = os.open(f"/proc/{self._init}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        network.raise_loopback(self._network, BOARD_ADDRESS, HOST_ADDRESS)
        if self.on_wired:
            self.on_wired()
        process.stdin.write(b"go\n")
        process.stdin.close()

    async def _await_exit(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self._forget()
        if self.on_exit:
            self.on_exit()

    async def stop(self, *, hard: bool = False) -> None:
        if self._watch:
            self._watch.cancel()
        if self._process:
            await self._end(self._process, hard)
        self._forget()

    async def _end(self, process: asyncio.subprocess.Process, hard: bool) -> None:
        """End PID 1, and with it, by the kernel's hand, every process of the machine."""
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if hard or not self._init:
                process.kill()
            else:
                os.kill(self._init, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _forget(self) -> None:
        self._init, self._process = 0, None
        if self._network is not None:
            os.close(self._network)
            self._network = None

    def _prepare(self, spec: MachineSpec) -> list[str]:
        files.lay_out(self.root, spec)
        folders = [*files.link_system_folders(self.root), "etc", *self._layers.extra_folders(spec.image)]
        for name in folders:
            for side in ("upper", "work", "root"):
                (self.folder / side / name).mkdir(parents=True, exist_ok=True)
        files.write_start_files(self.root, spec)
        return [f"{name}:{self._layers.lower(spec.image, name, self.folder)}" for name in folders]

    def _launch(self, spec: MachineSpec, folders: list[str]) -> list[str]:
        options = ",userxattr" if self._layers.in_user_namespace else ""
        return [
            "setpriv", "--pdeathsig", "KILL",
            "unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child=KILL",
            "/bin/sh", "-c", SETUP, "setup", spec.hostname, options, *folders,
        ]  # fmt: skip

    def has_process(self, pid: int) -> bool:
        return self._init != 0 and os.path.exists(f"/proc/{self._init}/root/proc/{pid}")

    def command(self, argv: list[str]) -> list[str]:
        nsenter = ["nsenter", "--target", str(self._init), "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
        return [*nsenter, *argv]

    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"}

    def open_terminal(self) -> tuple[int, int]:
        """From the machine's own devpts, so that ``tty`` and tmux inside know it."""
        ours = os.open(f"/proc/{self._init}/root/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(ours, TIOCSPTLCK, struct.pack("i", 0))
        return ours, fcntl.ioctl(ours, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)

    def make_socket(self) -> socket.socket:
        return network.stream_socket(self._namespace())

    def listen(self, address: str, port: int) -> socket.socket:
        return network.listening_socket(self._namespace(), address, port)

    def host_address(self) -> str:
        return HOST_ADDRESS

    def port_inside(self, port: int) -> int:
        return port

    def _namespace(self) -> int:
        if self._network is None:
            raise ConnectionRefusedError(111, "the machine does not run")
        return self._network

    def enter_files(self) -> None:
        mounts = os.open(f"/proc/{self._init}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            # A thread shares root and working folder with the others until it says otherwise.
            if libc.unshare(CLONE_FS) != 0 or libc.setns(mounts, CLONE_NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "cannot enter the machine's file system")
        finally:
            os.close(mounts)
        os.chdir("/root")


def _only_child(pid: int) -> int:
    """The init process: what ``unshare`` forked. Raises BootFailed when it is gone already."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not children:
        raise BootFailed("the first process ended at once")
    return int(children[0])


def missing_tools() -> list[str]:
    return [tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:{PATH}") is None]
