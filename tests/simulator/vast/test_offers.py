"""The market and its query grammar."""

from typing import Any

import pytest

from ..conftest import Simulator


@pytest.mark.parametrize("gpu", ["RTX 4090", "RTX 3090", "RTX 3080"])
def test_the_popular_gpus_are_always_there(simulator: Simulator, gpu: str) -> None:
    offers = simulator.offers(gpu, dph_total={"lte": 0.50})
    assert len(offers) >= 8
    assert len(simulator.offers(gpu)) >= 12
    assert offers[0]["dph_total"] == min(offer["dph_total"] for offer in offers)


@pytest.mark.parametrize(
    ("filters", "check"),
    [
        ({"num_gpus": {"eq": "8"}}, lambda o: o["num_gpus"] == 8),
        ({"reliability": {"gt": "0.995"}}, lambda o: o["reliability2"] > 0.995),
        ({"gpu_ram": {"gte": 24000.0, "lt": 40000}}, lambda o: 24000 <= o["gpu_ram"] < 40000),
        ({"geolocation": {"in": ["SE", "US"]}}, lambda o: o["geolocation"].endswith(("SE", "US"))),
        ({"geolocation": {"notin": ["US"]}}, lambda o: not o["geolocation"].endswith("US")),
        ({"verified": {"eq": True}}, lambda o: o["verification"] == "verified"),
        ({"verified": {"eq": "false"}}, lambda o: o["verification"] != "verified"),
        ({"static_ip": {"eq": True}}, lambda o: o["static_ip"]),
        ({"gpu_name": {"neq": "RTX 4090"}}, lambda o: o["gpu_name"] != "RTX 4090"),
        ({"driver_version": {"gte": 550000000}}, lambda o: int(o["driver_version"].split(".")[0]) >= 550),
        ({"cuda_vers": {"gte": 12.6}}, lambda o: o["cuda_max_good"] >= 12.6),
    ],
)
def test_filters(simulator: Simulator, filters: dict[str, Any], check: Any) -> None:
    offers = simulator.vast.post("/api/v0/bundles/", json=filters).json()["offers"]
    assert offers
    assert all(check(offer) for offer in offers)


def test_the_three_ways_to_search_agree(simulator: Simulator) -> None:
    query = {"gpu_name": {"eq": "H100 SXM"}, "order": [["dph_total", "desc"]], "limit": 3}
    posted = simulator.vast.post("/api/v0/bundles", json=query)
    put = simulator.vast.put("/api/v0/search/asks/", json={"select_cols": ["id"], "q": query})
    got = simulator.control.get("/api/v0/bundles", params={"q": '{"gpu_name":{"eq":"H100 SXM"}}'})
    assert posted.headers["content-type"] == "application/json"
    assert [row["id"] for row in posted.json()["offers"]] == [row["id"] for row in put.json()["offers"]]
    assert {row["id"] for row in posted.json()["offers"]} <= {row["id"] for row in got.json()["offers"]}
    assert set(put.json()["offers"][0]) == {"id"}


def test_prices_hold_the_asked_disk_and_bids_are_cheaper(simulator: Simulator) -> None:
    query = {"ask_contract_id": {"eq": simulator.offers()[0]["id"]}}
    small, large, bid = (
        simulator.vast.post("/api/v0/bundles/", json={**query, **more}).json()["offers"][0]
        for more in ({"allocated_storage": 10}, {"allocated_storage": 1000}, {"type": "bid"})
    )
    assert large["dph_total"] - small["dph_total"] == pytest.approx(99 * small["storage_total_cost"])
    assert bid["is_bid"]
    assert bid["dph_base"] == bid["min_bid"] < small["dph_base"]


def test_odd_queries(simulator: Simulator) -> None:
    assert len(simulator.vast.post("/api/v0/bundles/", json={"limit": 3000}).json()["offers"]) == 64
    assert simulator.vast.post("/api/v0/bundles/", json={"id": {"eq": 6200000}}).json()["offers"] == []
    for query in ({"made_up": {"eq": 1}}, {"num_gpus": {"like": 1}}):
        assert simulator.vast.post("/api/v0/bundles/", json=query).status_code == 400
    assert simulator.vast.post("/api/v0/bundles/", content=b"{").status_code == 400


def test_a_rented_gpu_leaves_the_market_and_comes_back(simulator: Simulator) -> None:
    offer = simulator.offers()[0]["id"]
    number = simulator.rent()
    assert offer not in [row["id"] for row in simulator.offers()]
    again = simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "x"})
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_args"
    assert "error 404/3603: no_such_ask" in again.json()["msg"]
    simulator.vast.delete(f"/api/v0/instances/{number}/").raise_for_status()
    assert offer in [row["id"] for row in simulator.offers()]
