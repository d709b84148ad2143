"""The script that keeps one model server on a rented machine: `serve start|restart|status`.

Written by us over SSH, started detached (`setsid`), and started again by onstart when the container was restarted: two
starts at once make one server (`flock`). The server's key lies in a file that only root reads, never on a command line.
`status` prints `running` or `exited`, then the end of the server's log.

A process is known by its number and the moment it began: after a restart of the container the number is another's.
"""

import shlex

from domain.endpoints.plans import ServePlan
from domain.endpoints.runtimes import runtime_of

FOLDER = "/root/.dumont"
SCRIPT = f"{FOLDER}/serve"
KEY_FILE = f"{FOLDER}/serve.key"
LOG_FILE = f"{FOLDER}/serve.log"
PID_FILE = f"{FOLDER}/serve.pid"

_TEMPLATE = """#!/bin/sh
# Written by Dumont Cloud: keeps one model server on this machine. Usage: serve start|restart|status
cd /root || exit 1
pid_file={pid_file}
began() {{ sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }}
alive() {{
    read -r pid since < "$pid_file" 2>/dev/null && kill -0 "$pid" 2>/dev/null && [ "$(began "$pid")" = "$since" ]
}}
end() {{
    alive || return 0
    kill -TERM -- "-$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do alive || break; sleep 1; done
    kill -KILL -- "-$pid" 2>/dev/null
}}
begin() {{
    alive && return 0
    {exports}
    {key_variable}=$(cat {key_file}); export {key_variable}
    setsid nohup {command} >> {log_file} 2>&1 < /dev/null 9>&- &
    echo "$! $(began $!)" > "$pid_file"
}}
exec 9> {folder}/serve.lock
case "$1" in
start) flock 9 2>/dev/null; begin ;;
restart) flock 9 2>/dev/null; end; begin ;;
status)
    alive && echo running || echo exited
    tail -c 2000 {log_file} 2>/dev/null
    ;;
esac
"""


def serve_script(plan: ServePlan) -> str:
    exports = "; ".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(plan.env.items()))
    return _TEMPLATE.format(
        folder=FOLDER,
        key_file=KEY_FILE,
        log_file=LOG_FILE,
        pid_file=PID_FILE,
        key_variable=runtime_of(plan.model_type).key_variable,
        exports=exports or ":",
        command=shlex.join(plan.arguments),
    )


def installing(plan: ServePlan, *, restart: bool = False) -> str:
    """A shell command: takes the server's key on stdin, puts the script in place, starts it; safe to run again.

    `restart`: what is left of an earlier server is ended first.
    """
    script = shlex.quote(serve_script(plan))
    return (
        f"set -e; umask 077; mkdir -p {FOLDER}; cat > {KEY_FILE}.new; mv {KEY_FILE}.new {KEY_FILE}; "
        f"printf %s {script} > {SCRIPT}.new; chmod 700 {SCRIPT}.new; mv {SCRIPT}.new {SCRIPT}; "
        f"{SCRIPT} {'restart' if restart else 'start'}"
    )
