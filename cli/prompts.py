"""Asking the person at the terminal, where there is one."""

import sys

from rich.console import Console
from rich.prompt import Confirm

from cli.errors import CommandRefused


def agreed(console: Console, question: str, *, default: bool = True) -> bool:
    """The person's yes or no.

    Raises:
        CommandRefused: nobody sits at a terminal.
    """
    if not sys.stdin.isatty():
        raise CommandRefused("There is no terminal to ask on: add -y to go on without being asked.")
    return Confirm.ask(question, default=default, console=console)
