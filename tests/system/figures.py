"""What a drill counts, over all its kills: printed at the end of the run, whatever failed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]


@dataclass
class Figures:
    kills: int = 0
    leaks: int = 0
    double_rents: int = 0
    wrong_kills: int = 0
    stuck: list[str] = field(default_factory=list)
    """What did not come to its end in time, in words."""

    def count(self, more: "Figures") -> None:
        """Add these to them."""
        self.kills += more.kills
        self.leaks += more.leaks
        self.double_rents += more.double_rents
        self.wrong_kills += more.wrong_kills
        self.stuck += more.stuck

    @property
    def is_good(self) -> bool:
        return not (self.leaks or self.double_rents or self.wrong_kills or self.stuck)

    def __str__(self) -> str:
        lines = [
            f"{self.kills} kills: {self.leaks} leaks, {self.double_rents} double rents, "
            f"{self.wrong_kills} wrong kills, "
            f"{len(self.stuck)} stuck"
        ]
        return "\n".join([*lines, *(f"  stuck: {words}" for words in self.stuck)])


def judged(new: Rows, wanted: set[int], ended_at: float, stuck: list[str]) -> Figures:
    """By the simulator's books, after one kill and the end of its deployment.

    `new`: the machines that were made since before it. `wanted`: those that served it. `ended_at`: when it was told to
    end, in epoch seconds; until then nobody may take away what serves.
    """
    labels = Counter(row["label"] for row in new)
    taken = [row for row in new if row["id"] in wanted and not row["alive"] and row["destroyed_at"] < ended_at]
    return Figures(
        kills=1,
        leaks=sum(bool(row["alive"]) for row in new),
        double_rents=sum(count - 1 for count in labels.values()),
        wrong_kills=len(taken),
        stuck=stuck,
    )
