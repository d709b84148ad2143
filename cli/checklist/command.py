"""`dumont checklist`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter
from rich.console import Console

from cli.checklist.document import SOURCE, Facts, fill
from cli.checklist.expecting import Failed
from cli.checklist.idle_windows import DOCUMENT, SHORT
from cli.checklist.row import Outcome, Result
from cli.checklist.runner import chosen_rows, clean_up, run_rows
from cli.checklist.table import LiveTable
from cli.checklist.tester import Tester
from cli.errors import Refused
from cli.flags import Flag
from cli.login import local_addresses
from settings import Settings


def checklist(
    *,
    base: str | None = None,
    email: str | None = None,
    password: Annotated[str | None, Parameter(env_var="DUMONT_PASSWORD")] = None,
    vast_key: Annotated[str | None, Parameter(env_var="DUMONT_CHECKLIST_VAST_KEY")] = None,
    only: str | None = None,
    real_windows: Flag = False,
    deadline: float = 600.0,
    output: Path = Path("checklist-preenchido.md"),
    data_dir: Path | None = None,
) -> None:
    """Run the acceptance checklist and write it filled in, in Portuguese. What it rents it gives back.

    Parameters
    ----------
    base
        Address of the api [default: the installation that runs here].
    email
        An account to run with [default: a new throwaway one].
    password
        Its password.
    vast_key
        The Vast.ai key for row 8.4 [default: the simulator's, where it runs here].
    only
        Rows or groups of rows, such as 1.1,8 [default: all that can be run so far].
    real_windows
        In flow 3 leave the GPU idle for the document's own 3 and 30 minutes, not for 15 seconds each.
    deadline
        Seconds to wait for one thing to become ready.
    output
        Where the document goes.
    data_dir
        The folder of the installation that runs here.
    """
    here = local_addresses(data_dir)
    url = (base or here.get("api") or Settings().api_url).rstrip("/")
    local_key = here.get("simulator_api_key") if url == here.get("api") else None
    tester = Tester(url, vast_key or local_key, deadline, windows=DOCUMENT if real_windows else SHORT)
    rows = chosen_rows(only)
    enter(tester, email, password)
    shown = LiveTable(Console(stderr=True), rows)
    cleanup: str | None = None
    results: list[Result] = []
    try:
        with shown.live:
            results = run_rows(tester, rows, shown.tell)
    finally:
        cleanup = clean_up(tester)
    write(output, tester, results, simulated=bool(local_key), cleanup=cleanup)
    if cleanup or any(result.outcome is Outcome.FAILED for result in results):
        sys.exit(1)


def enter(tester: Tester, email: str | None, password: str | None) -> None:
    """Logs in as given, or makes a throwaway account with the key to be tested."""
    if bool(email) != bool(password):
        raise Refused("--email and --password go together.")
    try:
        if email and password:
            body = tester.ask("POST", "/api/auth/login", json={"email": email, "password": password})
            tester.token = str(body["token"])
            return
        tester.email, tester.password, tester.token = tester.register()
        if tester.vast_key:
            tester.ask("PUT", "/api/settings", json={"vast_api_key": tester.vast_key})
    except Failed as failed:
        raise Refused(f"Could not begin at {tester.base}: {failed}") from failed


def write(output: Path, tester: Tester, results: list[Result], *, simulated: bool, cleanup: str | None) -> None:
    """Writes the document and says where it is."""
    local = urlsplit(tester.base).hostname in ("127.0.0.1", "localhost", "::1")
    today = datetime.now(UTC).astimezone().date()
    facts = Facts(today, tester.base, local, simulated, prerequisites(tester), cleanup)
    output.write_text(fill(SOURCE.read_text(encoding="utf-8"), facts, results), encoding="utf-8")
    ok = sum(result.outcome is Outcome.OK for result in results)
    failed = sum(result.outcome is Outcome.FAILED for result in results)
    print(f"{ok} OK, {failed} FALHA, {len(results) - ok - failed} não executado(s): {output}")


def prerequisites(tester: Tester) -> dict[str, str]:
    """The prerequisites of the document that could be seen to be met, by the words they begin with."""
    met = {"Redis rodando": "não é usado: o Dumont Cloud não precisa de Redis"}
    try:
        health = tester.get("/health")
        met["Servidor rodando"] = "/health respondeu"
        met["Variáveis de ambiente"] = f"versão {health.get('version')}"
        if health.get("status") == "healthy":
            met["PostgreSQL rodando"] = "verificado por /health"
        met["Saldo disponível"] = f"US$ {tester.get('/api/balance')['credit']:.2f}"
    except (Failed, KeyError):
        pass
    return met
