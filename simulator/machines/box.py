"""What every kind of machine can do, whether it lives in namespaces or, where those are not allowed, in a folder."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from simulator.machines.spec import MachineSpec

BOARD_ADDRESS = "169.254.77.1"
"""an address of the machine's own loopback where its (simulated) hardware answers"""

HOST_ADDRESS = "169.254.77.2"
"""an address of the machine's own loopback that stands for the computer which the simulator runs on"""


class BootFailed(RuntimeError):
    """The machine's first process did not come up; the text has the reason."""


class Box(Protocol):
    """One machine's processes. Files live under ``folder`` whether it runs or not."""

    folder: Path
    root: Path
    """the machine's ``/`` as far as it has one of its own (``root/root`` is its home)"""
    on_exit: Callable[[], None] | None
    """called when the first process ends without having been asked to"""
    on_wired: Callable[[], None] | None
    """called when the network is up and no program runs yet"""

    async def start(self, spec: MachineSpec) -> None:
        """Boot. Raises BootFailed."""

    async def stop(self, *, hard: bool = False) -> None:
        """End every process of the machine; ``hard`` is the power cord."""

    def running(self) -> bool: ...

    def has_process(self, pid: int) -> bool:
        """Does a process of this number, as programs in the machine count them, live there?"""
        ...

    def command(self, argv: list[str]) -> list[str]:
        """What to execute here so that ``argv`` runs in the machine."""

    def environment(self) -> dict[str, str]:
        """The least environment that a login in the machine starts with."""

    def open_terminal(self) -> tuple[int, int]:
        """A pseudo terminal of the machine: (ours, the program's)."""

    def make_socket(self) -> socket.socket:
        """A TCP socket in the machine's network."""

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening TCP socket in the machine's network. Raises OSError."""

    def enter_files(self) -> None:
        """Move the calling thread into the machine's file system, for good."""

    def host_address(self) -> str:
        """Under which address programs in the machine find this computer's opened ports."""

    def port_inside(self, port: int) -> int:
        """Where a program finds its own port (the same, except without namespaces)."""
