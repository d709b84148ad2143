"""Runs one command in place of itself, tied to its parent's life and without root where asked.

Used as a script, so it may import the standard library only. A program of its own rather than a `preexec_fn`, because
that is not safe in a process with threads, and because entering a user namespace clears a death signal set before it.
"""

import argparse
import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NAMESPACE_ID = 1000


def main() -> None:
    """Takes the place of the command given after `--`."""
    options = parse(sys.argv[1:])
    if options.namespace:
        enter_user_namespace()
    if options.uid is not None:
        os.setgroups([])
        os.setgid(options.uid)
        os.setuid(options.uid)
    if options.death_signal:
        die_with_parent(options.death_signal, options.parent)
    os.execv(options.command[0], options.command)  # noqa: S606 - this is what the program is for


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options and the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", action="store_true", help="be an ordinary user in a namespace of its own")
    parser.add_argument("--uid", type=int, help="become this user")
    parser.add_argument("--death-signal", type=int, default=0, help="sent when the parent dies (Linux)")
    parser.add_argument("--parent", type=int, default=0, help="the parent's process id")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def enter_user_namespace() -> None:
    """Makes root look like an ordinary user to the command, while root's files stay its own."""
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NAMESPACE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NAMESPACE_ID} {gid} 1")


def die_with_parent(death_signal: int, parent: int) -> None:
    """Asks the kernel for a signal at the parent's death; goes at once when it died before we asked."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if parent and os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main()
