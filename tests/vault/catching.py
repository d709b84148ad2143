"""A copy caught in the act: restic stands still on the machine while a test does its worst, and then goes on."""

import shlex

from tests.vault.world import Machine, World, until

MOVED = 4_000_000
"""Bytes that restic has read and written by then: it has its connection and is in the middle."""

CATCH = """
rm -f /tmp/caught
nohup sh -c '
until pid=$(pgrep -o -f "^[^ ]*restic {word} ") && [ "$(awk "/^rchar/ {{print \\$2}}" /proc/$pid/io)" -gt {moved} ] \\
    && kill -STOP "$pid"; do sleep 0.01; done
echo "$pid" > /tmp/caught
' > /dev/null 2>&1 &
"""


async def lie_in_wait(world: World, machine: Machine, word: str, *, moved: int = MOVED) -> None:
    """Before the copy is begun: the machine itself stops `restic word` (`backup`, `restore`) when it gets so far."""
    await world.say(machine, CATCH.format(word=shlex.quote(word), moved=moved))


async def caught(world: World, machine: Machine) -> None:
    """Wait until it stands still."""

    async def seen() -> str | None:
        return await world.say(machine, "cat /tmp/caught") or None

    await until(seen, "restic to be caught")


async def request_release(world: World, machine: Machine) -> None:
    await world.say(machine, "kill -CONT $(cat /tmp/caught)")
