"""The script of every start of a container."""

import subprocess
from pathlib import Path

from activities.machines.startup_script import AGENT, onstart_script
from clients.ssh import generate_keypair

VAST_TAKES = 4048
"""Characters (clouds.md E)."""
A_USERS_SHARE = 3000


def test_there_is_room_for_the_users_command() -> None:
    assert len(onstart_script(generate_keypair()[1])) < VAST_TAKES - A_USERS_SHARE


def test_the_agent_begins_before_the_users_command_and_may_be_missing(tmp_path: Path) -> None:
    script = onstart_script("ssh-ed25519 AAAA", "echo user >> ~/order")
    assert script.index(AGENT) < script.index("echo user")
    subprocess.run(["sh", "-c", script], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    start = tmp_path / ".dumont/agent/start"
    start.parent.mkdir(parents=True)
    start.write_text("#!/bin/sh\necho agent >> ~/order\n")
    start.chmod(0o700)
    subprocess.run(["sh", "-c", script], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    assert (tmp_path / "order").read_text().split() == ["user", "agent", "user"]
