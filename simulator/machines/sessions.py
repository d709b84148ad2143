"""Shells and commands over SSH: each runs in the machine, with a terminal when the client asked for one."""

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios

import asyncssh

from simulator.machines.box import Box

CHUNK = 1 << 16
NAMES = {int(getattr(signal, f"SIG{name}")): name
         for name in ("ABRT", "ALRM", "HUP", "INT", "KILL", "PIPE", "QUIT", "TERM", "USR1", "USR2")}  # fmt: skip
SIGNALS = {name: number for number, name in NAMES.items()}
Session = asyncssh.SSHServerProcess[bytes]


async def serve_session(box: Box, session: Session) -> None:
    """Run one shell or command to its end and report its exit status or signal."""
    if not box.running():
        session.exit(255)
        return
    try:
        if session.term_type:
            status = await _run_on_terminal(box, session)
        else:
            status = await _run_on_pipes(box, session)
    except (OSError, asyncssh.Error):
        session.exit(255)
        return
    if status < 0:
        session.exit_with_signal(NAMES.get(-status, "KILL"))
    else:
        session.exit(status)


def _environment(box: Box, session: Session) -> dict[str, str]:
    """What sshd gives a login: no variables of PID 1, but those of /etc/environment (PAM reads it)."""
    env = box.environment() | _etc_environment(box)
    env |= {name: value for name, value in session.env.items() if name == "LANG" or name.startswith("LC_")}
    if original := session.env.get("SSH_ORIGINAL_COMMAND"):
        env["SSH_ORIGINAL_COMMAND"] = original
    peer, here = session.get_extra_info("peername"), session.get_extra_info("sockname")
    env["SSH_CONNECTION"] = f"{peer[0]} {peer[1]} {here[0]} {here[1]}"
    env["SSH_CLIENT"] = f"{peer[0]} {peer[1]} {here[1]}"
    if session.term_type:
        env["TERM"] = session.term_type
    return env


def _etc_environment(box: Box) -> dict[str, str]:
    found: dict[str, str] = {}
    for layer in (box.folder / "upper/etc/environment", box.root / "etc/environment"):
        if layer.is_file() and not layer.is_symlink():
            lines = [line.strip() for line in layer.read_text(errors="replace").splitlines()]
            pairs = [line.removeprefix("export ").partition("=") for line in lines if "=" in line and line[0] != "#"]
            found |= {name: value.strip("\"'") for name, _, value in pairs}
            break
    return found


def _argv(session: Session) -> list[str]:
    """A login's shell, begun at home."""
    shell = ["/bin/bash", "-c", session.command] if session.command else ["/bin/bash", "-l"]
    return ["/bin/sh", "-c", 'cd && exec "$@"', "sh", *shell]


async def _run_on_pipes(box: Box, session: Session) -> int:
    process = await asyncio.create_subprocess_exec(
        *box.command(["setsid", "--wait", *_argv(session)]), env=_environment(box, session), cwd="/",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    stdin, stdout, stderr = _pipes(process)
    feeding = asyncio.create_task(_feed(session, process.pid, stdin))
    try:
        await asyncio.gather(_drain(stdout, session.stdout), _drain(stderr, session.stderr))
        return await process.wait()
    finally:
        feeding.cancel()  # the process itself lives on when the client has gone, as under a real sshd


def _pipes(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise BrokenPipeError("the command was started without pipes")
    return process.stdin, process.stdout, process.stderr


async def _feed(session: Session, entered: int, stdin: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while True:
            try:
                data = await session.stdin.read(CHUNK)
            except asyncssh.SignalReceived as sent:
                _signal(entered, SIGNALS.get(sent.signal, 15))
                continue
            except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
                continue
            if not data:
                break
            stdin.write(data)
            await stdin.drain()
        stdin.close()


def _signal(entered: int, number: int) -> None:
    """Signal what runs in the machine: the descendants of the process that entered it."""
    with contextlib.suppress(OSError):
        for child in _descendants(entered):
            os.kill(child, number)


def _descendants(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = [int(child) for child in file.read().split()]
    return children + [inner for child in children for inner in _descendants(child)]


async def _drain(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    gone = False
    while data := await source.read(CHUNK):
        if gone:
            continue
        try:
            target.write(data)
            await target.drain()
        except (OSError, asyncssh.Error):
            gone = True  # keep reading, so that the process is not stopped by a full pipe


async def _run_on_terminal(box: Box, session: Session) -> int:
    ours, theirs = box.open_terminal()
    try:
        resize(ours, session.term_size)
        process = await asyncio.create_subprocess_exec(
            *box.command(["setsid", "--ctty", "--wait", *_argv(session)]), env=_environment(box, session), cwd="/",
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
    except BaseException:  # also when the client left meanwhile: an open terminal never hangs up
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    typing = asyncio.create_task(_type(session, ours))
    try:
        await _show(session, ours)
    finally:
        typing.cancel()
        os.close(ours)  # hangs the terminal up: SIGHUP to what still holds it
    return await process.wait()


def resize(terminal: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, width, height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))


async def _type(session: Session, terminal: int) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, asyncssh.Error):
        while True:
            try:
                data = await session.stdin.read(CHUNK)
            except asyncssh.TerminalSizeChanged as change:
                resize(terminal, change.term_size)
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                continue
            if not data:
                break
            await loop.run_in_executor(None, os.write, terminal, data)
    session.channel.close() if session.channel.is_closing() else None


async def _show(session: Session, terminal: int) -> None:
    """Terminal output to the client, until the last program has closed the terminal or the client has gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(terminal), "rb", buffering=0)
    )
    leaving = asyncio.create_task(session.channel.wait_closed())
    showing = asyncio.create_task(_drain(reader, session.stdout))
    try:
        await asyncio.wait({leaving, showing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        showing.cancel()
        transport.close()
