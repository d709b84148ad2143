"""Flow 7: monitoring."""

from cli.checklist.expecting import check
from cli.checklist.row import Row
from cli.checklist.tester import Tester

FLOW = "Fluxo 7: Monitoramento e Métricas"


def health(tester: Tester) -> str:
    body = tester.get("/health")
    check(body.get("status") == "healthy", f"status: {body.get('status')}, {body.get('checks')}")
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
