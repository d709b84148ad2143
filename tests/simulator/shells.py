"""The real OpenSSH client against a simulated machine, and machines that one can log in to."""

import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests import plain_http

from .conftest import Key, Simulator, poll

Row = dict[str, Any]


def address(row: dict[str, Any]) -> tuple[str, int]:
    """Where the machine's own SSH port is, in an instance's row."""
    return row["public_ipaddr"].strip(), int(row["ports"]["22/tcp"][0]["HostPort"])


def options(key: Key) -> list[str]:
    quiet = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    return [*quiet, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(key.file)]


def ssh(row: dict[str, Any], key: Key, command: str, *extra: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    host, port = address(row)
    argv = ["ssh", *options(key), "-p", str(port), *extra, f"root@{host}", command]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def say(row: dict[str, Any], key: Key, command: str) -> str:
    """What a command prints; it must succeed."""
    done = ssh(row, key, command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sftp(row: dict[str, Any], key: Key, batch: str, folder: Path) -> subprocess.CompletedProcess[str]:
    host, port = address(row)
    argv = ["sftp", *options(key), "-P", str(port), "-b", "-", f"root@{host}"]
    return subprocess.run(argv, input=batch, capture_output=True, text=True, timeout=120, check=False, cwd=folder)


def machine(simulator: Simulator, key: Key, **body: Any) -> Row:
    """A machine that one can log in to."""
    env = {"SSH_PUBLIC_KEY": key.public, **body.pop("env", {})}
    row = simulator.await_status(simulator.rent(env=env, **body), "running")
    poll(lambda: answers(*address(row)))
    return row


def order(simulator: Simulator, number: int, state: str) -> dict[str, Any]:
    """``stopped`` or ``running``, as a customer orders it; the answer."""
    answer = simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": state})
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


def answers(host: str, port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex((host, port)) == 0


def fetched(url: str) -> str | None:
    try:
        return plain_http.get(url).raise_for_status().text.strip()
    except httpx.HTTPError:
        return None
