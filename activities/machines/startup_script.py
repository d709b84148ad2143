"""The script that a rented machine runs at every start of its container."""

import shlex

SERVE = "/root/.dumont/serve"
"""Started again by a container that its host restarted; the deploy writes it (activities/endpoints/model_server.py)."""
AGENT = "~/.dumont/agent/start"
"""Starts the agent where it is installed (activities/machines/agents.py): at once, for its first call ends a wake."""


def onstart_script(public_key: str, user_command: str = "") -> str:
    """Let us in, start the agent and the model server if they are there, then run the user's own command."""
    key = shlex.quote(public_key)
    lines = [
        "touch ~/.no_auto_tmux; mkdir -p ~/.ssh ~/.dumont; chmod 700 ~/.ssh",
        f"grep -qxF {key} ~/.ssh/authorized_keys 2>/dev/null || echo {key} >> ~/.ssh/authorized_keys",
        f"[ -x {AGENT} ] && {AGENT}",
        f"[ -x {SERVE} ] && {SERVE} start",
        user_command,
    ]
    return "\n".join(line for line in lines if line) + "\ntrue\n"
