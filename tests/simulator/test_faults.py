"""Each fault does what it says."""

import time
from typing import Any

import httpx
import pytest

from .conftest import HOUR, Simulator, poll

ASKS = "PUT /api/v0/asks/"
LIST = "GET /api/v1/instances/"


def alive(simulator: Simulator) -> int:
    return int(simulator.control.get("/simulator/books").json()["alive"])


@pytest.mark.parametrize(("fault", "left"), [("drop_before_commit", 0), ("drop_after_commit", 1)])
def test_drops(simulator: Simulator, fault: str, left: int) -> None:
    simulator.fault(ASKS, fault, times=1)
    with pytest.raises(httpx.TransportError):
        simulator.rent()
    assert alive(simulator) == left
    assert simulator.control.get("/simulator/requests").json()["requests"][-1]["status"] == 0
    simulator.rent()
    assert alive(simulator) == left + 1


@pytest.mark.parametrize(("fault", "left"), [("status", 0), ("status_after_commit", 1)])
def test_status_with_body(simulator: Simulator, fault: str, left: int) -> None:
    simulator.fault(ASKS, fault, times=1, status=503, body="<html>busy</html>", headers={"Retry-After": "7"})
    answer = simulator.vast.put(f"/api/v0/asks/{simulator.offers()[0]['id']}/", json={"image": "x"})
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "<html>busy</html>", "7")
    assert answer.headers["content-type"].startswith("text/html")
    assert alive(simulator) == left


def test_delay_nth_match_and_removal(simulator: Simulator) -> None:
    number = simulator.fault(LIST, "delay", delay_seconds=0.3, nth=2, match="limit=7")
    begun = 0.0
    for params in ({}, {"limit": "7"}, {"limit": "7"}):
        begun = time.monotonic()
        simulator.vast.get("/api/v1/instances/", params=params).raise_for_status()
    assert time.monotonic() - begun >= 0.3
    log = simulator.control.get("/simulator/requests").json()["requests"]
    assert [entry["faults"] for entry in log] == [[], [], ["delay"]]
    faults = simulator.control.get("/simulator/faults").json()["faults"]
    assert (faults[0]["id"], faults[0]["calls"], faults[0]["fired"]) == (number, 2, 1)
    simulator.control.delete(f"/simulator/faults/{number}").raise_for_status()
    assert simulator.control.get("/simulator/faults").json()["faults"] == []
    with simulator.under(LIST, "status", seconds=HOUR):
        assert simulator.vast.get("/api/v1/instances/").status_code == 502
    simulator.fault(LIST, "status", seconds=0.1)
    poll(lambda: simulator.vast.get("/api/v1/instances/").status_code == 200)


def test_a_fault_that_makes_no_sense_is_refused(simulator: Simulator) -> None:
    for body in ({"endpoint": ASKS, "fault": "no_such"}, {"endpoint": ASKS, "fault": "delay", "probability": 2}):
        assert simulator.control.post("/simulator/faults", json=body).status_code == 400


def test_phantom_and_success_without_id(simulator: Simulator) -> None:
    simulator.fault(ASKS, "phantom", times=1)
    number = simulator.rent()
    assert simulator.show(number) == {}
    assert alive(simulator) == 0
    simulator.fault(ASKS, "success_without_id", times=1)
    answer = simulator.vast.put(f"/api/v0/asks/{simulator.offers()[0]['id']}/", json={"image": "x"})
    assert answer.json() == {"success": True}
    assert alive(simulator) == 1


def test_a_commit_that_comes_late(simulator: Simulator) -> None:
    with simulator.under(ASKS, "late_commit", times=1, delay_seconds=HOUR):
        with pytest.raises(httpx.TransportError):
            simulator.rent(label="late")
        assert alive(simulator) == 0
    poll(lambda: alive(simulator) == 1)
    assert simulator.vast.get("/api/v1/instances/").json()["instances"][0]["label"] == "late"


def test_an_instance_that_is_listed_late(simulator: Simulator) -> None:
    simulator.fault(ASKS, "listed_late", times=1, delay_seconds=HOUR)
    assert simulator.show(simulator.rent(target_state="stopped")) == {}
    assert alive(simulator) == 1
    simulator.fault(ASKS, "listed_late", times=1, delay_seconds=0.1)
    number = simulator.rent(target_state="stopped")
    poll(lambda: simulator.show(number))


def test_double_sale(simulator: Simulator) -> None:
    offer = simulator.offers()[0]["id"]
    simulator.fault(ASKS, "double_sale")
    first, second = (
        simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "x"}).json()["new_contract"] for _ in range(2)
    )
    simulator.await_status(first, "running")
    simulator.await_status(second, "exited")


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("empty_list", lambda a: a.json()["instances"] == [] and a.json()["success"]),
        ("garbage", lambda a: a.status_code == 200 and a.text.startswith("{") and not a.text.endswith("}")),
        ("empty_body", lambda a: a.content == b""),
        ("success_false", lambda a: a.status_code == 200 and a.json()["success"] is False),
        ("wrong_content_type", lambda a: a.headers["content-type"] == "text/html"),
        ("empty_page", lambda a: a.json()["instances"] == [] and a.json()["total_instances"] == 1),
        ("duplicates", lambda a: len(a.json()["instances"]) == 2),
        ("missing_fields", lambda a: a.json()["instances"][0]["start_date"] is None),
    ],
)
def test_bad_lists(simulator: Simulator, fault: str, check: Any) -> None:
    simulator.rent(target_state="stopped")
    simulator.fault(LIST, fault, times=1)
    assert check(simulator.vast.get("/api/v1/instances/"))
    assert len(simulator.vast.get("/api/v1/instances/").json()["instances"]) == 1


def test_stale_reads_and_a_destroy_that_does_nothing(simulator: Simulator) -> None:
    simulator.fault(LIST, "stale")
    assert simulator.vast.get("/api/v1/instances/").json()["instances"] == []
    number = simulator.rent(target_state="stopped")
    assert simulator.vast.get("/api/v1/instances/").json()["instances"] == []
    simulator.fault("DELETE /api/v0/instances/", "ignored", times=1)
    assert simulator.vast.delete(f"/api/v0/instances/{number}/").json() == {"success": True}
    assert simulator.book(number)["alive"]


@pytest.mark.parametrize(("fault", "status"), [("never_boots", "loading"), ("exits", "exited")])
def test_boots_that_fail(simulator: Simulator, fault: str, status: str) -> None:
    simulator.fault("machine:boot", fault, times=1, match="unlucky")
    lucky, unlucky = simulator.rent(label="fine"), simulator.rent(label="unlucky")
    simulator.await_status(lucky, "running")
    row = simulator.await_status(unlucky, status)
    if fault == "never_boots":  # it is loading for a moment before it says that it fails to
        poll(lambda: "Retrying" in (simulator.show(unlucky)["status_msg"] or ""))
    else:
        assert row["intended_status"] == "running"


def test_kill(simulator: Simulator) -> None:
    number = simulator.rent()
    simulator.await_status(number, "running")
    simulator.control.post(f"/simulator/machines/{number}/kill").raise_for_status()
    assert simulator.vast.get(f"/api/v0/instances/{number}/").json() == {"instances": None}
    assert simulator.vast.get("/api/v1/instances/").json()["instances"] == []
    book = simulator.book(number)
    assert (book["alive"], book["status"]) == (False, "killed")
    assert simulator.book(number)["cost_usd"] == book["cost_usd"]
