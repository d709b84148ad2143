"""A copy caught in the act: restic stands still on the machine while a test does its worst, and then goes on."""

import shlex

from tests.vault.world import Machine, World, until

MOVED = 4_000_000
"""Bytes that restic has read and written by then: it has its connection and is in the middle."""

CATCH = """
import os, pathlib, signal, sys, time

def numbers(process):
    lines = (process / "io").read_text().splitlines()
    return {line.split(": ")[0]: int(line.split(": ")[1]) for line in lines}

def status(process):
    return (process / "stat").read_text().rsplit(") ", 1)[1][0]

def caught(word, moved):
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\\0")
            if words[0].endswith("restic") and words[1] == word and numbers(process)["rchar"] > moved:
                os.kill(int(process.name), signal.SIGSTOP)
                while (now := status(process)) not in "TZ":
                    time.sleep(0.001)
                if now == "T":
                    return process.name
        except (OSError, IndexError):
            pass

while (pid := caught(sys.argv[1], int(sys.argv[2]))) is None:
    time.sleep(0.002)
pathlib.Path("/tmp/caught").write_text(pid)
"""
"""One process that sleeps between two cheap looks is given its turn at once, however many others wait for theirs: on a
computer with one core a shell's loop of pgrep and awk came when the copy was over."""


async def lie_in_wait(world: World, machine: Machine, word: str, *, moved: int = MOVED) -> None:
    """Before the copy is begun: the machine itself stops `restic word` (`backup`, `restore`) when it gets so far."""
    look = f"python3 -c {shlex.quote(CATCH)} {word} {moved}"
    await world.say(machine, f"rm -f /tmp/caught; nohup {look} > /dev/null 2>&1 < /dev/null &")


async def caught(world: World, machine: Machine) -> None:
    """Wait until it stands still."""

    async def seen() -> str | None:
        return await world.say(machine, "cat /tmp/caught") or None

    await until(seen, "restic to be caught")


async def request_release(world: World, machine: Machine) -> None:
    """Let it go on; what was ended in the meantime stays so."""
    await world.say(machine, "kill -CONT $(cat /tmp/caught) 2> /dev/null || true")
