"""The checklist's document: reading its rows, and filling it in. Pure: text in, text out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cli.checklist.counts import fill_counts, fill_problems
from cli.checklist.row import Outcome, Result

SOURCE = Path(__file__).with_name("checklist.pt.md")
FLOW = re.compile(r"## Fluxo (\d+): ")
SECTION = re.compile(r"### (\d+\.\d+) ")
ROW = re.compile(r"\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| \[ \] OK \[ \] FALHA \|$")
BLANK = r"_{3,}"
UNITS = {"seg": 1.0, "segundos": 1.0, "ms": 1000.0, "minutos": 1 / 60}


@dataclass(frozen=True)
class Facts:
    """What is known about the run as a whole."""

    day: date
    base: str
    local: bool
    simulated: bool
    prerequisites: Mapping[str, str]
    cleanup: str | None = None


@dataclass(frozen=True)
class Line:
    """A row as the document has it."""

    id: str
    title: str
    request: str
    expected: str


def with_ids(lines: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    """Each line with the heading number it stands under, and its row's id where it is a row."""
    under = ""
    for line in lines:
        if heading := FLOW.match(line) or SECTION.match(line):
            under = heading[1]
        elif line.startswith("## "):
            under = ""
        row = ROW.match(line)
        yield line, under, f"{under}.{row[1]}" if row and under else ""


def document_rows(source: str) -> list[Line]:
    """Every row of the document, in order."""
    found = []
    for line, _, row_id in with_ids(source.splitlines()):
        if row_id and (row := ROW.match(line)):
            found.append(Line(row_id, row[2], row[3], row[4]))
    return found


def fill(source: str, facts: Facts, results: Sequence[Result]) -> str:
    """The document with every box ticked, time written and problem listed that the results tell of."""
    by_id = {result.row.id: result for result in results}
    times = {name: result.seconds for result in results for name in result.row.measures if result.outcome is Outcome.OK}
    lines: list[str] = []
    above: list[str] = []
    for line, _, row_id in with_ids(source.splitlines()):
        above = [] if FLOW.match(line) else [*above, row_id] if row_id else above
        filled = fill_row(line, by_id.get(row_id)) if row_id else fill_time(fill_head(line, facts), times)
        if re.fullmatch(BLANK, line):
            lines += observations(above, results) if lines[-2:] == ["**Observações:**", "```"] else []
            above = []
        else:
            lines.append(filled)
    every = [line.id for line in document_rows(source)]
    return "\n".join(fill_problems(fill_counts(lines, every, results), results, facts.cleanup)) + "\n"


def fill_head(line: str, facts: Facts) -> str:
    """Date, place and the prerequisites that the run could see."""
    if line.startswith("> **Data**"):
        return f"> **Data**: {facts.day:%d/%m/%Y}"
    if line.startswith("> **Testador**"):
        return "> **Testador**: `dumont checklist` (automático)"
    if line.startswith("> **Ambiente**"):
        cloud = "SIMULADA: nenhuma GPU real, nenhum custo real" if facts.simulated else "conforme a chave da conta"
        ticked = line.replace("[ ] Local", "[x] Local") if facts.local else line
        return f"{ticked}\n> **Endereço**: {facts.base}\n> **Nuvem**: {cloud}"
    for start, note in facts.prerequisites.items():
        if line.startswith(f"- [ ] {start}"):
            return line.replace("[ ]", "[x]", 1) + f" — {note}"
    return line


def fill_row(line: str, result: Result | None) -> str:
    """A row with its box ticked."""
    if result is None or result.outcome is Outcome.NOT_RUN:
        return line.replace("[ ] OK [ ] FALHA", "[ ] OK [ ] FALHA (não executado)")
    if result.outcome is Outcome.FAILED:
        return line.replace("[ ] FALHA", "[x] FALHA")
    return re.sub(BLANK, f"{result.seconds:.1f}", line).replace("[ ] OK", "[x] OK")


def fill_time(line: str, times: Mapping[str, float]) -> str:
    """A line with a blank for one of the measured times, in the line's own unit."""
    for name, seconds in times.items():
        blank = re.match(
            rf"(\| {re.escape(name)} \| |- {re.escape(name)}: |\*\*{re.escape(name)}\*\*: ){BLANK} (\w+)", line
        )
        if blank:
            return re.sub(BLANK, f"{seconds * UNITS[blank[2]]:.1f}", line, count=1)
    return line


def observations(above: Sequence[str], results: Sequence[Result]) -> list[str]:
    """What the rows above showed, one line each; blank lines to write on where nothing ran."""
    notes = [f"{r.row.id} ({r.took}): {r.note}" for r in results if r.row.id in above]
    return notes or ["_" * 65] * 2
