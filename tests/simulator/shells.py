"""The real OpenSSH client against a simulated machine."""

import subprocess
from pathlib import Path
from typing import Any

from .conftest import Key


def address(row: dict[str, Any]) -> tuple[str, int]:
    """Where the machine's own SSH port is, in an instance's row."""
    return row["public_ipaddr"].strip(), int(row["ports"]["22/tcp"][0]["HostPort"])


def options(key: Key) -> list[str]:
    quiet = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    return [*quiet, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(key.file)]


def ssh(row: dict[str, Any], key: Key, command: str, *extra: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    host, port = address(row)
    argv = ["ssh", *options(key), "-p", str(port), *extra, f"root@{host}", command]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False)


def say(row: dict[str, Any], key: Key, command: str) -> str:
    """What a command prints; it must succeed."""
    done = ssh(row, key, command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sftp(row: dict[str, Any], key: Key, batch: str, folder: Path) -> subprocess.CompletedProcess[str]:
    host, port = address(row)
    argv = ["sftp", *options(key), "-P", str(port), "-b", "-", f"root@{host}"]
    return subprocess.run(argv, input=batch, capture_output=True, text=True, timeout=30, check=False, cwd=folder)
