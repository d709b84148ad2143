"""A terminal: its size, its changes, Ctrl-C, and a person who leaves while it wakes."""

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.server import RunningGateway
from tests.gateway.asking import becomes
from tests.gateway.ssh.conftest import Gateway, client
from tests.gateway.ssh.place import Place
from tests.patience import PATIENCE_SECONDS

SHELL = "exec bash --norc"
"""Not the login shell, which opens a tmux there."""


class Terminal:
    """What a person sees and types."""

    def __init__(self, ours: int, process: asyncio.subprocess.Process) -> None:
        self._ours, self.process, self.seen = ours, process, b""
        os.set_blocking(ours, False)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    async def shows(self, text: str) -> None:
        """Wait for it; what was seen up to it is forgotten."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while text.encode() not in self.seen:
                await asyncio.sleep(0.02)
                try:
                    self.seen += os.read(self._ours, 65536)
                except BlockingIOError:
                    continue
        self.seen = self.seen.partition(text.encode())[2]


@asynccontextmanager
async def terminal(command: list[str], rows: int = 24, columns: int = 80) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


async def test_a_shell_knows_its_size_and_every_change(place: Place, served: RunningGateway) -> None:
    own = client(place)
    async with terminal(own.command("-tt", own.target, SHELL), 30, 100) as screen:
        screen.type("stty size; echo $TERM | wc -w\r")
        await screen.shows("30 100")
        screen.resize(40, 120)
        screen.type("until stty size | grep '40[ ]120'; do sleep 0.05; done\r")  # the change comes when it comes
        await screen.shows("40 120")
        screen.type("exit 5\r")
        assert await asyncio.wait_for(screen.process.wait(), PATIENCE_SECONDS) == 5


async def test_ctrl_c_interrupts_what_runs_there(place: Place, served: RunningGateway) -> None:
    own = client(place)
    async with terminal(own.command("-tt", own.target, SHELL)) as screen:
        # It is the one in front that says so: before, bash might have it in its hands still, and keep Ctrl-C to itself.
        screen.type("sh -c 'echo st\"\"arted; exec sleep 1000'; echo co''de $?\r")
        await screen.shows("started")
        screen.type("\x03")
        screen.type("echo go''es on\r")
        await screen.shows("goes on")


async def test_ctrl_c_while_it_wakes_leaves(asleep: Place, gateway: Gateway) -> None:
    own = client(asleep)
    async with gateway(), terminal(own.command("-tt", own.target, SHELL)) as screen:
        await screen.shows("waking it")
        screen.type("\x03")
        code = await asyncio.wait_for(screen.process.wait(), PATIENCE_SECONDS)
        assert code in (130, 255, -signal.SIGINT)  # the latter two when its terminal was not in raw mode yet
        await becomes(asleep.wakes, 1)
