"""One row of the checklist and how it went."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cli.checklist.tester import Tester


class Outcome(StrEnum):
    """What the tester ticks."""

    OK = "OK"
    FAILED = "FALHA"
    NOT_RUN = "não executado"


@dataclass(frozen=True)
class Timed:
    """What a step saw, where the time to write down is another than the step's own."""

    note: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """A row, in the document's own words, with the step that carries it out.

    The step returns what was seen, in Portuguese, as `Timed` where an earlier step measured; it raises `Failed` when
    that is not what was expected. `needs`: the rows whose results it goes on from. `measures`: the names of the times
    in the document that its duration fills in.
    """

    id: str
    flow: str
    title: str
    request: str
    expected: str
    step: Callable[[Tester], str | Timed]
    needs: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """How one row went."""

    row: Row
    outcome: Outcome
    note: str
    seconds: float

    @property
    def took(self) -> str:
        """Its time, in the unit that a person would use."""
        return f"{self.seconds * 1000:.0f} ms" if self.seconds < 1 else f"{self.seconds:.1f} s"
