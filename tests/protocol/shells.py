"""What logs in to model machines, in place of `clients/ssh.py` and `clients/ssh_streams.py`."""

import io
import re
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from clients.ssh import Completed, HostKeyChanged, PortClosed, SshTarget, SshUnreachable
from tests.protocol.books import Books
from tests.protocol.clock import Clock
from tests.protocol.machines import JobRun, Machine
from tests.protocol.temporal.attempts import rest

LOADING = 3.0
"""Seconds until a model server answers."""
LONGEST_READ = 8.0
_FOLDER = re.compile(r"(/root/\.dumont/jobs/[^/' ;]+)")
_SECONDS = re.compile(r"sleep (\d+)")


class Login:
    """A connection; whatever is asked through it fails once the machine does not let us in any more."""

    def __init__(self, machine: Machine, clock: Clock) -> None:
        self.machine, self._clock = machine, clock

    def check(self) -> None:
        if not self.machine.lets_in(self._clock.at):
            raise SshUnreachable("the connection was lost")

    async def forward_remote_port(self, *_: Any) -> "Login":
        return self

    def close(self) -> None:
        return None

    async def __aenter__(self) -> "Login":
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        return None


class Shells:
    """Each method stands for the function of its name."""

    def __init__(self, books: Books, clock: Clock, ending_programs: str) -> None:
        self._books, self._clock, self._ending_programs = books, clock, ending_programs
        self.starts: dict[str, int] = {}
        """How often the script of each attempt at a job was begun."""

    async def connect(self, target: SshTarget, **_: Any) -> Login:
        machine = self._books.at(target.host)
        if machine is None or not machine.lets_in(self._clock.at):
            raise SshUnreachable("no answer")
        if target.host_key not in (None, machine.host_key):
            raise HostKeyChanged("another host key than the pinned one")
        return Login(machine, self._clock)

    @asynccontextmanager
    async def login(self, target: SshTarget, **_: Any) -> AsyncIterator[Login]:
        """In place of a pool: connections are not kept, for a pool's clock is not ours."""
        yield await self.connect(target)

    def host_key_of(self, login: Login) -> str:
        return login.machine.host_key

    async def run(self, login: Login, command: str, **_: Any) -> Completed:
        login.check()
        if command == self._ending_programs:
            login.machine.end_programs(self._clock.at)
            return Completed(0, f"1 {login.machine.writes_on:d}", "")
        if command.endswith("/serve start"):
            login.machine.serves_since = login.machine.serves_since or self._clock.at
        if command.endswith("/serve restart"):
            login.machine.serves_since = self._clock.at
        if command.endswith("/serve status"):
            return Completed(0, "exited" if login.machine.serves_since is None else "running", "")
        return Completed(0, "GPU 0: a model" if command.startswith("nvidia-smi") else "/usr/bin/rsync", "")

    async def http_get(self, login: Login, *_: Any, **__: Any) -> tuple[int, bytes]:
        login.check()
        since = login.machine.serves_since
        if since is None or self._clock.time() - since.timestamp() < LOADING:
            raise PortClosed("nothing listens there yet")
        return 200, b""

    # A job's runner: `activities/jobs/runner.py` says what is asked of it

    async def run_bytes(self, login: Login, command: str, *, input: bytes = b"", **_: Any) -> tuple[int, bytes, str]:
        login.check()
        folder = _FOLDER.findall(command)[0]
        if input:
            return self._start(login.machine, folder, input)
        if "/run stop " in command:
            if (job := login.machine.jobs.get(folder)) is not None:
                job.ended = job.ended or command.split()[-1]
            return 0, b"", ""
        return 0, await self._read(login, folder), ""

    def _start(self, machine: Machine, folder: str, packed: bytes) -> tuple[int, bytes, str]:
        if folder not in machine.jobs:
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                script = tar.extractfile("script")
                found = _SECONDS.search("" if script is None else script.read().decode())
            machine.jobs[folder] = JobRun(self._clock.at, float(found[1]) if found else 1.0)
            self.starts[folder] = self.starts.get(folder, 0) + 1
        return 0, b"", ""

    async def _read(self, login: Login, folder: str) -> bytes:
        """As the runner on the machine does: it waits for news for a while."""
        machine = login.machine
        job = machine.jobs.get(folder)
        if job is None:
            return b"absent 0 0 0 0 script\n"
        left = job.seconds - (self._clock.at - job.began).total_seconds()
        if left > 0 and job.ended is None:
            await rest(min(left, LONGEST_READ))
            login.check()
        if job.began < machine.made_at:
            return b"vanished 0 0 0 0 script\n"
        over = (self._clock.at - job.began).total_seconds() >= job.seconds
        if not over and job.ended is None:
            return b"running 0 0 0 0 script\n"
        code, why = (0, "exited") if over and job.ended is None else (143, job.ended)
        return f"ended 0 0 0 0 script {code} {why}\n".encode()

    async def stream(self, login: Login, command: str, **_: Any) -> "Streamed":
        login.check()
        folder = _FOLDER.findall(command)[0]
        if folder not in login.machine.jobs:
            return Streamed(b"", 127)
        if login.machine.holds_back_files:
            login.machine.holds_back_files -= 1
            return Streamed(b"", 2)
        return Streamed(_tar(folder), 0)


class Streamed:
    def __init__(self, content: bytes, code: int) -> None:
        self._content, self._code = content, code

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._content:
            yield self._content

    async def ended(self) -> tuple[int, str]:
        return self._code, ""

    def close(self) -> None:
        return None


def _tar(folder: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in (f"{folder}/stdout", f"{folder}/stderr", "/workspace/output/result"):
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"ok"))
    return packed.getvalue()
