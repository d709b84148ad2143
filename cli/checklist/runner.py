"""Runs the rows in the document's order, and clears away afterwards what they made."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from cli.checklist.expecting import Failed, Skipped
from cli.checklist.row import Outcome, Result, Row, Timed
from cli.checklist.rows import ROWS
from cli.checklist.tester import Tester
from cli.checklist.workplace import give_back
from cli.errors import CommandRefused

CLEAN_UP_SECONDS = 60.0


def chosen_rows(only: str | None) -> list[Row]:
    """The rows whose id is one of those, or lies under it (`1.1,8`), with the rows that they need."""
    wanted = [part.strip() for part in (only or "").split(",") if part.strip()]
    chosen = {row.id for row in ROWS if not wanted or any(lies_under(row.id, part) for part in wanted)}
    if not chosen:
        raise CommandRefused(
            f"No row that can be run yet lies under '{only}'. There are: {', '.join(row.id for row in ROWS)}."
        )
    for row in reversed(ROWS):
        chosen |= set(row.needs) if row.id in chosen else set()
    return [row for row in ROWS if row.id in chosen]


def lies_under(row_id: str, part: str) -> bool:
    """`1.1.4` lies under `1`, `1.1` and `1.1.4`, and not under `1.1.` of another row's beginning."""
    return row_id == part or row_id.startswith(f"{part}.")


def run_rows(tester: Tester, rows: Sequence[Row], tell: Callable[[Row, Result | None], None]) -> list[Result]:
    """Each row's result; `tell` hears of each row when it begins and when it has ended."""
    results: list[Result] = []
    for row in rows:
        tell(row, None)
        results.append(run_row(tester, row, results))
        tell(row, results[-1])
    return results


def run_row(tester: Tester, row: Row, before: Sequence[Result]) -> Result:
    """One row; it is not run when a row that it goes on from did not work."""
    unmet = [result.row.id for result in before if result.row.id in row.needs and result.outcome is not Outcome.OK]
    if unmet:
        return Result(row, Outcome.FAILED, f"depende de {', '.join(unmet)}, que não funcionou", 0.0)
    started = time.monotonic()
    try:
        saw = row.step(tester)
        if isinstance(saw, Timed):
            return Result(row, Outcome.OK, saw.note, saw.seconds)
        outcome, note = Outcome.OK, saw
    except Failed as failed:
        outcome, note = Outcome.FAILED, str(failed)
    except Skipped as skipped:
        outcome, note = Outcome.NOT_RUN, str(skipped)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        outcome, note = Outcome.FAILED, f"a resposta não tem a forma esperada ({type(error).__name__}: {error})"
    return Result(row, outcome, note, time.monotonic() - started)


def clean_up(tester: Tester) -> str | None:
    """Gives back what the rows rented; says so when that did not work."""
    tester.deadline_seconds = CLEAN_UP_SECONDS
    return "; ".join([*end_job(tester), *end_deployment(tester), *give_back(tester)]) or None


def end_job(tester: Tester) -> list[str]:
    """Cancels the job of flow 2 where it has not ended, as it should have; what could not be done."""
    job = tester.made.job
    if not job:
        return []
    try:
        tester.ask("POST", f"/api/jobs/{job}/cancel", expect=(200, 202, 409))  # 409: it has ended
    except Failed as failed:
        return [f"o job {job} não foi cancelado: {failed}"]
    return []


def end_deployment(tester: Tester) -> list[str]:
    """Stops the model of flow 1; what could not be done."""
    deployment = tester.made.deployment
    if not deployment:
        return []
    path = f"/api/models/{deployment}"
    try:
        tester.ask("DELETE", path, expect=(200, 202, 204))
        tester.wait_for("stopped", lambda: over(tester.get(f"{path}/status")))
    except Failed as failed:
        return [f"o deploy {deployment} não foi encerrado: {failed}"]
    return []


def over(status: dict[str, Any]) -> dict[str, Any] | None:
    """The status once the deployment has ended."""
    return status if status.get("status") in ("stopped", "failed") else None
