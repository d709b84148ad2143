"""A market that moves: hosts that go and come back, offers that end, prices, and a seed that repeats it all."""

import time
from typing import Any

from ..conftest import HOUR, Key, Simulator, poll
from ..shells import address, answers, machine, say


def change_host(simulator: Simulator, number: int, **changes: Any) -> None:
    simulator.control.patch(f"/simulator/hosts/{number}", json=changes).raise_for_status()


def test_a_host_that_is_offline_and_comes_back(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key, env={"-p 8000:8000": "1"})
    started = say(row, key, "cat /proc/1/stat | cut -d' ' -f22")
    offer = simulator.book(row["id"])["offer_id"]
    change_host(simulator, row["machine_id"], offline=True)
    gone = simulator.await_status(row["id"], "offline")
    assert "ports" not in gone
    poll(lambda: not answers(*address(row)))
    logs = simulator.vast.put(f"/api/v0/instances/request_logs/{row['id']}/", json={}).json()
    gpu = simulator.charged(row["id"])["gpu"]
    assert offer not in [one["id"] for one in simulator.offers()]
    assert simulator.charged(row["id"])["gpu"] == gpu
    change_host(simulator, row["machine_id"], offline=False)
    back = simulator.await_status(row["id"], "running")
    poll(lambda: answers(*address(back)))
    assert say(back, key, "cat /proc/1/stat | cut -d' ' -f22") == started
    assert simulator.control.get(logs["result_url"]).status_code == 404


def test_what_was_asked_of_an_offline_host_is_done_when_it_is_back(simulator: Simulator) -> None:
    number = simulator.rent()
    host = simulator.await_status(number, "running")["machine_id"]
    change_host(simulator, host, offline=True)
    simulator.await_status(number, "offline")
    simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "stopped"}).raise_for_status()
    assert simulator.show(number)["actual_status"] == "offline"
    change_host(simulator, host, offline=False)
    simulator.await_status(number, "exited")


def test_a_host_that_is_taken_away(simulator: Simulator) -> None:
    number = simulator.rent()
    row = simulator.await_status(number, "running")
    simulator.control.delete(f"/simulator/hosts/{row['machine_id']}").raise_for_status()
    assert simulator.show(number) == {}
    assert simulator.book(number)["status"] == "removed"
    assert row["machine_id"] not in [one["machine_id"] for one in simulator.offers()]


def test_an_end_date_stops_and_later_deletes(simulator: Simulator) -> None:
    number = simulator.rent()
    host = simulator.await_status(number, "running")["machine_id"]
    change_host(simulator, host, end_date=time.time() - 1)
    simulator.await_status(number, "exited")
    start = simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "running"}).json()
    assert start["error"] == "resources_unavailable"
    simulator.control.patch("/simulator/settings", json={"clocks": {"after_end": 0.5}}).raise_for_status()
    poll(lambda: simulator.book(number)["status"] == "expired")
    assert simulator.show(number) == {}


def test_a_price_that_moves_leaves_what_is_rented(simulator: Simulator) -> None:
    offer = simulator.offers()[0]
    number = simulator.rent()
    simulator.control.patch(f"/simulator/offers/{offer['id']}", json={"dph_base": 9.0}).raise_for_status()
    assert simulator.show(number)["dph_base"] == offer["dph_base"]
    simulator.vast.delete(f"/api/v0/instances/{number}/").raise_for_status()
    dear = simulator.offers(dph_base={"gt": 8})
    assert [row["id"] for row in dear] == [offer["id"]]


def market(simulator: Simulator) -> list[tuple[Any, ...]]:
    hosts = simulator.control.get("/simulator/hosts").json()["hosts"]
    return [(host["id"], host["price"], host["free"], host["offline"], host["rivals"]) for host in hosts]


def test_a_living_market_repeats_itself(simulator: Simulator) -> None:
    calm = market(simulator)
    lively = {"market": {"customers": 0.5, "offline": 0.05, "removals": 0.01, "bids": 0.2}}
    simulator.control.patch("/simulator/settings", json=lively).raise_for_status()
    seen = []
    for _ in range(2):
        simulator.control.post("/simulator/reset").raise_for_status()
        done = simulator.control.post("/simulator/market/advance", json={"hours": 12}).raise_for_status().json()
        assert done["happened"] > 500
        seen.append(market(simulator))
    assert seen[0] == seen[1] != calm
    assert any(host[3] for host in seen[0])
    assert len(seen[0]) < len(calm)
    assert sum(host[2] for host in seen[0]) < sum(host[2] for host in calm)


def test_it_lives_by_the_clock_too(simulator: Simulator) -> None:
    before = market(simulator)
    simulator.control.patch("/simulator/settings", json={"market": {"rate": 3600}}).raise_for_status()
    poll(lambda: market(simulator) != before)


def test_the_market_sells_twice_what_was_just_sold(simulator: Simulator) -> None:
    races = {"market": {"double_sale": 1, "race_seconds": HOUR}}
    simulator.control.patch("/simulator/settings", json=races).raise_for_status()
    offer = simulator.offers()[0]["id"]
    first, second = (
        simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "x"}).json()["new_contract"] for _ in range(2)
    )
    simulator.await_status(first, "running")
    simulator.await_status(second, "exited")
