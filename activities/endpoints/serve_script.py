"""The script that keeps one model server on a rented machine: `serve start`, `serve status`.

Written by us over SSH, started detached (`setsid`), and started again by onstart when the container was restarted.
The server's key lies in a file that only root reads, never on a command line. `status` prints
`running` or `exited`, then the end of the server's log.
"""

import shlex

from domain.endpoints.plans import ServePlan

FOLDER = "/root/.dumont"
SCRIPT = f"{FOLDER}/serve"
KEY_FILE = f"{FOLDER}/serve.key"
LOG_FILE = f"{FOLDER}/serve.log"

_TEMPLATE = """#!/bin/sh
# Written by Dumont Cloud: keeps one model server on this machine. Usage: serve start|status
cd /root || exit 1
pid_file={folder}/serve.pid
alive() {{ pid=$(cat "$pid_file" 2>/dev/null) && kill -0 "$pid" 2>/dev/null; }}
case "$1" in
start)
    alive && exit 0
    {exports}
    VLLM_API_KEY=$(cat {key_file}); export VLLM_API_KEY
    setsid nohup {command} >> {log_file} 2>&1 < /dev/null &
    echo $! > "$pid_file"
    ;;
status)
    alive && echo running || echo exited
    tail -c 2000 {log_file} 2>/dev/null
    ;;
esac
"""


def serve_script(plan: ServePlan) -> str:
    exports = "; ".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(plan.env.items()))
    return _TEMPLATE.format(
        folder=FOLDER, key_file=KEY_FILE, log_file=LOG_FILE, exports=exports or ":", command=shlex.join(plan.arguments)
    )


def installing(plan: ServePlan) -> str:
    """A shell command: takes the server's key on stdin, puts the script in place, starts it; safe to run again."""
    script = shlex.quote(serve_script(plan))
    return (
        f"set -e; umask 077; mkdir -p {FOLDER}; cat > {KEY_FILE}.new; mv {KEY_FILE}.new {KEY_FILE}; "
        f"printf %s {script} > {SCRIPT}.new; chmod 700 {SCRIPT}.new; mv {SCRIPT}.new {SCRIPT}; {SCRIPT} start"
    )
