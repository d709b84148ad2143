"""The script that ends a user's programs on a machine before its last snapshot, politely first.

It runs on the machine, reads /proc and nothing else, and spares what keeps the machine reachable: PID 1 and the `sleep`
or `tail` that it began with and waits for, every sshd by its program, what lies under /root/.dumont (our agent, a
snapshot that runs), and itself. Nothing else is spared for its age or for a word among its arguments: what `onstart`
began in the first seconds is the user's too, and would write on under the last snapshot. Where PID 1 is not that of a
rented machine (its cloud's mark is not in its environment) it touches nothing. It says how many it asked, and how many
are there all the same: what does not end, or is begun again and again by something.
"""

import shlex

GRACE_SECONDS = 10

_SCRIPT = r"""
[ -n "$mark" ] && tr '\0' '\n' < /proc/1/environ 2>/dev/null | grep -q "^$mark=" || exit 0
begun() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
parent() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f2; }
hertz=$(getconf CLK_TCK 2>/dev/null || echo 100)
booted=$(( $(begun 1) + 5 * hertz ))
own=" $$ "; each=$$
while [ "${each:-1}" -gt 1 ]; do each=$(parent "$each"); own="$own${each:-1} "; done
is_users() {
    case $own in *" $1 "*) return 1 ;; esac
    [ "$1" != 1 ] && [ -r "/proc/$1/cmdline" ] || return 1
    words=$(tr '\0' ' ' < "/proc/$1/cmdline" 2>/dev/null)
    [ -n "$words" ] || return 1
    program=$(readlink "/proc/$1/exe" 2>/dev/null); program=${program##*/}; program=${program%% *}
    case $program in sshd|sshd-*) return 1 ;; esac
    case $words in "sshd: "*|*/root/.dumont/*) return 1 ;; esac
    above=$(parent "$1")
    case $own in *" $above "*) [ "${above:-0}" -le 1 ] || return 1 ;; esac
    case $program in sleep|tail) [ "$above" = 1 ] && [ "$(begun "$1")" -le "$booted" ] && return 1 ;; esac
    return 0
}
users() { for entry in /proc/[0-9]*; do id=${entry#/proc/}; is_users "$id" && echo "$id"; done; }
named=$(users); [ -n "$named" ] && kill -TERM $named 2>/dev/null
waited=0
while [ "$waited" -lt GRACE ] && [ -n "$(users)" ]; do sleep 0.2; waited=$((waited + 1)); done
left=$(users); tried=0
while [ -n "$left" ] && [ "$tried" -lt 10 ]; do
    kill -KILL $left 2>/dev/null; sleep 0.2; left=$(users); tried=$((tried + 1))
done
sync
set -- $named; asked=$#; set -- $left; echo "$asked $#"
""".replace("GRACE", str(GRACE_SECONDS * 5))


def ending(mark: str) -> str:
    """The script; it prints how many programs were asked, and how many are left.

    `mark`: the variable that tells a rented machine's PID 1.
    """
    return f"mark={shlex.quote(mark)}{_SCRIPT}"
