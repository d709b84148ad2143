"""What a row expects: met, not met, or not to be tried as things are. The messages are in Portuguese."""

from typing import Any


class Failed(Exception):
    """A row did not show what it should; the message says what it showed."""


class Skipped(Exception):
    """A row cannot be run as things are; the message says what is missing."""


def text(body: dict[str, Any], name: str) -> str:
    """A field that has to hold some text."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Failed(f"falta '{name}' na resposta: {str(body)[:200]}")
    return value


def check(condition: bool, otherwise: str) -> None:
    """Fails the row when the condition does not hold."""
    if not condition:
        raise Failed(otherwise)
