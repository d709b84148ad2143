"""The wire of Vast.ai: every form of error, pages to the end, and never an empty answer for an unreadable one."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from clients.vast import VastClient
from clients.vast_errors import (
    VastError,
    VastKeyRefused,
    VastNotFound,
    VastNotSent,
    VastRefused,
    VastThrottled,
    VastUnavailable,
    is_offer_gone,
)
from clients.vast_types import RentRequest, VastInstance

REQUEST = RentRequest(image="ubuntu", disk=10, label="dumont/a/b", onstart="true")


def client(answer: Callable[[httpx.Request], httpx.Response]) -> VastClient:
    return VastClient("http://cloud", "key", httpx.AsyncClient(transport=httpx.MockTransport(answer)))


def always(status: int, body: Any, **headers: str) -> VastClient:
    text = body if isinstance(body, str) else json.dumps(body)
    return client(lambda request: httpx.Response(status, text=text, headers=headers))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {"success": False, "error": "auth_error", "msg": "Invalid user key"}, VastKeyRefused),
        (401, {"success": False, "error": "auth_error", "msg": "Invalid user key"}, VastKeyRefused),
        (401, "Unauthorized", VastKeyRefused),
        (403, {"success": False, "msg": "no scope"}, VastKeyRefused),
        (429, "API requests too frequent: endpoint threshold=4.5", VastThrottled),
        (429, {"detail": "API requests too frequent endpoint threshold=2.0"}, VastThrottled),
        (429, {"success": False, "error": "rate_limit_exceeded", "msg": "x"}, VastThrottled),
        (502, "<html><body>502 Bad Gateway</body></html>", VastUnavailable),
        (500, {"success": False}, VastUnavailable),
        (200, "<html>", VastUnavailable),
        (200, "", VastUnavailable),
        (200, [1, 2], VastUnavailable),
        (404, "<html>not found</html>", VastUnavailable),
        (400, {"success": False, "error": "invalid_args", "msg": "no"}, VastRefused),
        (200, {"success": False, "error": "resources_unavailable", "msg": "queued"}, VastRefused),
        (410, {"success": False, "error": "deprecated_endpoint", "msg": "gone"}, VastRefused),
        (404, {"success": False, "error": "no_such_instance", "msg": "Instance 7 not found."}, VastNotFound),
    ],
)
async def test_every_form_of_error_has_one_meaning(status: int, body: Any, error: type[VastError]) -> None:
    with pytest.raises(error) as raised:
        await always(status, body).rent(1, REQUEST, timeout=1)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask Instance type by id 1 is gone"},
        {"success": False, "error": "no_such_ask", "msg": "error 410/3907: no longer available"},
    ],
)
async def test_an_offer_that_went_is_told_from_other_refusals(body: dict[str, Any]) -> None:
    with pytest.raises(VastRefused) as raised:
        await always(400, body).rent(1, REQUEST, timeout=1)
    assert is_offer_gone(raised.value)


async def test_an_error_that_names_a_contract_is_not_just_a_refusal() -> None:
    with pytest.raises(VastRefused) as raised:
        await always(400, {"success": False, "error": "bid", "new_contract": 77}).rent(1, REQUEST, timeout=1)
    assert raised.value.new_contract == 77


async def test_what_never_left_is_told_from_what_got_no_answer() -> None:
    def refuses(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def breaks(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("cut", request=request)

    with pytest.raises(VastNotSent):
        await client(refuses).rent(1, REQUEST, timeout=1)
    with pytest.raises(VastUnavailable) as raised:
        await client(breaks).rent(1, REQUEST, timeout=1)
    assert not isinstance(raised.value, VastNotSent)


async def test_errors_hold_neither_key_nor_address() -> None:
    def breaks(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout(f"{request.url} {request.headers['authorization']}", request=request)

    with pytest.raises(VastUnavailable) as raised:
        await client(breaks).current_user()
    assert "http" not in str(raised.value)
    assert "key" not in str(raised.value)


@pytest.mark.parametrize("count", [0, 1, 25, 26, 60, 75, 130])
async def test_a_listing_is_followed_to_its_end(count: int) -> None:
    found = await client(pages(count)).list_instances()
    assert [each.id for each in found.instances] == list(range(count))
    assert found.without_id == []


async def test_a_listing_that_breaks_off_is_no_listing() -> None:
    whole = pages(60)

    def breaks(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502) if "after_token" in request.url.params else whole(request)

    with pytest.raises(VastUnavailable):
        await client(breaks).list_instances()


async def test_a_listing_that_points_at_itself_ends() -> None:
    with pytest.raises(VastUnavailable):
        await always(200, {"success": True, "instances": [{"id": 1}], "next_token": "same"}).list_instances()


@pytest.mark.parametrize("body", [{"success": True}, {"success": True, "instances": None}, {"instances": {"id": 1}}])
async def test_a_listing_without_rows_is_unknown_and_not_empty(body: dict[str, Any]) -> None:
    with pytest.raises(VastUnavailable):
        await always(200, body).list_instances()


UNREADABLE: list[Any] = ["n/a", ["?"], {"a": {}}, True, 1.5, "a\0b", "\ud800", 10**30]


@pytest.mark.parametrize("value", UNREADABLE, ids=map(ascii, UNREADABLE))
async def test_a_field_that_cannot_be_read_is_as_if_it_were_not_there(value: Any) -> None:
    """Each of a row's fields but its id, and whatever it says; the rest of the row is read as ever."""
    readable = {"label": "dumont/a/b", "actual_status": "running", "status_msg": "ok", "ssh_host": "there"}
    for field in sorted(VastInstance.model_fields.keys() - {"id", "unreadable"}):
        row = {"id": 7, **readable, field: value}
        found = await always(200, {"instances": [row, {"id": 8}], "next_token": None}).list_instances()
        assert [each.id for each in found.instances] == [7, 8]
        first = found.instances[0]
        said = {name: getattr(first, name) for name in readable}
        assert {**said, field: None} == {**readable, field: None}
        default = VastInstance(id=7)
        assert (getattr(first, field) == getattr(default, field)) is (field in first.unreadable or field == "ports")
        assert first.unreadable <= {field}


@pytest.mark.parametrize(
    "ports",
    [
        {"8000/tcp": [{"HostIp": "0.0.0.0"}]},  # noqa: S104 - as it comes
        {"8000/tcp": {"HostPort": "8000"}},
        {"8000/tcp": [{"HostPort": "x"}]},
        {"8000/tcp": [{"HostPort": None}]},
        {"8000/tcp": ["8000"], "8001/tcp": [{"HostPort": "70000"}]},
        {"8000/tcp": 5, "80\0/tcp": [{"HostPort": "80"}]},
    ],
)
async def test_a_port_that_cannot_be_read_hides_no_other(ports: dict[str, Any]) -> None:
    row = {"id": 7, "ports": {**ports, "22/tcp": [{"HostPort": "20000"}]}}
    seen = await always(200, {"instances": row}).show_instance(7)
    assert seen is not None
    assert seen.ports == {"22/tcp": 20000}


async def test_rows_without_a_readable_id_are_there_and_nobody_knows_which() -> None:
    rows = [{"id": "n/a", "label": "dumont/a/b"}, {"label": 5}, "no row", None, {"id": 8}]
    found = await always(200, {"instances": rows, "next_token": None}).list_instances()
    assert [each.id for each in found.instances] == [8]
    assert found.without_id == ["dumont/a/b", None, None, None]


async def test_a_machines_own_page_need_not_say_whose_it_is() -> None:
    seen = await always(200, {"instances": {"id": "n/a", "actual_status": "running"}}).show_instance(7)
    assert seen is not None
    assert (seen.id, seen.actual_status) == (7, "running")
    with pytest.raises(VastUnavailable):
        await always(200, {"instances": "garbage"}).show_instance(7)


async def test_an_offer_that_cannot_be_read_hides_no_other() -> None:
    row = {"id": 1, "machine_id": 2, "gpu_name": "RTX 4090", "num_gpus": 1, "gpu_ram": 24000, "dph_total": 0.5}
    odd = [row | {"id": "n/a"}, row | {"dph_total": None}, row | {"gpu_name": "a\0b"}, {}, None, "offer"]
    odd += [row | {"dph_total": float("nan")}, row | {"gpu_ram": float("inf")}]
    found = await always(200, {"offers": [*odd, row, *odd]}).search_offers({}, kind="on-demand")
    assert [each.id for each in found] == [1]
    with pytest.raises(VastUnavailable):  # not one that can be read is no word that there are none
        await always(200, {"offers": odd}).search_offers({}, kind="on-demand")
    assert await always(200, {"offers": []}).search_offers({}, kind="on-demand") == []


async def test_one_that_is_gone_is_none_and_an_unreadable_answer_is_not() -> None:
    assert await always(200, {"instances": None}).show_instance(7) is None
    assert await always(404, {"success": False, "error": "no_such_instance"}).show_instance(7) is None
    with pytest.raises(VastUnavailable):
        await always(200, {"success": True}).show_instance(7)
    with pytest.raises(VastKeyRefused):
        await always(404, {"success": False, "error": "auth_error", "msg": "Invalid user key"}).show_instance(7)


async def test_destroying_what_is_gone_is_done() -> None:
    await always(404, {"success": False, "error": "no_such_instance", "msg": "gone"}).destroy_instance(7)


async def test_ports_and_addresses_are_read_as_they_come() -> None:
    row = {
        "id": 7,
        "public_ipaddr": "127.0.0.1\n",
        "actual_status": None,
        "ports": {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "20000"}], "8000/tcp": []},  # noqa: S104 - as it comes
    }
    seen = await always(200, {"instances": row}).show_instance(7)
    assert seen is not None
    assert (seen.public_ipaddr, seen.ports, seen.actual_status) == ("127.0.0.1", {"22/tcp": 20000}, None)


def pages(count: int) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params.get("after_token", "0"))
        end = min(begin + 25, count)
        token = str(end) if end < count else None
        rows = [{"id": number} for number in range(begin, end)]
        return httpx.Response(200, json={"success": True, "instances": rows, "next_token": token})

    return answer


@pytest.mark.parametrize(("status", "code"), [(410, "deprecated_endpoint"), (400, "invalid_args"), (404, "no_route")])
async def test_a_listing_that_is_refused_is_unknown(status: int, code: str) -> None:
    with pytest.raises(VastUnavailable):
        await always(status, {"success": False, "error": code, "msg": "no"}).list_instances()


async def test_a_machines_page_that_is_refused_is_unknown_unless_it_is_gone() -> None:
    with pytest.raises(VastUnavailable):
        await always(410, {"success": False, "error": "deprecated_endpoint"}).show_instance(7)
