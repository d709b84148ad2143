"""Renting, listing, states, money: the rows of the wire. (The machines behind them: test_machines.py.)"""

import base64
import json
from typing import Any

import pytest

from tests import plain_http

from ..conftest import KEY, Simulator, poll


def listing(simulator: Simulator, **query: Any) -> dict[str, Any]:
    params = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    answer: dict[str, Any] = simulator.vast.get("/api/v1/instances/", params=params).raise_for_status().json()
    return answer


def test_a_life_on_the_wire(simulator: Simulator) -> None:
    number = simulator.rent(label="dumont/x/1", env={"-p 8000:8000": "1", "-p 70000:70000": "1", "A": "b c"})
    row = simulator.show(number)
    assert row["label"] == "dumont/x/1"
    seen = [row["actual_status"]]
    while seen[-1] != "running":
        assert "ports" not in row
        row = simulator.show(number)
        seen.append(row["actual_status"])
    # Each lasts some hundredths of a second: a look can miss one. (test_the_ways_a_start_fails holds each.)
    passed = list(dict.fromkeys(seen))
    assert passed == [status for status in (None, "created", "loading", "running") if status in passed]
    assert row["public_ipaddr"].endswith("\n")
    assert row["status_msg"] == "success, running ubuntu:22.04/ssh"
    assert {"22/tcp", "8000/tcp"} < set(row["ports"])
    assert all(isinstance(end["HostPort"], str) for ends in row["ports"].values() for end in ends)
    identity = next(name for name in row["ports"] if name not in ("22/tcp", "8000/tcp"))
    assert identity == f"{row['ports'][identity][0]['HostPort']}/tcp"
    assert ["A", "b c"] in row["extra_env"]
    simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "stopped"}).raise_for_status()
    row = simulator.await_status(number, "exited")
    assert (row["cur_state"], row["intended_status"], "ports" in row) == ("stopped", "stopped", False)
    assert simulator.vast.delete(f"/api/v0/instances/{number}").json() == {"success": True}
    assert poll(lambda: simulator.vast.get(f"/api/v0/instances/{number}/").json() == {"instances": None})
    assert simulator.vast.delete(f"/api/v0/instances/{number}/").status_code == 404
    assert simulator.book(number)["status"] == "destroyed"


def test_pages_labels_and_filters(simulator: Simulator) -> None:
    simulator.fault("machine:boot", "never_boots")
    offers = [row["id"] for gpu in ("RTX 4090", "RTX 3090", "RTX 3080") for row in simulator.offers(gpu)][:30]
    for place, offer in enumerate(offers):
        wish = {"image": "x", "label": "job-1" if place < 2 else f"job-1{place}"}
        simulator.vast.put(f"/api/v0/asks/{offer}/", json=wish).raise_for_status()
    first = listing(simulator, limit="100")
    assert len(first["instances"]) == 25
    assert first["total_instances"] == 30
    last = first["instances"][-1]["id"]
    assert json.loads(base64.b64decode(first["next_token"])) == {"values": {"id": last}}
    second = listing(simulator, after_token=first["next_token"])
    assert len(second["instances"]) == 5
    assert second["next_token"] is None
    assert not {row["id"] for row in first["instances"]} & {row["id"] for row in second["instances"]}
    exact = listing(simulator, select_filters={"label": {"eq": "job-1"}}, select_cols=["id", "label"])
    assert [set(row) for row in exact["instances"]] == [{"id", "label"}] * 2
    assert exact["label_counts"] == {"job-1": 2}
    several = listing(simulator, select_filters={"label": {"in": ["job-1", "job-12"]}})
    assert len(several["instances"]) == 3
    simulator.fault("GET /api/v1/instances/", "truncated_list", times=1)
    assert listing(simulator)["next_token"] is None
    newest = listing(simulator, order_by=[{"col": "id", "dir": "desc"}], limit="0")
    assert len(newest["instances"]) == 5
    assert newest["instances"][0]["id"] > last
    onward = listing(simulator, order_by=[{"col": "id", "dir": "desc"}], after_token=newest["next_token"])
    assert onward["instances"][0]["id"] < newest["instances"][-1]["id"]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"after_token": "nonsense"}, "invalid_token"),
        ({"select_filters": '{"dph_total":{"lt":1}}'}, "invalid_request"),
        ({"select_filters": "{"}, "invalid_request"),
        ({"order_by": '["id"]'}, "invalid_request"),
    ],
)
def test_bad_list_queries(simulator: Simulator, params: dict[str, str], error: str) -> None:
    simulator.rent(target_state="stopped")
    answer = simulator.vast.get("/api/v1/instances/", params=params)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_old_routes_unknown_routes_and_keys(simulator: Simulator) -> None:
    retired = simulator.vast.get("/api/v0/instances/", params={"owner": "me"})
    assert (retired.status_code, retired.json()["error"]) == (410, "deprecated_endpoint")
    assert simulator.vast.get("/api/v0/made-up/").status_code == 404
    bad = plain_http.get(f"{simulator.url}/api/v1/instances/", headers={"Authorization": "Bearer wrong"})
    assert (bad.status_code, bad.json()["error"]) == (404, "auth_error")
    simulator.control.patch("/simulator/settings", json={"toggles": {"bad_key": "401"}})
    assert plain_http.get(f"{simulator.url}/api/v0/users/current").status_code == 401
    simulator.control.patch("/simulator/settings", json={"toggles": {"bad_key": "404"}})
    assert plain_http.get(f"{simulator.url}/api/v0/users/current?api_key={KEY}").json()["credit"] == pytest.approx(1000)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "invalid_args"),
        ({"image": "x", "label": "l" * 257}, "label_too_long"),
        ({"image": "x", "price": 0.0001}, "invalid_price"),
        ({"image": "x", "onstart": "#" * 5000}, "invalid_args"),
        ({"image": "x", "disk": "much"}, "invalid_args"),
        ({"image": "x", "env": {f"-p {n}:{n}": "1" for n in range(1, 80)}}, "invalid_args"),
    ],
)
def test_bad_rents_rent_nothing(simulator: Simulator, body: dict[str, Any], error: str) -> None:
    answer = simulator.vast.put(f"/api/v0/asks/{simulator.offers()[0]['id']}/", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert simulator.control.get("/simulator/books").json()["alive"] == 0


def test_a_bid_too_low_leaves_a_stopped_instance(simulator: Simulator) -> None:
    offer = simulator.offers()[0]
    answer = simulator.vast.put(f"/api/v0/asks/{offer['id']}/", json={"image": "x", "price": offer["min_bid"] / 2})
    assert answer.status_code == 400
    assert simulator.show(answer.json()["new_contract"])["actual_status"] == "stopped"


def test_money(simulator: Simulator) -> None:
    simulator.control.patch("/simulator/settings", json={"money_rate": 100_000})
    number = simulator.rent()
    simulator.await_status(number, "running")
    poll(lambda: simulator.book(number)["cost_usd"] > 1)
    account = simulator.control.get("/simulator/info").json()["accounts"][0]["id"]
    before = simulator.book(number)["cost_usd"]
    spent = 1000 - simulator.vast.get("/api/v0/users/current").json()["credit"]
    assert before <= spent + 0.01
    assert spent <= simulator.book(number)["cost_usd"] + 0.01
    simulator.control.patch(f"/simulator/accounts/{account}", json={"credit": 0.01}).raise_for_status()
    simulator.await_status(number, "exited")
    refused = simulator.vast.put(f"/api/v0/asks/{simulator.offers()[0]['id']}/", json={"image": "x"})
    assert (refused.status_code, refused.json()["error"]) == (400, "insufficient_credit")


def test_a_payment_of_this_very_second_is_found(simulator: Simulator) -> None:
    """The official client asks for what came up to now in whole seconds; a payment's date must not lie after them."""
    account = simulator.control.get("/simulator/info").json()["accounts"][0]["id"]
    simulator.control.patch(f"/simulator/accounts/{account}", json={"credit": 1500}).raise_for_status()
    dates = [row["start"] for row in simulator.vast.get("/api/v1/invoices/").json()["results"]]
    assert dates == [int(date) for date in dates]
    up_to = json.dumps({"when": {"gte": 0, "lte": dates[-1]}})
    found = simulator.vast.get("/api/v1/invoices/", params={"select_filters": up_to}).json()
    assert found["total"] == len(dates) == 2


def test_a_start_without_gpus_is_queued_and_fires_later(simulator: Simulator) -> None:
    number = simulator.rent()
    host = simulator.await_status(number, "running")["machine_id"]
    simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "stopped"}).raise_for_status()
    simulator.await_status(number, "exited")
    simulator.control.post(f"/simulator/hosts/{host}/taken", json={"gpus": 1}).raise_for_status()
    start = simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "running"})
    assert start.status_code == 200
    assert start.json()["error"] == "resources_unavailable"
    assert simulator.show(number)["intended_status"] == "stopped"
    simulator.control.post(f"/simulator/hosts/{host}/taken", json={"gpus": 0}).raise_for_status()
    simulator.await_status(number, "running")


def test_a_machines_own_key_opens_nothing_but_itself(simulator: Simulator) -> None:
    answer = simulator.vast.put(f"/api/v0/asks/{simulator.offers()[0]['id']}/", json={"image": "x"}).json()
    other, number = simulator.rent(), answer["new_contract"]
    own = {"Authorization": f"Bearer {answer['instance_api_key']}"}
    assert (
        plain_http.get(f"{simulator.url}/api/v0/instances/{number}/", headers=own).json()["instances"]["id"] == number
    )
    assert plain_http.delete(f"{simulator.url}/api/v0/instances/{other}/", headers=own).status_code == 401
    assert plain_http.get(f"{simulator.url}/api/v0/ssh/", headers=own).status_code == 401
    assert plain_http.delete(f"{simulator.url}/api/v0/instances/{number}/", headers=own).status_code == 200
    poll(lambda: simulator.book(number)["status"] == "destroyed")


def test_bulk(simulator: Simulator) -> None:
    numbers = [simulator.rent() for _ in range(2)]
    simulator.vast.put("/api/v0/instances/", json={"state": "stopped", "ids": numbers}).raise_for_status()
    for number in numbers:
        simulator.await_status(number, "exited")
    simulator.vast.request("DELETE", "/api/v0/instances/", json={"instance_ids": numbers}).raise_for_status()
    poll(lambda: simulator.control.get("/simulator/books").json()["alive"] == 0)
    too_many = simulator.vast.put("/api/v0/instances/", json={"state": "stopped", "ids": list(range(65))})
    assert too_many.status_code == 400


def test_rate_limits(simulator: Simulator) -> None:
    simulator.control.patch("/simulator/settings", json={"rate_limit_scale": 100})
    answers = [simulator.vast.get("/api/v1/instances/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].text == "API requests too frequent: endpoint threshold=1.0"
    searches = [simulator.vast.post("/api/v0/bundles/", json={"limit": 1}).status_code for _ in range(11)]
    assert searches == [200] * 10 + [429]
    log = simulator.control.get("/simulator/requests", params={"since": 0}).json()["requests"]
    assert [entry["status"] for entry in log[-11:]] == searches
