"""The real thing: this computer's own OpenSSH server in front of a machine, one process of it for each connection.

The simulator listens, and gives each connection to an ``sshd -i`` that runs in the machine. So everything that a client
says is answered by the server that rented machines have, with its limits (ten sessions a connection, for one) and its
moods. Only root can do this, with machines that live in namespaces.
"""

import asyncio
import contextlib
import os
import shutil
import socket

from simulator.machines import network
from simulator.machines.box import Box
from simulator.machines.files import resolve
from simulator.machines.sshd import BANNER, host_key

PATH = "/usr/sbin:/usr/local/sbin:/sbin"
CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
X11Forwarding yes
PrintMotd no
Banner /etc/ssh/banner
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


class OpenSshServer:
    """Listens at the machine's addresses while the machine runs."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._listening: dict[socket.socket, asyncio.Task[None]] = {}
        self._serving: dict[asyncio.Task[None], socket.socket] = {}

    def install(self) -> None:
        """Put its files where the machine will have its /etc; to be called while it does not run."""
        folder = self._box.folder / "upper/etc/ssh"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sshd_config").write_text(CONFIG)
        (folder / "banner").write_text(BANNER)
        key = folder / "ssh_host_ed25519_key"
        key.touch(0o600)
        key.write_bytes(host_key(self._box.folder).export_private_key("openssh"))
        logs = resolve(self._box.root, "var/log")
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "lastlog").touch()  # without it each terminal begins with a complaint

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError when the address is taken."""
        at = network.listening_socket(None, host, port)
        self._listening[at] = asyncio.create_task(self._accept(at))

    async def _accept(self, at: socket.socket) -> None:
        while True:
            line, _ = await asyncio.get_running_loop().sock_accept(at)
            serving = asyncio.create_task(self._serve(line))
            self._serving[serving] = line
            serving.add_done_callback(lambda done: self._serving.pop(done).close())

    async def _serve(self, line: socket.socket) -> None:
        line.setblocking(True)  # sshd has it for its standard input and output
        with (self._box.folder / "sshd.log").open("ab") as log:
            server = await asyncio.create_subprocess_exec(
                *self._box.command([find() or "sshd", "-i", "-e"]), env=self._box.environment(), cwd="/",
                stdin=line.fileno(), stdout=line.fileno(), stderr=log, start_new_session=True,
            )  # fmt: skip
        await server.wait()

    def close(self) -> None:
        """Cut every connection, as an unplugged cable does; what ran in the machine is the machine's own business."""
        for at, accepting in self._listening.items():
            accepting.cancel()
            at.close()
        self._listening.clear()
        for line in self._serving.values():
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


def find() -> str | None:
    """The program, where this computer has it and may use it so."""
    return shutil.which("sshd", path=PATH) if os.geteuid() == 0 else None
