"""Vast.ai's wire as far as a provider uses it (clouds.md A), with what is really there and what goes wrong next."""

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from clouds.provider import Verb
from clouds.registry import clouds_of
from domain.machines.labels import Label, parse_label
from settings import Settings
from tests.clouds.troubles import KEY, OTHER_KEY, Trouble

Row = dict[str, Any]
ROUTES = [
    (re.compile(r"GET /api/v0/users/current()"), Verb.ACCOUNT),
    (re.compile(r"POST /api/v0/bundles/()"), Verb.OFFERS),
    (re.compile(r"PUT /api/v0/asks/(\d+)/"), Verb.CREATE),
    (re.compile(r"GET /api/v1/instances/()"), Verb.LIST),
    (re.compile(r"GET /api/v0/instances/(\d+)/"), Verb.GET),
    (re.compile(r"DELETE /api/v0/instances/(\d+)/"), Verb.DELETE),
    (re.compile(r"PUT /api/v0/instances/(\d+)/"), Verb.STOP),
    (re.compile(r"POST /api/v0/instances/(\d+)/ssh/"), Verb.ATTACH_KEY),
]
NOT_FOUND = {"success": False, "error": "no_such_instance", "msg": "Instance not found."}


class VastService:
    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.offer_ids = ["901", "902", "903"]
        self.listings = 0
        self._next = 999  # from here on the order of numbers is not that of their texts
        self._troubles: list[tuple[Verb, Trouble]] = []
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        self.cloud = clouds_of(Settings(vast_url=f"http://vast-{secrets.token_hex(6)}", _env_file=None), http)["vast"]

    def spoil(self, verb: Verb, trouble: Trouble, times: int = 1) -> None:
        self._troubles += [(verb, trouble)] * times

    def there(self) -> Mapping[str, Label | None]:
        return {str(number): parse_label(row["label"]) for number, row in self.rows.items()}

    def rent_by_hand(self, label: Label | None) -> str:
        return str(self._made("somebody's own" if label is None else str(label))["id"])

    def boot(self) -> None:
        for row in self.rows.values():
            if row["actual_status"] == "loading":
                row |= {"actual_status": "running", "ports": {"22/tcp": [{"HostPort": "40022"}]}}

    def lose(self, cloud_id: str) -> None:
        del self.rows[int(cloud_id)]

    def _made(self, label: str) -> Row:
        self._next += 1
        address = {"public_ipaddr": "10.0.0.1\n", "ssh_host": "ssh1.vast", "ssh_port": 10_000 + self._next}
        row = {"id": self._next, "label": label, "actual_status": "loading", "intended_status": "running", **address}
        self.rows[self._next] = row
        return row

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = f"{request.method} {request.url.path}"
        if path == "GET /api/v0/gpu_names/unique/":
            return _said(gpu_names=["RTX 4090", "RTX 3090"])
        verb, number = next((verb, found[1]) for route, verb in ROUTES if (found := route.fullmatch(path)))
        body = json.loads(request.content) if request.content else {}
        if body.get("state") == "running":
            verb = Verb.START
        trouble = self._trouble(verb)
        if request.headers["Authorization"] not in (f"Bearer {KEY}", f"Bearer {OTHER_KEY}"):
            trouble = Trouble.KEY_REFUSED
        if (spoilt := _before(trouble)) is not None:
            return spoilt
        answer = self._carry_out(verb, int(number or 0), body, request.url.params, trouble)
        if trouble is Trouble.LOST_AFTER:
            raise httpx.ReadTimeout("no answer")
        return answer

    def _trouble(self, verb: Verb) -> Trouble | None:
        found = next((each for each in self._troubles if each[0] is verb), None)
        if found is not None:
            self._troubles.remove(found)
        return None if found is None else found[1]

    def _carry_out(
        self, verb: Verb, number: int, body: Row, query: httpx.QueryParams, trouble: Trouble | None
    ) -> httpx.Response:
        if verb is Verb.ACCOUNT:
            return _said(id=7, email="someone@vast", credit=12.5, balance=-1.0)
        if verb is Verb.OFFERS:
            odd = [{"id": "an offer"}, "no row"] if trouble is Trouble.ODD_ROW else []
            return _said(offers=odd + [_offer(int(each)) for each in self.offer_ids])
        if verb is Verb.CREATE:
            return self._rent(body, trouble)
        if verb is Verb.LIST:
            return self._page(query, trouble)
        row = self.rows.get(number)
        if verb is Verb.GET:
            return _said(instances=_garbled([row], trouble)[0])
        if row is None:
            return httpx.Response(404, json=NOT_FOUND)
        return self._change(verb, row, trouble)

    def _rent(self, body: Row, trouble: Trouble | None) -> httpx.Response:
        if trouble is Trouble.CAPACITY_GONE:
            gone = {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask Instance type"}
            return httpx.Response(400, json=gone)
        row = self._made(body["label"])
        if trouble is Trouble.HALF_MADE:
            return httpx.Response(400, json={"success": False, "error": "bid_too_low", "new_contract": row["id"]})
        return _said() if trouble is Trouble.NO_ID else _said(new_contract=row["id"])

    def _page(self, query: httpx.QueryParams, trouble: Trouble | None) -> httpx.Response:
        self.listings += 1
        labels = json.loads(query["select_filters"]).get("label", {}).get("in")
        rows = [row for row in self.rows.values() if labels is None or row["label"] in labels]
        begin = int(base64.b64decode(query["after_token"])) if "after_token" in query else 0
        end = begin + 25
        token = base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
        return _said(instances=_garbled(rows[begin:end], trouble), next_token=token)

    def _change(self, verb: Verb, row: Row, trouble: Trouble | None) -> httpx.Response:
        if verb is Verb.START and trouble is Trouble.CAPACITY_GONE:
            return httpx.Response(200, json={"success": False, "error": "resources_unavailable", "msg": "queued"})
        if verb is Verb.DELETE:
            del self.rows[row["id"]]
        elif verb is Verb.STOP:
            row |= {"actual_status": "exited", "intended_status": "stopped", "ports": None}
        elif verb is Verb.START:
            row |= {"actual_status": "loading", "intended_status": "running"}
        return _said()


def _garbled(rows: Sequence[Row | None], trouble: Trouble | None) -> list[Any]:
    """The last row as the trouble has it."""
    odd = {
        "ssh_port": "n/a",
        "ports": {"22/tcp": [{"HostIp": "x"}]},
        "actual_status": ["?"],
        "status_msg": 5,
        "ssh_host": {},
    }
    given: dict[Trouble | None, Any] = {
        Trouble.ODD_ROW: odd,
        Trouble.ROW_WITHOUT_ID: {"id": "n/a"},
        Trouble.BARE_ROW: {"id": None, "label": None},
    }
    if trouble not in given or not rows or rows[-1] is None:
        return list(rows)
    return [*rows[:-1], rows[-1] | given[trouble]]


def _before(trouble: Trouble | None) -> httpx.Response | None:
    """The answers before anything is carried out."""
    if trouble is Trouble.NOT_SENT:
        raise httpx.ConnectError("refused")
    if trouble is Trouble.LOST_BEFORE:
        raise httpx.ReadTimeout("no answer")
    answers = {
        Trouble.KEY_REFUSED: httpx.Response(404, json={"success": False, "error": "auth_error", "msg": "Invalid"}),
        Trouble.THROTTLED: httpx.Response(429, text="API requests too frequent"),
        Trouble.UNREADABLE: httpx.Response(200, html="<h1>Welcome</h1>"),
        Trouble.REFUSED: httpx.Response(400, json={"success": False, "error": "invalid_args", "msg": "not now"}),
    }
    return None if trouble is None else answers.get(trouble)


def _said(**facts: Any) -> httpx.Response:
    return httpx.Response(200, json={"success": True, **facts})


def _offer(number: int) -> Row:
    gpu = {"gpu_name": "RTX 4090", "num_gpus": 1, "gpu_ram": 24_000, "cpu_ram": 64_000, "cpu_cores_effective": 8}
    price = {"dph_total": 0.1 + number / 10_000, "min_bid": 0.05, "storage_cost": 0.2}
    place = {"machine_id": number % 100, "geolocation": "Sweden, SE", "verification": "verified", "disk_space": 200}
    return {"id": number, **gpu, **price, **place}
