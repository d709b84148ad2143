"""The tester's own terminal: the ordinary `ssh` with a key pair made for the run, strict about the host's key."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.checklist.expecting import Failed, Skipped, text


@dataclass(frozen=True)
class Said:
    """What a command printed, and what `ssh` and the gateway printed besides."""

    output: str
    told: str


class Terminal:
    """A folder with a key pair; `known_hosts` holds nothing but what the api says of the instance at hand."""

    def __init__(self) -> None:
        if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
            raise Skipped("não há `ssh` neste computador: instale openssh-client")
        self.folder = Path(tempfile.mkdtemp(prefix="dumont-checklist-"))
        self._key = self.folder / "id_ed25519"
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dumont checklist", "-f", str(self._key)]
        subprocess.run(make, check=True)  # noqa: S603 - a program named here, with words of ours

    @property
    def public_key(self) -> str:
        """The line to register."""
        return self._key.with_suffix(".pub").read_text().strip()

    def run(self, instance: Mapping[str, Any], command: str, seconds: float) -> Said:
        """The command, run on the instance by its SSH address as the document writes it.

        Raises:
            Failed: no login, another exit status than 0, or no end after so many seconds.
        """
        host, port = text(dict(instance), "ssh_host"), int(instance["ssh_port"])
        known = self.folder / f"known_hosts_{port}"
        known.write_text(f"[{host}]:{port} {text(dict(instance), 'ssh_host_key')}\n")
        words = ["ssh", "-F", "none", "-p", str(port), "-i", str(self._key), *strict(known), f"root@{host}", command]
        try:
            ran = subprocess.run(  # noqa: S603 - ssh, to the address that the api gave
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise Failed(f"`ssh -p {port} root@{host} {command}`: sem fim em {seconds:.0f} s") from late
        if ran.returncode != 0:
            told = " ".join((ran.stderr or ran.stdout).split())[-300:]
            raise Failed(f"`ssh -p {port} root@{host} {command}` terminou com {ran.returncode}: {told}")
        return Said(ran.stdout.strip(), " ".join(ran.stderr.split()))

    def close(self) -> None:
        """Forgets the key pair."""
        shutil.rmtree(self.folder, ignore_errors=True)


def strict(known: Path) -> list[str]:
    """Options: this key only, nobody is asked anything, and another host key than the known one is an error."""
    settings = {
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{known}"',
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
