"""Restricted API keys, environment variables in machines, commands on machines."""

from typing import Any

import pytest

from tests import plain_http

from ..conftest import Key, Simulator, poll
from ..shells import machine, say


def key_with(simulator: Simulator, permissions: dict[str, Any]) -> dict[str, str]:
    made = simulator.vast.post("/api/v0/auth/apikeys/", json={"name": "k", "permissions": {"api": permissions}})
    return {"Authorization": f"Bearer {made.raise_for_status().json()['key']}"}


def test_categories_and_constraints(simulator: Simulator) -> None:
    one, two = (simulator.rent(target_state="stopped") for _ in range(2))
    constraint = {"constraints": {"id": {"eq": one}}}
    headers = key_with(simulator, {"instance_read": {"api.instance.request_logs": constraint}, "misc": {}})

    def status(method: str, path: str) -> int:
        return simulator.vast.request(method, path, headers=headers, json={}).status_code

    assert status("PUT", f"/api/v0/instances/request_logs/{one}/") == 200
    assert status("PUT", f"/api/v0/instances/request_logs/{two}/") == 401
    assert status("POST", "/api/v0/bundles/") == 200
    assert status("GET", f"/api/v0/instances/{one}/") == 401
    assert status("DELETE", f"/api/v0/instances/{one}/") == 401
    refused = plain_http.get(f"{simulator.url}/api/v0/secrets/", headers=headers)
    assert "api.secrets" in refused.json()["msg"]
    reader = key_with(simulator, {"instance_read": {}})
    assert plain_http.get(f"{simulator.url}/api/v1/instances/", headers=reader).json()["total_instances"] == 2
    assert plain_http.delete(f"{simulator.url}/api/v0/instances/{one}/", headers=reader).status_code == 401
    simulator.control.patch("/simulator/settings", json={"toggles": {"lacking_scope": "403"}})
    assert plain_http.get(f"{simulator.url}/api/v0/ssh/", headers=reader).status_code == 403


@pytest.mark.parametrize("permissions", [{"made_up": {}}, [], "all"])
def test_permissions_that_make_no_sense(simulator: Simulator, permissions: Any) -> None:
    body = {"name": "k", "permissions": {"api": permissions}}
    assert simulator.vast.post("/api/v0/auth/apikeys/", json=body).status_code == 400


def test_variables_reach_new_machines(simulator: Simulator, key: Key) -> None:
    simulator.vast.post("/api/v0/secrets/", json={"key": "HF_TOKEN", "value": "h f"}).raise_for_status()
    row = machine(simulator, key)
    assert "HF_TOKEN=h f" in say(row, key, "tr '\\0' '\\n' < /proc/1/environ").splitlines()


def test_commands_on_a_machine(simulator: Simulator) -> None:
    number = simulator.rent()
    simulator.await_status(number, "running")
    path = f"/api/v0/instances/command/{number}/"
    done = simulator.vast.put(path, json={"command": "ls /workspace/../root"}).json()
    poll(lambda: "onstart" in (text := plain_http.get(done["result_url"]).text) or "hasbooted" in text)
    for command in ("cat /etc/passwd", "ls 'unclosed", "ls " + "x" * 600, None):
        assert simulator.vast.put(path, json={"command": command}).json()["error"] == "invalid_args"
    assert simulator.vast.put(path, content=b"{").status_code == 483
    injected = simulator.vast.put(path, json={"command": "ls /none; touch /workspace/x"}).json()
    poll(lambda: "cannot access" in plain_http.get(injected["result_url"]).text)
    listing = simulator.vast.put(path, json={"command": "ls /workspace"}).json()
    poll(lambda: (answer := plain_http.get(listing["result_url"])).status_code == 200 and answer.text == "")
