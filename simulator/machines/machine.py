"""One machine with everything that leads to it: its processes, its SSH server, its mapped ports."""

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.machines import files, network
from simulator.machines.board import Board
from simulator.machines.box import Box
from simulator.machines.openssh import OpenSshServer
from simulator.machines.relay import ByteCount, PortRelay
from simulator.machines.spec import MachineSpec
from simulator.machines.sshd import SshServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doors:
    """When the ways in open, in seconds from the boot (None: never), and the ways out."""

    sshd_after: float | None
    ports_after: float | None
    ways_out: list[int]


class Machine:
    def __init__(self, box: Box, board: Board, openssh: bool = False) -> None:
        """``openssh``: its SSH server is this computer's own sshd."""
        self.box = box
        self._board = board
        self._sshd = OpenSshServer(box) if openssh else SshServer(box)
        self._relays: list[PortRelay] = []
        self._ways_out: dict[int, PortRelay] = {}
        self._opening: list[asyncio.Task[None]] = []
        self._traffic = ByteCount()
        self.spec: MachineSpec | None = None

    async def boot(self, spec: MachineSpec, doors: Doors) -> None:
        """Start the processes, then open the doors as their clocks say. Raises BootFailed."""
        self.spec = spec
        self.box.on_wired = lambda: self._wire(doors.ways_out)
        self._sshd.install()
        await self.box.start(spec)
        self._open_doors(spec, doors)

    async def plug(self, doors: Doors) -> None:
        """Open the ways in and out of a machine that ran on while its host was out of reach."""
        if self.spec:
            self._wire(doors.ways_out)
            self._open_doors(self.spec, doors)

    def _open_doors(self, spec: MachineSpec, doors: Doors) -> None:
        if spec.ssh and doors.sshd_after is not None:
            proxied = [end for end in spec.ssh_ends if end[0] != spec.address]
            direct = [end for end in spec.ssh_ends if end[0] == spec.address]
            self._later(doors.sshd_after, lambda: self._open_ssh(proxied))
            if doors.ports_after is not None:
                self._later(max(doors.sshd_after, doors.ports_after), lambda: self._open_ssh(direct))
        if doors.ports_after is not None:
            self._later(doors.ports_after, lambda: self._open_ports(spec))

    def take_traffic(self) -> tuple[int, int]:
        """Bytes that went (out of, into) the machine through its mapped ports since the last time."""
        return self._traffic.take()

    def _wire(self, ways_out: list[int]) -> None:
        self._later(0, lambda: self._board.open(self.box))
        self.open_ways_out(ways_out)

    def open_ways_out(self, ports: list[int]) -> None:
        """Let programs in the machine reach these ports of the computer's own 127.0.0.1, the first of them too."""
        address = self.box.host_address()
        for port in ports if address != "127.0.0.1" and self.box.running() else ():
            if port not in self._ways_out:
                try:
                    line = self.box.listen(address, port)  # from here on who comes waits and is not refused
                except OSError:
                    logger.exception("machine %s: a way out cannot be opened", self.spec and self.spec.id)
                    continue
                relay = self._ways_out[port] = PortRelay(
                    lambda: network.stream_socket(None), ("127.0.0.1", port), ByteCount()
                )
                self._later(0, functools.partial(relay.listen, line))

    def _later(self, seconds: float, opening: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def wait_and_open() -> None:
            await asyncio.sleep(seconds)
            try:
                await opening()
            except OSError:
                logger.exception("machine %s: a port cannot be opened", self.spec and self.spec.id)

        self._opening.append(asyncio.create_task(wait_and_open()))

    async def _open_ssh(self, ends: list[tuple[str, int]]) -> None:
        for host, port in ends:
            await self._sshd.listen(host, port)

    async def _open_ports(self, spec: MachineSpec) -> None:
        for inner, outer in spec.ports.items():
            if inner == 22 and spec.ssh:
                continue
            inside = ("127.0.0.1", self.box.port_inside(inner))
            relay = PortRelay(self.box.make_socket, inside, self._traffic)
            await relay.listen(network.listening_socket(None, spec.address, outer))
            self._relays.append(relay)

    async def stop(self, *, hard: bool = False) -> None:
        """Cut every way in and end every process. Files stay."""
        await self.unplug()
        await self.box.stop(hard=hard)

    async def unplug(self) -> None:
        """Close SSH and ports (all that is left to do when the first process has ended by itself)."""
        for task in self._opening:
            task.cancel()
        for task in self._opening:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._opening.clear()
        self._sshd.close()
        for relay in (*self._relays, *self._ways_out.values()):
            relay.close()
        self._relays.clear()
        self._ways_out.clear()
        self._board.close()

    def set_keys(self, keys: list[str], *, only: bool = False) -> None:
        """Write the platform's keys, where its disk takes them; ``only`` drops what programs in the machine added."""
        try:
            files.write_authorized_keys(self.box.root, keys, only=only)
        except OSError as error:
            logger.warning("machine %s: its keys cannot be written: %s", self.spec and self.spec.id, error)

    def set_gpu(self, utilization: float, memory_used_mb: int) -> None:
        if self.spec:
            with contextlib.suppress(OSError):  # nvidia-smi goes on showing what it showed
                files.write_gpu(self.box.root, self.spec, utilization, memory_used_mb)

    def load(self) -> tuple[float, int]:
        """GPU use in percent and MB that model servers in the machine report, as nvidia-smi adds them up."""
        used, busy = 0, 0.0
        for file in files.resolve(self.box.root, "run/simulator").glob("load-*.json"):
            with contextlib.suppress(OSError, ValueError):
                if self.box.has_process(int(file.stem.split("-")[1])):
                    load = json.loads(file.read_text())
                    used, busy = used + int(load["memory_used_mb"]), max(busy, float(load["utilization"]))
        return busy, used


def read_log(folder: Path, tail: int | None) -> str:
    file = folder / "log"
    lines = file.read_text(errors="replace").splitlines(keepends=True) if file.exists() else []
    return "".join(lines if tail is None else lines[-tail:] if tail > 0 else [])
