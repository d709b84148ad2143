"""Interruptible machines: who gets the GPUs, outbid within seconds, and back by itself."""

from typing import Any

from ..conftest import Key, Simulator, poll
from ..shells import address, answers, machine, say


def bid(simulator: Simulator, offer: dict[str, Any], price: float, **body: Any) -> dict[str, Any]:
    wish = {"image": "ubuntu:22.04", "runtype": "ssh_direc ssh_proxy", "price": price, **body}
    answer: dict[str, Any] = simulator.vast.put(f"/api/v0/asks/{offer['id']}/", json=wish).json()
    return answer


def least_bid(simulator: Simulator, offer: dict[str, Any]) -> float:
    query = {"ask_contract_id": {"eq": offer["id"]}, "type": "bid"}
    return float(simulator.vast.post("/api/v0/bundles/", json=query).json()["offers"][0]["min_bid"])


def test_outbid_and_back_by_itself_with_its_files(simulator: Simulator, key: Key) -> None:
    offer = simulator.offers()[0]
    row = machine(simulator, key, price=offer["min_bid"] + 0.02)
    say(row, key, "echo mine > /workspace/file")
    answer = simulator.control.post(f"/simulator/machines/{row['id']}/outbid", json={})
    rival = answer.raise_for_status().json()["rivals"][0]
    seen = simulator.await_status(row["id"], "exited")
    assert {seen[name] for name in ("cur_state", "next_state", "intended_status")} == {"stopped"}
    assert least_bid(simulator, offer) > rival
    host = f"/simulator/hosts/{row['machine_id']}"
    simulator.control.patch(host, json={"rivals": []}).raise_for_status()
    seen = simulator.await_status(row["id"], "running")
    poll(lambda: answers(*address(seen)))
    assert say(seen, key, "cat /workspace/file") == "mine"
    simulator.control.patch(host, json={"rivals": [5.0]}).raise_for_status()
    simulator.await_status(row["id"], "exited")
    simulator.vast.put(f"/api/v0/instances/bid_price/{row['id']}/", json={"price": 5.01}).raise_for_status()
    assert simulator.await_status(row["id"], "running")["dph_base"] == 5.01


def test_on_demand_outranks_every_bid(simulator: Simulator) -> None:
    offer = simulator.offers()[0]
    number = bid(simulator, offer, 50.0)["new_contract"]
    simulator.await_status(number, "running")
    assert offer["id"] in [row["id"] for row in simulator.offers()]
    buyer = simulator.rent()
    assert simulator.book(buyer)["offer_id"] == offer["id"]
    simulator.await_status(number, "exited")
    assert simulator.book(number)["outbid"]
    simulator.vast.delete(f"/api/v0/instances/{buyer}/").raise_for_status()
    simulator.await_status(number, "running")


def test_a_bid_under_a_running_one_waits_stopped(simulator: Simulator) -> None:
    offer = simulator.offers()[0]
    first = bid(simulator, offer, offer["min_bid"] + 0.05)["new_contract"]
    low = bid(simulator, offer, offer["min_bid"] + 0.01)
    assert low["error"] == "invalid_price"
    assert simulator.show(low["new_contract"])["actual_status"] == "stopped"
    high = bid(simulator, offer, least_bid(simulator, offer))["new_contract"]
    simulator.await_status(first, "exited")
    simulator.await_status(high, "running")
    for number in (first, high):
        simulator.vast.delete(f"/api/v0/instances/{number}/").raise_for_status()
    simulator.await_status(low["new_contract"], "running")


def test_a_stopped_bid_stays_stopped(simulator: Simulator) -> None:
    offer = simulator.offers()[0]
    number = bid(simulator, offer, offer["min_bid"] + 0.02)["new_contract"]
    simulator.await_status(number, "running")
    simulator.control.post(f"/simulator/machines/{number}/outbid", json={}).raise_for_status()
    simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "stopped"}).raise_for_status()
    machine_id = simulator.await_status(number, "exited")["machine_id"]
    simulator.control.patch(f"/simulator/hosts/{machine_id}", json={"rivals": []}).raise_for_status()
    assert not simulator.book(number)["outbid"]
    assert simulator.book(number)["intended_status"] == "stopped"
