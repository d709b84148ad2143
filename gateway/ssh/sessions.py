"""A user's shell, command or subsystem: held until the machine is there, then relayed to it."""

import asyncio
from typing import Any

import asyncssh

from gateway.ssh.clients import Client, Connection, ConnectionFull
from gateway.ssh.connector import NotServed
from gateway.ssh.messages import stderr_line
from gateway.ssh.pipe import WINDOW, Half, joined

LOST = 255
"""The exit code of OpenSSH's client for a connection that failed."""

FULL = (asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, asyncssh.OPEN_CONNECT_FAILED, asyncssh.OPEN_RESOURCE_SHORTAGE)
"""What an sshd says of a session beyond its MaxSessions (OpenSSH: the second)."""

INTERRUPTED = 130
CTRL_C = b"\x03"


class UserSession(Half, asyncssh.SSHServerSession[bytes]):
    """The user's half of a session."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.note)
        self._client = client
        self._pty = False
        self._machine: MachineSession | None = None
        self._task: asyncio.Task[None] | None = None

    # What the user asks for. We grant all of it: the machine decides.

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        self._pty = True
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        return True

    def session_started(self) -> None:
        self._client.sessions.add(self)
        self._task = asyncio.create_task(self._serve(), name="ssh-session")

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._machine is not None:
            self._machine.channel.change_terminal_size(width, height, pixwidth, pixheight)

    def signal_received(self, signal: str) -> None:
        if self._machine is not None:
            self._machine.channel.send_signal(signal)

    def break_received(self, msec: int) -> bool:
        if self._machine is not None:
            self._machine.channel.send_break(msec)
        return self._machine is not None

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._machine is None and self._pty and CTRL_C in data:
            self.end("left. What was begun goes on by itself.", INTERRUPTED)
        else:
            super().data_received(data, datatype)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.sessions.discard(self)
        if self._task is not None:
            self._task.cancel()
        super().connection_lost(exc)

    # What we tell the user.

    def say(self, text: str) -> None:
        """On stderr: what scp and rsync read stays clean."""
        self.send(stderr_line(text), asyncssh.EXTENDED_DATA_STDERR)

    def end(self, text: str, code: int = LOST) -> None:
        """End the session from our side, and say why."""
        self.say(text)
        self.channel.exit(code)

    def machine_ended(self, machine: "MachineSession", exc: Exception | None) -> None:
        """End the session as it ended on the machine."""
        if machine.exit_signal is not None:
            self.channel.exit_with_signal(*machine.exit_signal)
        elif machine.exit_status is not None:
            self.channel.exit(machine.exit_status)
        elif exc is not None:
            self.end(self._client.why_lost())
        else:
            self.channel.close()

    async def _serve(self) -> None:
        try:
            await self._client.on_machine(self._open, self.say, self.channel.get_agent_path())
        except NotServed as refusal:
            self.end(str(refusal))
        except asyncssh.ChannelOpenError as error:
            self.end(f"the machine refuses: {error.reason}")
        except (OSError, asyncssh.Error):
            self.end(self._client.why_lost())

    async def _open(self, connection: Connection) -> None:
        channel, machine = self.channel, MachineSession(self, self._client)
        size = channel.get_terminal_size()
        opening = connection.create_session(
            lambda: machine,
            command=channel.get_command(),
            subsystem=channel.get_subsystem(),
            env=channel.get_environment_bytes(),
            request_pty="force" if self._pty else False,
            term_type=channel.get_terminal_type(),
            term_size=size,
            term_modes=channel.get_terminal_modes(),
            encoding=None,
            window=WINDOW,
        )
        try:
            await opening
        except asyncssh.ChannelOpenError as error:
            raise (ConnectionFull(error.code, error.reason) if error.code in FULL else error) from None
        self._machine = machine
        self._client.note()  # a new session counts as use even before it sends anything
        joined(self, machine)
        if channel.get_terminal_size() != size:
            machine.channel.change_terminal_size(*channel.get_terminal_size())


class MachineSession(Half, asyncssh.SSHClientSession[bytes]):
    """The machine's half of a session."""

    def __init__(self, user: UserSession, client: Client) -> None:
        super().__init__(client.note, client.closed)
        self._user, self._client = user, client
        self.exit_status: int | None = None
        self.exit_signal: tuple[str, bool, str, str] | None = None

    def connection_made(self, chan: Any) -> None:
        self._client.opened()
        super().connection_made(chan)

    def exit_status_received(self, status: int) -> None:
        self.exit_status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.exit_signal = (signal, core_dumped, msg, lang)

    def connection_lost(self, exc: Exception | None) -> None:
        joined_to, self._peer = self._peer, None
        super().connection_lost(exc)
        if joined_to is not None:
            self._user.machine_ended(self, exc)
