"""What `dumont up` prints when everything runs."""

from typing import get_args
from urllib.parse import parse_qs, urlsplit

from rich.console import Console

from cli.up.temporal import SEARCH_ATTRIBUTES
from cli.up.welcome import welcome
from workflow_client.client import KIND
from workflow_client.kinds import FLOWS, FLOWS_QUERY, Kind

ADDRESSES = {
    "api": "http://127.0.0.1:8000",
    "gateway": "http://127.0.0.1:8080",
    "temporal_ui": "http://127.0.0.1:8233",
    "simulator": None,
}


def test_the_link_to_the_web_ui_leaves_housekeeping_out() -> None:
    console = Console(width=60, record=True)
    welcome(console, ADDRESSES, 5.0)
    link = next(line for line in console.export_text().splitlines() if line.startswith(ADDRESSES["temporal_ui"] or "-"))
    assert urlsplit(link).path == "/namespaces/default/workflows"
    assert parse_qs(urlsplit(link).query) == {"query": [FLOWS_QUERY]}
    assert set(get_args(Kind)) - set(FLOWS) == {"expire", "reap", "reconcile", "tidy", "watch"}
    assert f"{KIND.name}=Keyword" in SEARCH_ATTRIBUTES
    assert FLOWS_QUERY.startswith(KIND.name)


def test_without_temporal_there_is_no_link() -> None:
    console = Console(width=60, record=True)
    welcome(console, {**ADDRESSES, "temporal_ui": None}, 5.0)
    assert "Web UI" not in console.export_text()
