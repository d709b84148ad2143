"""What goes wrong in a way that the person at the terminal can put right."""


class CommandRefused(Exception):
    """The command cannot go on; the message says why and what to do about it."""
