"""`dumont doctor`."""

import sys
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli.doctor.installation import installation
from cli.doctor.programs import namespaces, programs
from cli.doctor.result import CheckResult, Verdict
from cli.places import data_dir as resolved

COLOURS = {Verdict.GOOD: "green", Verdict.NOTE: "yellow", Verdict.MISSING: "yellow", Verdict.BLOCKS: "bold red"}


def doctor(*, data_dir: Path | None = None) -> None:
    """Look at everything that Dumont Cloud needs here and say what is missing. Fails only on what blocks a start.

    Parameters
    ----------
    data_dir
        The installation's folder [default: $DUMONT_DATA_DIR or .dumont].
    """
    folder = resolved(data_dir)
    findings = list(chain(programs(), namespaces(), installation(folder)))
    Console().print(table(findings))
    if any(finding.verdict is Verdict.BLOCKS for finding in findings):
        sys.exit(1)


def table(findings: list[CheckResult]) -> Table:
    """One line a finding."""
    shown = Table(box=None, padding=(0, 2))
    for title in ("", "what", "seen", "to put it right"):
        shown.add_column(title)
    for finding in findings:
        colour = COLOURS[finding.verdict]
        shown.add_row(f"[{colour}]{finding.verdict}[/]", finding.what, finding.seen, finding.remedy)
    return shown
