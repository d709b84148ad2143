"""What the search attribute `DumontKind` of a workflow says, and the view of the Web UI that filters by it."""

from typing import Literal
from urllib.parse import quote

Kind = Literal[
    "endpoint",
    "expire",
    "instance",
    "job",
    "machine",
    "reap",
    "reconcile",
    "snapshot",
    "tidy",
    "watch",
]

FLOWS: tuple[Kind, ...] = ("endpoint", "instance", "job", "machine", "snapshot")
"""What people follow. The others are housekeeping, which would fill the list."""

FLOWS_QUERY = f"DumontKind IN ({','.join(map(repr, FLOWS))})"


def flows_view(web_ui: str, namespace: str) -> str:
    """The link to the list of flows, without housekeeping."""
    return (
        f"{web_ui.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows?query={quote(FLOWS_QUERY, safe=',()')}"
    )
