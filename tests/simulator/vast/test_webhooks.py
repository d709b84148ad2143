"""Notices to the customer's own address: signed, at least once, on demand twice and out of order."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ..conftest import Simulator, poll
from ..shells import order


@dataclass
class Listener:
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """answers to give, then 200"""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def events(self) -> list[str]:
        """The ids of all deliveries at the first attempt: one that is answered too late is made again."""
        return [headers["X-Vast-Event-Id"] for headers, _ in self.got if headers["X-Vast-Delivery-Attempt"] == "1"]

    def kinds(self) -> list[str]:
        return [json.loads(body)["notif_type"] for _, body in self.got]


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.got.append((dict(self.headers), body))
            self.send_response(heard.statuses.pop(0) if heard.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


def hook(simulator: Simulator, listener: Listener, *events: str) -> dict[str, Any]:
    body = {"name": "ops", "webhook_url": listener.url, "event_types": list(events)}
    made: dict[str, Any] = simulator.vast.post("/api/v0/webhooks/", json=body).raise_for_status().json()["webhook"]
    return made


def test_signed_and_again_until_taken(simulator: Simulator, listener: Listener) -> None:
    simulator.control.patch("/simulator/settings", json={"webhooks": {"retry_seconds": [0.05, 0.05]}})
    made = hook(simulator, listener, "client:instance_created")
    listener.statuses = [500, 429]
    number = simulator.rent(label="mine", target_state="stopped")
    poll(lambda: len(listener.got) >= 3)
    headers, body = listener.got[2]
    assert [one["X-Vast-Delivery-Attempt"] for one, _ in listener.got[:3]] == ["1", "2", "3"]
    assert len({one["X-Vast-Event-Id"] for one, _ in listener.got[:3]}) == 1
    signed = headers["X-Vast-Timestamp"].encode() + b"." + body
    mac = hmac.new(made["webhook_secret"].encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Vast-Signature-256"] == f"sha256={mac}"
    later = {"client:instance_started", "client:instance_stopped"}
    hook(simulator, listener, *later)
    order(simulator, number, "running")
    simulator.await_status(number, "running")
    order(simulator, number, "stopped")
    poll(lambda: later <= set(listener.kinds()))


def test_duplicates_and_a_test_event(simulator: Simulator, listener: Listener) -> None:
    wishes = {"duplicates": 1, "shuffle_seconds": 0.1}
    simulator.control.patch("/simulator/settings", json={"webhooks": wishes}).raise_for_status()
    made = hook(simulator, listener, "client:low_credit")
    event = simulator.vast.post(f"/api/v0/webhooks/{made['id']}/test/").json()["event_id"]
    poll(lambda: listener.events() == [event, event])


def test_the_routes(simulator: Simulator, listener: Listener) -> None:
    kinds = simulator.vast.get("/api/v0/notification-types/").json()["notification_types"]
    assert "client:outbid" in [kind["key"] for kind in kinds]
    made = [hook(simulator, listener, "client:outbid") for _ in range(4)]
    fifth = {"webhook_url": listener.url, "event_types": ["client:outbid"]}
    assert simulator.vast.post("/api/v0/webhooks/", json=fifth).status_code == 400
    shown = simulator.vast.get("/api/v0/webhooks/").json()["webhooks"]
    assert "webhook_secret" not in shown[0]
    path = f"/api/v0/webhooks/{made[0]['id']}"
    rotated = simulator.vast.post(f"{path}/rotate-secret/").json()["webhook"]
    assert rotated["webhook_secret"] != made[0]["webhook_secret"]
    assert simulator.vast.put(f"{path}/", json={"name": "other"}).json()["webhook"]["name"] == "other"
    assert simulator.vast.put(f"{path}/", json={"event_types": ["made:up"]}).status_code == 400
    simulator.vast.delete(f"{path}/").raise_for_status()
    assert len(simulator.vast.get("/api/v0/webhooks/").json()["webhooks"]) == 3
    simulator.control.patch("/simulator/settings", json={"webhooks": {"plain_http": False}})
    assert simulator.vast.post("/api/v0/webhooks/", json=fifth).status_code == 400


def test_what_happens_is_told(simulator: Simulator, listener: Listener) -> None:
    hook(simulator, listener, "client:outbid", "client:instance_offline", "client:instance_online", "client:low_credit")
    number = simulator.rent(price=1.0)
    host = simulator.await_status(number, "running")["machine_id"]
    for offline in (True, False):
        simulator.control.patch(f"/simulator/hosts/{host}", json={"offline": offline}).raise_for_status()
        simulator.await_status(number, "offline" if offline else "running")
    simulator.control.post(f"/simulator/machines/{number}/outbid", json={}).raise_for_status()
    account = simulator.control.get("/simulator/info").json()["accounts"][0]["id"]
    simulator.control.patch(f"/simulator/accounts/{account}", json={"credit": 4}).raise_for_status()
    poll(lambda: len(set(listener.events())) == 4)
    assert set(listener.kinds()) == {
        "client:outbid", "client:instance_offline", "client:instance_online", "client:low_credit",
    }  # fmt: skip
