"""Stopped instances that start again, or do not: every case of clouds.md B3 and A5."""

import time
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS

from ..conftest import HOUR, Key, Simulator, poll
from ..shells import address, answers, machine, order, say, ssh

ASKS = "PUT /api/v0/asks/"
STATE = "PUT /api/v0/instances/"
BEATS = 0.8
"""seconds in which the simulated cloud looks twice whether a queued start may fire"""


def stopped(simulator: Simulator, **body: Any) -> int:
    """A machine that ran and was stopped."""
    number = simulator.rent(**body)
    simulator.await_status(number, "running")
    order(simulator, number, "stopped")
    simulator.await_status(number, "exited")
    return number


def toggles(simulator: Simulator, **values: str) -> None:
    simulator.control.patch("/simulator/settings", json={"toggles": values}).raise_for_status()


def test_a_queued_start_that_is_cancelled_never_fires(simulator: Simulator) -> None:
    number = stopped(simulator)
    host = simulator.show(number)["machine_id"]
    simulator.control.post(f"/simulator/hosts/{host}/taken", json={"gpus": 1}).raise_for_status()
    assert order(simulator, number, "running")["error"] == "resources_unavailable"
    row = simulator.show(number)
    assert (row["actual_status"], row["cur_state"], row["intended_status"]) == ("exited", "stopped", "stopped")
    assert simulator.book(number)["start_queued"]
    order(simulator, number, "stopped")
    simulator.control.post(f"/simulator/hosts/{host}/taken", json={"gpus": 0}).raise_for_status()
    time.sleep(BEATS)
    assert simulator.show(number)["actual_status"] == "exited"
    assert not simulator.book(number)["start_queued"]


def test_a_start_that_is_refused_fires_later_by_itself(simulator: Simulator) -> None:
    number = stopped(simulator)
    simulator.fault(STATE, "unavailable", times=1, delay_seconds=1.0, match="running")
    assert order(simulator, number, "running") == {
        "success": False, "error": "resources_unavailable",
        "msg": "Required resources are currently unavailable, state change queued.",
    }  # fmt: skip
    cost = simulator.book(number)["cost_usd"]
    row = simulator.await_status(number, "running")
    assert row["intended_status"] == "running"
    gpu_hours = (simulator.book(number)["cost_usd"] - cost) / row["dph_total"]
    assert gpu_hours > 0


def test_a_start_that_answers_well_and_never_comes(simulator: Simulator) -> None:
    number = stopped(simulator)
    simulator.fault("machine:start", "never_starts", times=1)
    assert order(simulator, number, "running") == {"success": True}
    time.sleep(0.5)  # the clocks of a good start take a fifth of that
    row = simulator.show(number)
    assert (row["actual_status"], row["intended_status"]) == ("exited", "running")
    order(simulator, number, "stopped")
    assert order(simulator, number, "running") == {"success": True}
    simulator.await_status(number, "running")


def test_a_start_that_has_to_be_asked_for_again(simulator: Simulator) -> None:
    number = stopped(simulator)
    simulator.fault("machine:start", "half_started", times=1)
    order(simulator, number, "running")
    row = simulator.await_status(number, "loading")
    assert (row["cur_state"], row["status_msg"]) == ("stopped", None)
    order(simulator, number, "running")
    simulator.await_status(number, "running")


def test_a_start_reads_exited_for_a_while_and_asking_again_hurries_nobody(simulator: Simulator) -> None:
    number = stopped(simulator)
    simulator.control.patch("/simulator/settings", json={"clocks": {"start_lag": 1.0}}).raise_for_status()
    begun = time.monotonic()
    order(simulator, number, "running")
    row = simulator.show(number)
    seen = (row["actual_status"], row["cur_state"], row["intended_status"])
    assert seen == ("exited", "running", "running") or time.monotonic() - begun >= 1.0
    while simulator.show(number)["actual_status"] == "exited":
        assert order(simulator, number, "running") == {"success": True}
        assert time.monotonic() - begun < PATIENCE_SECONDS
    simulator.await_status(number, "running")


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("exits", "exited", "exited at once"),
        ("oci_error", "created", "OCI runtime create failed"),
        ("no_space", "loading", "no space left on device"),
        ("never_boots", "loading", "Retrying in"),
        ("stays_null", None, ""),
    ],
)
def test_the_ways_a_start_fails(simulator: Simulator, fault: str, status: str | None, text: str) -> None:
    number = stopped(simulator)
    simulator.fault("machine:start", fault, times=1)
    assert order(simulator, number, "running") == {"success": True}
    poll(lambda: (row := simulator.show(number))["actual_status"] == status and text in (row["status_msg"] or ""))
    assert simulator.book(number)["alive"]


@pytest.mark.parametrize("word", ["frozen", "unknown", "rebooting", "dreaming", None])
def test_a_status_that_nobody_expects(simulator: Simulator, word: str | None) -> None:
    simulator.fault("machine:boot", "odd_status", times=1, reads=word)
    number = simulator.rent()
    poll(lambda: simulator.book(number)["actual_status"] == "unknown")
    assert simulator.show(number)["actual_status"] == word
    order(simulator, number, "stopped")
    poll(lambda: simulator.show(number)["actual_status"] == "exited")


@pytest.mark.parametrize("moves", ["no", "ports", "address"])
def test_where_a_machine_answers_after_a_start(simulator: Simulator, key: Key, moves: str) -> None:
    toggles(simulator, moves_on_start=moves)
    env = {"-p 8000:8000": "1", "-p 70000:70000": "1"}
    old = machine(simulator, key, env=env, onstart="echo started >> /workspace/starts")
    poll(lambda: say(old, key, "cat /workspace/starts || true") == "started")  # it runs beside the SSH server
    order(simulator, old["id"], "stopped")
    simulator.await_status(old["id"], "exited")
    order(simulator, old["id"], "running")
    new = simulator.await_status(old["id"], "running")
    poll(lambda: answers(*address(new)))
    poll(lambda: say(new, key, "cat /workspace/starts") == "started\nstarted")
    assert (new["public_ipaddr"] == old["public_ipaddr"]) == (moves != "address")
    kept = {name for name in old["ports"] if old["ports"][name] == new["ports"].get(name)}
    same_number = {name for name in old["ports"] if name not in ("22/tcp", "8000/tcp")}
    assert kept == (set(old["ports"]) if moves == "no" else same_number)
    assert answers(*address(old)) == (moves == "no")
    told = say(new, key, "tr '\\0' '\\n' < /proc/1/environ").splitlines()
    assert f"PUBLIC_IPADDR={old['public_ipaddr'].strip()}" in told
    assert f"VAST_TCP_PORT_8000={old['ports']['8000/tcp'][0]['HostPort']}" in told


def test_a_driver_that_is_gone_after_a_start(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key)
    assert say(row, key, "nvidia-smi -L").startswith("GPU 0")
    simulator.fault("machine:gpu", "missing", times=1, match=str(row["id"]))
    order(simulator, row["id"], "stopped")
    simulator.await_status(row["id"], "exited")
    order(simulator, row["id"], "running")
    row = simulator.await_status(row["id"], "running")
    poll(lambda: answers(*address(row)))
    assert ssh(row, key, "nvidia-smi").returncode == 6


def test_a_stopped_machine_costs_its_disk_and_dies_with_its_offer(simulator: Simulator) -> None:
    number = stopped(simulator)
    row, first = simulator.show(number), simulator.charged(number)
    poll(lambda: simulator.charged(number)["storage"] > first["storage"])
    assert simulator.charged(number)["gpu"] == first["gpu"]
    assert row["dph_total"] > row["storage_total_cost"] > 0  # the row of a stopped instance keeps its full price
    end = {"end_date": time.time() - 1}
    simulator.control.patch(f"/simulator/hosts/{row['machine_id']}", json=end).raise_for_status()
    assert order(simulator, number, "running")["error"] == "resources_unavailable"
    simulator.control.patch("/simulator/settings", json={"clocks": {"after_end": 0.5}}).raise_for_status()
    poll(lambda: simulator.show(number) == {})
    assert simulator.book(number)["status"] == "expired"


@pytest.mark.parametrize(
    ("toggle", "said", "fails"),
    [
        ("docs", {"cancel_unavail": True}, True),
        ("docs", {"cancel_unavail": False}, False),
        ("docs", {}, True),
        ("docs", {"price": 1.0}, False),
        ("docs", {"target_state": "stopped"}, False),
        ("explicit", {}, False),
        ("explicit", {"cancel_unavail": True}, True),
    ],
)
def test_gpus_that_others_got_during_the_create(
    simulator: Simulator, toggle: str, said: dict[str, Any], fails: bool
) -> None:
    toggles(simulator, cancel_unavail=toggle)
    simulator.fault(ASKS, "unavailable", times=1, delay_seconds=HOUR)
    offer = simulator.offers()[0]["id"]
    answer = simulator.vast.put(f"/api/v0/asks/{offer}/", json={"image": "ubuntu", **said})
    if fails:
        assert (answer.status_code, answer.json()["error"]) == (410, "no_such_ask")
        assert "3907" in answer.json()["msg"]
        assert simulator.control.get("/simulator/books").json()["machines"] == []
        return
    row = simulator.show(answer.raise_for_status().json()["new_contract"])
    assert (row["actual_status"], row["intended_status"], row["cur_state"]) == ("stopped", "stopped", "stopped")
    assert simulator.book(row["id"])["start_queued"] == ("target_state" not in said)


def test_an_instance_that_waited_for_gpus_runs_when_they_are_free(simulator: Simulator) -> None:
    simulator.fault(ASKS, "unavailable", times=1, delay_seconds=0.5)
    begun = time.monotonic()
    number = simulator.rent(cancel_unavail=False)
    assert simulator.show(number)["actual_status"] == "stopped" or time.monotonic() - begun >= 0.5
    simulator.await_status(number, "running")


def test_a_row_that_lags_behind_a_change(simulator: Simulator) -> None:
    number = simulator.rent()
    simulator.await_status(number, "running")
    simulator.fault(STATE, "reads_lag", times=1, delay_seconds=HOUR)
    order(simulator, number, "stopped")
    poll(lambda: simulator.book(number)["actual_status"] == "exited")
    rows = [simulator.show(number), simulator.vast.get("/api/v1/instances/").json()["instances"][0]]
    assert {(row["actual_status"], row["intended_status"]) for row in rows} == {("running", "running")}
    simulator.fault(STATE, "reads_lag", times=1, delay_seconds=0.1)
    order(simulator, number, "stopped")
    simulator.await_status(number, "exited")
