"""Samples in, one line of a table out."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured thing. Samples in milliseconds; `limit` is the figure that it is held against, if any."""

    name: str
    samples: Sequence[float]
    limit: float | None = None

    def line(self) -> str:
        ordered = sorted(self.samples)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
        middle = statistics.median(ordered)
        against = "" if self.limit is None else f"{self.limit:.0f} ms ({middle / self.limit:.2f} of it)"
        return f"| {self.name} | {len(ordered)} | {middle:.1f} | {p95:.1f} | {ordered[-1]:.1f} | {against} |"


@dataclass(frozen=True)
class Count:
    """One counted thing, and what it may be at most."""

    name: str
    value: int
    limit: int | None = None

    def line(self) -> str:
        return f"| {self.name} | 1 | {self.value} | | | {'' if self.limit is None else f'at most {self.limit}'} |"


@dataclass(frozen=True)
class Row:
    """One thing in the words that it is measured in, and what it is held against."""

    name: str
    value: str
    against: str = ""

    def line(self) -> str:
        return f"| {self.name} | | {self.value} | | | {self.against} |"


def table(figures: Sequence[Figure | Count | Row]) -> str:
    head = "| what | runs | p50 ms | p95 ms | max ms | limit (p50 as a ratio) |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(figure.line() for figure in figures)])
