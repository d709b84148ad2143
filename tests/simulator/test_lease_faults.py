"""What the lease protocol's tests need: schedules in which a rent, a listing or a destroy is not what it seems."""

import contextlib
import email.utils
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .conftest import HOUR, KEY, Key, Simulator, poll

ASKS = "PUT /api/v0/asks/"
LIST = "GET /api/v1/instances/"
DESTROY = "DELETE /api/v0/instances/"


def rent_answer(simulator: Simulator, **body: Any) -> httpx.Response:
    offer = simulator.offers()[0]["id"]
    return simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "ubuntu:22.04", **body})


def listed(simulator: Simulator) -> list[int]:
    rows = simulator.vast.get("/api/v1/instances/").raise_for_status().json()["instances"]
    return [row["id"] for row in rows]


def alive(simulator: Simulator) -> int:
    return int(simulator.control.get("/simulator/books").json()["alive"])


def test_an_attempt_that_hangs_and_wakes_after_another_has_rented(simulator: Simulator) -> None:
    offer = simulator.offers()[0]["id"]
    with ThreadPoolExecutor(1) as thread:
        with simulator.under(ASKS, "delay", delay_seconds=HOUR, match="first") as held:
            first = thread.submit(lambda: rent_answer(simulator, label="first"))
            poll(lambda: simulator.fired(held))
            second = simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "x", "label": "second"})
            assert second.json()["success"]
        assert first.result().json()["error"] == "invalid_args"
    assert alive(simulator) == 1


def test_a_client_that_gave_up_gets_its_machine_all_the_same(simulator: Simulator) -> None:
    offer, headers = simulator.offers()[0]["id"], {"Authorization": f"Bearer {KEY}"}
    with simulator.under(ASKS, "delay", delay_seconds=HOUR) as held:
        with contextlib.closing(http.client.HTTPConnection(simulator.url.removeprefix("http://"))) as client:
            client.request("PUT", f"/api/v0/asks/{offer}/", json.dumps({"image": "x"}), headers)
            poll(lambda: simulator.fired(held))  # who goes before the request is read has asked for nothing
        assert alive(simulator) == 0
    poll(lambda: alive(simulator) == 1)


def test_bursts(simulator: Simulator) -> None:
    simulator.fault("* /api/", "status", times=2, status=429, body="API requests too frequent")
    answers = [simulator.vast.get("/api/v1/instances/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].text == "API requests too frequent"
    with simulator.under("* /api/", "status"):
        overloaded = simulator.vast.get("/api/v1/instances/")
    assert (overloaded.status_code, overloaded.headers["content-type"].split(";")[0]) == (502, "text/html")
    assert simulator.vast.get("/api/v1/instances/").status_code == 200


def test_an_error_with_a_contract(simulator: Simulator) -> None:
    simulator.fault(ASKS, "error_with_contract", times=1)
    answer = rent_answer(simulator, label="l")
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    row = simulator.show(answer.json()["new_contract"])
    assert (row["label"], row["actual_status"], row["intended_status"]) == ("l", "stopped", "stopped")


def test_the_same_offer_sold_to_twelve_at_once(simulator: Simulator) -> None:
    offer = simulator.offers()[0]["id"]
    simulator.fault(ASKS, "double_sale", ending="oci_error")
    with ThreadPoolExecutor(12) as threads:
        answers = list(
            threads.map(lambda _: simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "x"}), range(12))
        )
    numbers = [answer.json()["new_contract"] for answer in answers]
    assert len(set(numbers)) == 12
    rows = poll(lambda: settled([simulator.show(number) for number in numbers]))
    assert sum(row["actual_status"] == "running" for row in rows) == 1
    assert sum("OCI runtime create failed" in (row["status_msg"] or "") for row in rows) == 11


def settled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = all(row["actual_status"] == "running" or row["intended_status"] == "stopped" for row in rows)
    return rows if done else []


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("stays_null", None, None),
        ("stuck_created", "created", None),
        ("oci_error", "created", "OCI runtime create failed"),
        ("port_taken", "exited", "port is already allocated"),
        ("no_space", "loading", "no space left on device"),
        ("image_not_found", "loading", "failed to resolve reference"),
        ("odd_status", "unknown", None),
    ],
)
def test_the_ways_a_boot_fails(simulator: Simulator, fault: str, status: str | None, text: str | None) -> None:
    simulator.fault("machine:boot", fault, times=1)
    number = simulator.rent()
    if status is None:
        time.sleep(0.3)  # twice the clocks before a first status
    row = poll(
        lambda: (
            (row := simulator.show(number))["actual_status"] == status
            and (text or "") in str(row["status_msg"])
            and row
        )
    )
    assert simulator.book(number)["alive"]
    assert row["id"] == number


def test_shown_late_by_id_or_in_lists(simulator: Simulator) -> None:
    simulator.fault(ASKS, "unfound", times=1, delay_seconds=HOUR)
    unfound = simulator.rent(target_state="stopped")
    assert simulator.show(unfound) == {}
    assert listed(simulator) == [unfound]
    simulator.fault(ASKS, "unlisted", times=1, delay_seconds=HOUR)
    unlisted = simulator.rent(target_state="stopped")
    assert simulator.show(unlisted)["id"] == unlisted
    assert listed(simulator) == [unfound]
    for fault in ("unfound", "unlisted"):
        simulator.fault(ASKS, fault, times=1, delay_seconds=0.1)
    shown = simulator.rent(target_state="stopped")
    poll(lambda: simulator.show(shown))
    poll(lambda: listed(simulator) == [unfound, shown])


def test_lists_that_are_cut_gone_or_stale_for_a_while(simulator: Simulator) -> None:
    numbers = [simulator.rent(target_state="stopped") for _ in range(4)]
    simulator.fault(LIST, "cut_page", times=1)
    assert listed(simulator) == numbers[:2]
    gone = {"success": False, "error": "deprecated_endpoint", "msg": "use another"}
    simulator.fault(LIST, "status", times=1, status=410, body=gone)
    assert simulator.vast.get("/api/v1/instances/").json() == gone
    with simulator.under(LIST, "duplicates"):
        assert len(listed(simulator)) == 8
    assert listed(simulator) == numbers
    with simulator.under(LIST, "stale"):
        listed(simulator)
        fifth = simulator.rent(target_state="stopped")
        assert listed(simulator) == numbers
    assert listed(simulator) == [*numbers, fifth]


def test_destroys_that_do_nothing_or_are_done_later(simulator: Simulator) -> None:
    number = simulator.rent(target_state="stopped")
    simulator.fault(DESTROY, "ignored", times=2)
    for _ in range(2):
        assert simulator.vast.delete(f"/api/v0/instances/{number}/").json() == {"success": True}
        assert simulator.book(number)["alive"]
    with simulator.under(DESTROY, "done_later", times=1, delay_seconds=HOUR):
        assert simulator.vast.delete(f"/api/v0/instances/{number}/").json() == {"success": True}
        assert simulator.show(number)["id"] == number
    poll(lambda: simulator.book(number)["status"] == "destroyed")


def test_a_key_revoked_with_machines_up(simulator: Simulator) -> None:
    number = simulator.rent(target_state="stopped")
    simulator.fault(DESTROY, "bad_key", times=1)
    answer = simulator.vast.delete(f"/api/v0/instances/{number}/")
    assert (answer.status_code, answer.json()["error"]) == (404, "auth_error")
    account = simulator.control.get("/simulator/info").json()["accounts"][0]["id"]
    simulator.control.patch(f"/simulator/accounts/{account}", json={"api_key": "another"}).raise_for_status()
    assert simulator.vast.get("/api/v1/instances/").json()["error"] == "auth_error"
    assert simulator.book(number)["alive"]
    simulator.control.patch(f"/simulator/accounts/{account}", json={"api_key": KEY}).raise_for_status()
    assert listed(simulator) == [number]


def test_foreign_machines_and_more_than_sixty(simulator: Simulator) -> None:
    planted = simulator.control.post("/simulator/machines", json={"label": "dumont/x/1 ", "image": "theirs"}).json()
    row = simulator.show(planted["id"])
    assert (row["label"], row["image_uuid"]) == ("dumont/x/1 ", "theirs")
    wish = {"label": "other", "count": 62, "target_state": "stopped"}
    many = simulator.control.post("/simulator/machines", json=wish).raise_for_status().json()["ids"]
    found, token = [], ""
    while token is not None:
        page = simulator.vast.get("/api/v1/instances/", params={"after_token": token} if token else {}).json()
        found += [row["id"] for row in page["instances"]]
        token = page["next_token"]
    assert found == [planted["id"], *many]
    assert simulator.control.get("/simulator/books").json()["rent_requests"] == 0


def test_rows_that_say_what_is_not_so(simulator: Simulator) -> None:
    number = simulator.rent(target_state="stopped")
    shown = {"actual_status": "made-up", "ports": None, "start_date": None}
    simulator.control.patch(f"/simulator/machines/{number}", json={"shown_as": shown}).raise_for_status()
    row = simulator.show(number)
    assert (row["actual_status"], "ports" in row, row["start_date"]) == ("made-up", False, None)
    simulator.control.patch(f"/simulator/machines/{number}", json={"shown_as": {}}).raise_for_status()
    assert simulator.show(number)["actual_status"] is None


def test_a_clock_that_is_ahead_and_a_teams_key(simulator: Simulator, key: Key) -> None:
    number = simulator.rent(target_state="stopped")
    simulator.control.patch("/simulator/settings", json={"clock_skew": 3600, "toggles": {"team_key": True}})
    asked = time.time()
    answer = simulator.vast.get(f"/api/v0/instances/{number}/")
    there = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert int(asked) + 3600 <= there <= time.time() + 3600
    assert answer.json()["instances"]["start_date"] > time.time() + 3500
    refused = simulator.vast.post("/api/v0/ssh/", json={"ssh_key": key.public})
    assert (refused.status_code, refused.json()["error"]) == (400, "team_ssh_keys_not_supported")


def test_a_container_that_its_host_restarts(simulator: Simulator) -> None:
    number = simulator.rent()
    simulator.await_status(number, "running")
    ordered = time.time()
    simulator.control.post(f"/simulator/machines/{number}/restart").raise_for_status()
    simulator.await_boot(number, after=ordered)
    simulator.control.patch("/simulator/settings", json={"clocks": {"rebooting": HOUR}}).raise_for_status()
    simulator.control.post(f"/simulator/machines/{number}/restart").raise_for_status()
    simulator.await_status(number, "rebooting")
