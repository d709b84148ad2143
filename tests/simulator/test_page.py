"""The page: its files, the live stream, and no answers to other web sites."""

import json
from typing import Any

from tests import plain_http

from .conftest import Simulator


def picture(simulator: Simulator) -> dict[str, Any]:
    with simulator.control.stream("GET", "/simulator/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        line = next(line for line in stream.iter_lines() if line.startswith("data: "))
    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
    return found


def test_the_files(simulator: Simulator) -> None:
    index = simulator.control.get("/").raise_for_status()
    assert index.headers["content-type"].startswith("text/html")
    for name in ("page.css", "page.js"):
        assert f"/page/{name}" in index.text
        assert simulator.control.get(f"/page/{name}").raise_for_status().text
    assert simulator.control.get("/page/none.js").status_code == 404


def test_the_picture(simulator: Simulator) -> None:
    kept, killed = simulator.rent(label="<b>kept</b>"), simulator.rent(label="killed")
    simulator.control.post(f"/simulator/machines/{killed}/kill").raise_for_status()
    simulator.fault("PUT /api/v0/asks/", "phantom", match="none")
    seen = picture(simulator)
    assert [row["id"] for row in seen["alive"]] == [kept]
    assert [row["id"] for row in seen["ended"]] == [killed]
    assert seen["faults"][0]["fault"] == "phantom"
    assert "list-goes-dark" in seen["examples"]
    assert seen["requests"][-1]["path"].startswith("/api/v0/asks/")
    assert sum(host["free"] for host in seen["hosts"]) > 100


def test_other_sites_are_not_answered(simulator: Simulator) -> None:
    there = plain_http.post(f"{simulator.url}/simulator/reset", headers={"Origin": "https://example.org"})
    assert there.status_code == 403
    assert plain_http.get(f"{simulator.url}/simulator/info", headers={"Origin": simulator.url}).status_code == 200
