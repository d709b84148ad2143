"""Accounts beside each other: what a test does to its own leaves the others' requests and machines alone."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import plain_http

from ..conftest import KEY, Simulator
from .test_scenarios import await_end

LIST = "GET /api/v1/instances/"


@dataclasses.dataclass
class Other(Simulator):
    """The same simulator, asked with the key of an account of its own."""

    id: int
    key: str


@pytest.fixture
def other(simulator: Simulator) -> Iterator[Other]:
    made = simulator.control.post("/simulator/accounts", json={"credit": 50}).raise_for_status().json()
    key = made["api_key"]
    with plain_http.Client(base_url=simulator.url, headers={"Authorization": f"Bearer {key}"}, timeout=20) as vast:
        yield Other(simulator.folder, simulator.process, simulator.url, vast, simulator.control, made["id"], key)


def listed(simulator: Simulator) -> list[int]:
    answer = simulator.vast.get("/api/v1/instances/").raise_for_status()
    return [row["id"] for row in answer.json()["instances"]]


def settings(simulator: Simulator, account: int | str, **changes: Any) -> httpx.Response:
    return simulator.control.patch("/simulator/settings", params={"account": account}, json=changes)


def test_the_accounts_that_exist(simulator: Simulator, other: Other) -> None:
    other.rent()
    simulator.fault(LIST, "empty_list", account=other.id)
    rows = {row["id"]: row for row in simulator.control.get("/simulator/accounts").json()["accounts"]}
    assert (rows[other.id]["alive"], rows[other.id]["faults"]) == (1, 1)
    assert 49 < rows[other.id]["credit"] <= 50
    first = rows[min(rows)]
    assert (first["alive"], first["faults"]) == (0, 0)
    assert simulator.control.get("/simulator/books", params={"account": "nobody"}).status_code == 404


@pytest.mark.parametrize("named_by", ["id", "key"])
def test_a_fault_of_one_accounts_requests(simulator: Simulator, other: Other, named_by: str) -> None:
    simulator.fault(LIST, "status", account=getattr(other, named_by))
    assert simulator.vast.get("/api/v1/instances/").status_code == 200
    assert other.vast.get("/api/v1/instances/").status_code == 502
    shown = simulator.control.get("/simulator/faults").json()["faults"]
    assert [(fault["account"], fault["calls"], fault["fired"]) for fault in shown] == [(other.id, 1, 1)]
    simulator.fault(LIST, "status", times=1)
    assert simulator.vast.get("/api/v1/instances/").status_code == 502, "one without an account is everybody's"


def test_a_fault_of_an_account_strikes_all_its_keys(other: Other) -> None:
    further = other.vast.post("/api/v0/auth/apikeys/", json={"name": "further"}).raise_for_status().json()["key"]
    other.fault(LIST, "status", account=further)
    for key, status in ((further, 502), (other.key, 502), (KEY, 200)):
        assert plain_http.get(f"{other.url}/api/v1/instances/", params={"api_key": key}).status_code == status


def test_a_fault_of_one_accounts_machines(simulator: Simulator, other: Other) -> None:
    simulator.fault("machine:boot", "exits", account=other.id)
    ours, theirs = simulator.rent(), other.rent()
    simulator.await_status(ours, "running")
    other.await_status(theirs, "exited")


def test_the_faults_of_one_account_are_removed_without_the_others(simulator: Simulator, other: Other) -> None:
    everybodys = simulator.fault(LIST, "delay", delay_seconds=0)
    simulator.fault(LIST, "status", account=other.id)
    simulator.control.delete("/simulator/faults", params={"account": other.key}).raise_for_status()
    assert [fault["id"] for fault in simulator.control.get("/simulator/faults").json()["faults"]] == [everybodys]
    assert other.vast.get("/api/v1/instances/").status_code == 200
    simulator.fault(LIST, "status", account=other.id)
    simulator.control.delete("/simulator/faults").raise_for_status()
    assert simulator.control.get("/simulator/faults").json()["faults"] == []


def test_chances_of_one_accounts_faults_come_from_the_seed_whatever_the_others_do(
    simulator: Simulator, other: Other
) -> None:
    struck = []
    for disturbed in (False, True):
        script = {"name": "chances", "seed": 9, "account": other.id, "fresh": True, "step": [{"at": 0, "fault": {
            "endpoint": LIST, "fault": "status", "probability": 0.5}}]}  # fmt: skip
        number = simulator.control.post("/simulator/scenarios", json=script).raise_for_status().json()["id"]
        await_end(simulator, number)
        simulator.fault(LIST, "delay", delay_seconds=0, probability=0.5)
        statuses = []
        for _ in range(12):
            if disturbed:
                assert simulator.vast.get("/api/v1/instances/").status_code == 200
            statuses.append(other.vast.get("/api/v1/instances/").status_code)
        struck.append(statuses)
    assert struck[0] == struck[1]
    assert set(struck[0]) == {200, 502}


def test_a_scenario_of_one_account_strikes_its_machines_only(simulator: Simulator, other: Other) -> None:
    ours, theirs = simulator.rent(label="prey"), other.rent(label="prey")
    kill = {"at": 0, "machine": "prey", "call": "POST /simulator/machines/{machine}/kill", "times": 3, "every": 0.01}
    script = {"name": "hunt", "account": other.key, "settings": {"rate_limit_scale": 100}, "step": [kill]}
    number = simulator.control.post("/simulator/scenarios", json=script).raise_for_status().json()["id"]
    await_end(simulator, number)
    assert [simulator.book(machine)["alive"] for machine in (ours, theirs)] == [True, False]
    assert [listed(simulator) for _ in range(2)] == [[ours], [ours]]
    assert {other.vast.get("/api/v1/instances/").status_code for _ in range(2)} == {200, 429}


def test_settings_of_one_account(simulator: Simulator, other: Other) -> None:
    changed = settings(simulator, other.id, toggles={"unknown_instance": "404"}).raise_for_status().json()
    assert (changed["toggles"]["unknown_instance"], changed["rate_limit_scale"]) == ("404", 0)
    assert other.vast.get("/api/v0/instances/5/").status_code == 404
    assert simulator.vast.get("/api/v0/instances/5/").status_code == 200
    assert simulator.control.get("/simulator/info").json()["settings"]["toggles"]["unknown_instance"] == "null"
    simulator.control.patch("/simulator/settings", json={"toggles": {"unknown_instance": "null"}}).raise_for_status()
    assert other.vast.get("/api/v0/instances/5/").status_code == 404, "its own go before the whole cloud's"


def test_rate_limits_of_one_account(simulator: Simulator, other: Other) -> None:
    settings(simulator, other.key, rate_limit_scale=100, toggles={"rate_limit_body": "detail"}).raise_for_status()
    answers = [other.vast.get("/api/v1/instances/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "detail" in answers[1].json()
    assert {simulator.vast.get("/api/v1/instances/").status_code for _ in range(5)} == {200}


@pytest.mark.parametrize(
    "changes", [{"market": {"rate": 1}}, {"way_out": [80]}, {"clocks": {"beat": 1}}, {"no_such": 1}], ids=str
)
def test_settings_that_no_account_has_for_itself(simulator: Simulator, other: Other, changes: dict[str, Any]) -> None:
    assert settings(simulator, other.id, **changes).status_code == 400


def test_books_and_requests_of_one_account(simulator: Simulator, other: Other) -> None:
    simulator.rent()
    theirs = [other.rent(), other.rent()]
    books = simulator.control.get("/simulator/books", params={"account": other.id}).json()
    assert ([row["id"] for row in books["machines"]], books["alive"], books["rent_requests"]) == (theirs, 2, 2)
    assert simulator.control.get("/simulator/books").json()["rent_requests"] == 3
    rows = simulator.control.get("/simulator/requests", params={"account": other.key}).json()["requests"]
    assert [row["method"] for row in rows] == ["POST", "PUT"] * 2


def test_a_reset_of_one_account_leaves_the_others(simulator: Simulator, other: Other) -> None:
    ours, theirs = simulator.rent(), other.rent()
    simulator.fault(LIST, "delay", delay_seconds=0)
    simulator.fault(LIST, "status", account=other.id)
    settings(simulator, other.id, rate_limit_scale=100).raise_for_status()
    simulator.control.post("/simulator/reset", params={"account": other.id}).raise_for_status()
    assert (listed(simulator), listed(other)) == ([ours], [])
    assert [fault["fault"] for fault in simulator.control.get("/simulator/faults").json()["faults"]] == ["delay"]
    assert {other.vast.get("/api/v1/instances/").status_code for _ in range(3)} == {200}
    assert [row["id"] for row in simulator.control.get("/simulator/books").json()["machines"]] == [ours]
    assert other.vast.get("/api/v0/users/current/").json()["credit"] == 50
    assert other.rent() > theirs, "a number is not given twice"
