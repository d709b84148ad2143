"""The model cloud on the wire: the few requests of the lease protocol, each of which may go wrong as ordered."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.protocol.books import OFFERS, Books, Late
from tests.protocol.clock import Clock
from tests.protocol.events import Fault, Request
from tests.protocol.machines import Machine

URL = "http://cloud"
LATE = {0: 12, 1: 60}
"""Seconds by which a late sale is late: within the life of its lease, or long after."""
REFUSED_KEY = {"success": False, "error": "auth_error", "msg": "Invalid user key"}
REFUSED = {"success": False, "error": "invalid_args", "msg": "not now"}
NO_GPU = {"success": False, "error": "resources_unavailable", "msg": "queued"}
LATE_STOP = 40
SAYS_OF_ALL = {
    Fault.ALL_RUNNING: {"actual_status": "running", "intended_status": "running"},
    Fault.ALL_STOPPED: {"actual_status": "exited", "intended_status": "stopped"},
}
"""A listing that says the same of every machine."""
ODD: dict[Fault | None, dict[str, Any]] = {
    Fault.ODD_ROW: {"ssh_port": "n/a", "status_msg": 5, "start_date": "yesterday"},
    Fault.ROW_WITHOUT_ID: {"id": "n/a"},
}
"""What the last row of a listing says instead."""
ROUTES = [
    (re.compile(r"PUT /api/v0/asks/(\d+)/"), Request.RENT),
    (re.compile(r"GET /api/v1/instances/()"), Request.LIST),
    (re.compile(r"GET /api/v0/instances/(\d+)/"), Request.SHOW),
    (re.compile(r"DELETE /api/v0/instances/(\d+)/"), Request.DESTROY),
    (re.compile(r"PUT /api/v0/instances/(\d+)/"), Request.STOP),
    (re.compile(r"POST /api/v0/instances/(\d+)/ssh/"), Request.KEY),
    (re.compile(r"POST /api/v0/bundles/()"), Request.SEARCH),
    (re.compile(r"GET /api/v0/users/current()"), Request.ACCOUNT),
]
Answer = httpx.Response
Rows = list[dict[str, Any]]


class Cloud:
    """`reach` is told when a request arrives and when it was carried out: there an attempt may hang or die."""

    def __init__(
        self,
        books: Books,
        clock: Clock,
        reach: Callable[[str], Awaitable[None]],
        is_late: Callable[[float], None],
    ) -> None:
        self._books, self._clock, self._reach, self._is_late = books, clock, reach, is_late
        self._faults: list[tuple[Request, Fault]] = []
        self._earlier: Rows = []
        self._lates = 0
        self.met: set[tuple[Request, Fault]] = set()

    def trouble(self, request: Request, fault: Fault, times: int) -> None:
        self._faults += [(request, fault)] * times

    def mend(self) -> None:
        self._faults.clear()
        self._books.clung_to.clear()

    async def __call__(self, http: httpx.Request) -> Answer:
        path = f"{http.method} {http.url.path}"
        request, number = next((kind, found[1]) for route, kind in ROUTES if (found := route.fullmatch(path)))
        if request is Request.STOP and json.loads(http.content)["state"] == "running":
            request = Request.START
        account = int(http.headers["Authorization"].rpartition("-")[2])
        await self._reach(f"{request}-arrives")
        fault = next((fault for kind, fault in self._faults if kind is request), None)
        if fault is not None:
            self._faults.remove((request, fault))
            self.met.add((request, fault))
            if (refusal := _refusal(fault)) is not None:
                return refusal
        answer = await self._carry_out(request, account, number, http, fault)
        await self._reach(f"{request}-answers")
        return _spoilt(answer, fault)

    async def _carry_out(
        self, request: Request, account: int, number: str, http: httpx.Request, fault: Fault | None
    ) -> Answer:
        if request is Request.RENT:
            await self._books.note_sale(json.loads(http.content)["label"])
            return self._rent(account, int(number), json.loads(http.content), fault)
        if request is Request.LIST:
            return self._list(account, json.loads(http.url.params["select_filters"]), fault)
        if request is Request.ACCOUNT:
            return _said(id=account)
        if request is Request.SEARCH:
            return _said(offers=[offer(number) for number in OFFERS])
        machine = self._books.find(account, int(number))
        if request is Request.SHOW and fault is Fault.ABSENT:
            return _said(instances=None)
        if request is Request.SHOW:
            return _said(instances=None if machine is None else machine.row(self._clock.at))
        if machine is None:
            return httpx.Response(404, json={"success": False, "error": "no_such_instance", "msg": "gone"})
        if (clings := self._books.clung_to.get(machine.id)) and (refusal := _refusal(clings)) is not None:
            return refusal
        if fault is Fault.IGNORED or request is Request.KEY:
            return _said()
        if request is Request.START:
            return _said() if machine.start(self._clock.at) else httpx.Response(400, json=NO_GPU)
        if request is Request.STOP and fault is Fault.LATE:
            self._postpone(LATE_STOP, machine, is_stop=True)
            return httpx.Response(503, text="")
        await (self._books.end(machine) if request is Request.DESTROY else self._books.stop(machine))
        return _said()

    def _rent(self, account: int, offer: int, body: dict[str, Any], fault: Fault | None) -> Answer:
        taken = self._books.is_taken(offer)
        if fault is Fault.OFFER_GONE or (taken and fault is not Fault.DOUBLE_SALE):
            return httpx.Response(400, json={"success": False, "error": "no_such_ask", "msg": "not available"})
        refused = fault is Fault.ERROR_WITH_CONTRACT
        machine = self._books.made(account, offer, body["label"])
        machine.boots, machine.exits = fault is not Fault.NEVER_BOOTS, fault is Fault.EXITS or taken
        machine.is_stopped = refused
        self._sell(machine, fault)
        if refused:
            bid = {"success": False, "error": "bid_too_low", "msg": "made, but stopped", "new_contract": machine.id}
            return httpx.Response(400, json=bid)
        return _said() if fault in (Fault.NO_ID, Fault.NO_ID_NOTHING) else _said(new_contract=machine.id)

    def _sell(self, machine: Machine, fault: Fault | None) -> None:
        self._books.sold[machine.label] += 1
        if fault is Fault.LATE:
            self._lates += 1
            return self._postpone(LATE[self._lates % 2], machine)
        machine.is_gone = fault in (Fault.PHANTOM, Fault.NO_ID_NOTHING)
        self._books.machines.append(machine)
        if fault is Fault.MADE_TWICE:  # by the cloud's own front, which sent one request on twice
            twin = self._books.made(machine.account, machine.offer, machine.label)
            twin.exits = True
            self._books.machines.append(twin)

    def _postpone(self, seconds: float, machine: Machine, *, is_stop: bool = False) -> None:
        self._books.late.append(Late(self._clock.after(seconds), machine, is_stop))
        self._is_late(seconds)

    def _list(self, account: int, filters: dict[str, Any], fault: Fault | None) -> Answer:
        wanted = filters.get("label", {}).get("in")
        rows = [each.row(self._clock.at) for each in self._books.alive(account)]
        if fault is Fault.STALE:
            rows = self._earlier
        self._earlier = rows
        rows = [row for row in rows if wanted is None or row["label"] in wanted]
        if fault is Fault.DEPRECATED:
            return httpx.Response(410, json={"success": False, "error": "deprecated_endpoint", "msg": "gone"})
        if fault is Fault.EMPTY:
            rows = []
        if fault in SAYS_OF_ALL:
            rows = [row | SAYS_OF_ALL[fault] for row in rows]
        if fault is Fault.TRUNCATED:
            rows = rows[: len(rows) // 2]
        if fault in ODD:
            rows = [*rows[:-1], *(row | ODD[fault] for row in rows[-1:])]
        return _said(instances=rows * 2 if fault is Fault.DUPLICATED else rows, next_token=None)


def offer(number: int) -> dict[str, Any]:
    """A row of a search, in the wire's units."""
    return {
        "id": number,
        "machine_id": number,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "gpu_ram": 24_000,
        "cpu_cores_effective": 8,
        "cpu_ram": 32_000,
        "disk_space": 1000,
        "inet_down": 500,
        "inet_up": 500,
        "dph_total": 0.1 + number / 100,
        "storage_cost": 0.1,
        "reliability2": 0.99,
        "cuda_max_good": 12.4,
        "verification": "verified",
        "static_ip": True,
        "direct_port_count": 10,
    }


def _said(**facts: Any) -> Answer:
    return httpx.Response(200, json={"success": True, **facts})


def _refusal(fault: Fault) -> Answer | None:
    """The answers before anything was carried out."""
    if fault is Fault.NOT_SENT:
        raise httpx.ConnectError("refused")
    if fault is Fault.LOST_BEFORE:
        raise httpx.ReadTimeout("no answer")
    answers = {
        Fault.THROTTLED: httpx.Response(429, text="API requests too frequent"),
        Fault.BAD_GATEWAY: httpx.Response(502, html="<h1>502</h1>"),
        Fault.GARBAGE: httpx.Response(200, html="<h1>Welcome</h1>"),
        Fault.KEY_REFUSED: httpx.Response(404, json=REFUSED_KEY),
        Fault.REFUSED: httpx.Response(400, json=REFUSED),
    }
    return answers.get(fault)


def _spoilt(answer: Answer, fault: Fault | None) -> Answer:
    """The answers after it was carried out."""
    if fault is Fault.LOST_AFTER or (fault is Fault.LATE and answer.is_success):
        raise httpx.ReadTimeout("no answer")
    return httpx.Response(502, html="<h1>502</h1>") if fault is Fault.BAD_GATEWAY_AFTER else answer
