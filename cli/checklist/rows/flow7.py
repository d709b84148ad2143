"""Flow 7: monitoring."""

from typing import Any

from cli.checklist.expecting import Failed
from cli.checklist.row import Row
from cli.checklist.tester import Tester

BUSY_SECONDS = 30.0
"""A computer that has much to do may be late with one answer."""

FLOW = "Fluxo 7: Monitoramento e Métricas"


def health(tester: Tester) -> str:
    body: dict[str, Any] = {}

    def healthy() -> dict[str, Any] | None:
        body.update(tester.ask("GET", "/health", expect=(200, 503)))
        return body if body.get("status") == "healthy" else None

    try:
        tester.wait_for("healthy", healthy, within_seconds=BUSY_SECONDS)
    except Failed as error:
        raise Failed(f"status: {body.get('status')}, {body.get('checks')}") from error
    return f"healthy: {', '.join(body.get('checks') or {})}"


ROWS = (
    Row(
        id="7.1",
        flow=FLOW,
        title="Health check",
        request="`GET /health`",
        expected='{"status": "healthy"}',
        step=health,
    ),
)
