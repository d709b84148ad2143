"""What a look at a model server shows, and when looks add up to something being wrong."""

from enum import StrEnum

from pydantic import BaseModel

SILENT_LOOKS = 4
"""So many looks in a row without a good answer, and a server whose process lives counts as hung."""
GAP = 4.0
"""Looks further apart than so many times their usual distance are not in a row: nobody looked in between."""


class ServerSeen(StrEnum):
    HEALTHY = "healthy"
    LOADING = "loading"
    """Its process runs, and nothing listens on its port."""
    SILENT = "silent"
    """It listens, and does not say that it is well."""
    ENDED = "ended"


class ServerLook(BaseModel):
    """One look. `text`: the last line of its log, where it has ended."""

    seen: ServerSeen
    text: str = ""


def silent_in_a_row(before: int, seconds_since: float | None, every: float, seen: ServerSeen) -> int:
    """How many silent looks there are in a row, this one counted.

    `seconds_since` the look before, by the database's clock; time in which nobody looked proves nothing.
    """
    if seen is not ServerSeen.SILENT:
        return 0
    in_a_row = seconds_since is not None and seconds_since <= GAP * every
    return before + 1 if in_a_row else 1
