"""The two tables at the end of the document: counts per flow, and the problems found."""

import re
from collections.abc import Sequence

from cli.checklist.row import Outcome, Result
from cli.checklist.rows import ROWS

COUNT = re.compile(r"\| (\d+)\. (.+?) \| \d+ \|")
PROBLEM = re.compile(r"\| \d+ \| \| \| \| \[ \] Crítico")
SEVERITIES = ("Crítico", "Alto", "Médio", "Baixo")


def fill_counts(lines: Sequence[str], every: Sequence[str], results: Sequence[Result]) -> list[str]:
    """The lines with the counts filled in; the totals are counted, since two of the printed ones are off by one."""
    filled = []
    for line in lines:
        if count := COUNT.match(line):
            filled.append(f"| {count[1]}. {count[2]} | {numbers(f'{count[1]}.', every, results)} |")
        elif line.startswith("| **TOTAL** |"):
            filled.append(f"| **TOTAL** | {numbers('', every, results)} |")
        else:
            filled.append(line)
    return filled


def numbers(prefix: str, every: Sequence[str], results: Sequence[Result]) -> str:
    """Total, OK, failed and the share of OK in all, for the rows whose id begins so."""
    total = sum(row_id.startswith(prefix) for row_id in every)
    of_flow = [result.outcome for result in results if result.row.id.startswith(prefix)]
    ok, failed = of_flow.count(Outcome.OK), of_flow.count(Outcome.FAILED)
    return f"{total} | {ok} | {failed} | {ok / total:.0%}"


def fill_problems(lines: Sequence[str], results: Sequence[Result], cleanup: str | None) -> list[str]:
    """The lines with the problems written into the printed rows, and more rows where those are not enough."""
    found = problems(results, cleanup)
    blanks = [number for number, line in enumerate(lines) if PROBLEM.match(line)]
    if not blanks:
        return list(lines)
    blank_lines = [lines[number] for number in blanks[len(found) :]]
    return [*lines[: blanks[0]], *found, *blank_lines, *lines[blanks[-1] + 1 :]]


def problems(results: Sequence[Result], cleanup: str | None) -> list[str]:
    """One line a problem."""
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    told = [(r.row.flow.split(":")[0], f"{r.row.id} {r.row.title}", r.note, severity(r)) for r in failed]
    if cleanup:
        told.append(("Limpeza", "", cleanup, "Crítico"))
    return [
        f"| {number} | {flow} | {title} | {cell(note)} | {ticked(weight)} |"
        for number, (flow, title, note, weight) in enumerate(told, start=1)
    ]


def severity(result: Result) -> str:
    """Critical where other rows hang on it."""
    return "Crítico" if any(result.row.id in row.needs for row in ROWS) else "Alto"


def ticked(weight: str) -> str:
    """The boxes of the severities."""
    return " ".join(f"[{'x' if name == weight else ' '}] {name}" for name in SEVERITIES)


def cell(words: str) -> str:
    """Text that does not break the table."""
    return " ".join(words.split()).replace("|", "\\|")
