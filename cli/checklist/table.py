"""The live table of a run, in Portuguese with English beside it."""

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.checklist.row import Outcome, Result, Row

MARKS = {Outcome.OK: "[green]OK[/]", Outcome.FAILED: "[bold red]FALHA[/]", Outcome.NOT_RUN: "[yellow]não executado[/]"}


class LiveTable:
    """Shows each row as it begins and as it ends."""

    def __init__(self, console: Console, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._results: dict[str, Result] = {}
        self._running = ""
        self._spinner = Spinner("dots")
        self.live = Live(self._table(), console=console, refresh_per_second=8)

    def tell(self, row: Row, result: Result | None) -> None:
        """A row begins (no result yet) or has ended."""
        self._running = row.id if result is None else ""
        if result:
            self._results[row.id] = result
        self.live.update(self._table())

    def _table(self) -> Table:
        table = Table(
            title="Checklist de testes / acceptance checklist", title_justify="left", box=None, padding=(0, 1)
        )
        for title in ("#", "Teste / test", "Resultado / result", "Tempo / time", "Observação / seen"):
            table.add_column(
                title, no_wrap=title in ("#", "Teste / test"), justify="right" if "time" in title else "left"
            )
        for row in self._rows:
            result = self._results.get(row.id)
            mark = MARKS[result.outcome] if result else self._spinner if row.id == self._running else ""
            time = result.took if result else ""
            table.add_row(row.id, row.title, mark, time, Text(result.note if result else row.expected, style="dim"))
        return table
