"""Vast.ai over REST, as the live service speaks it (clouds.md A; the facts and their sources are there).

One method is one request, except `list_instances`, which follows the pages to the end or fails: half a listing is no
listing. Nothing is retried here. Errors: clients/vast_errors.py.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from clients.vast_errors import VastNotFound, VastNotSent, VastRefused, VastUnavailable, body_of
from clients.vast_types import RentRequest, VastInstance, VastOffer, VastUser, storable

Model = TypeVar("Model", bound=BaseModel)

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
PAGE = 25
"""The live listing never gives more rows than this at a time."""


class VastListing(NamedTuple):
    """All rows of a listing."""

    instances: list[VastInstance]
    without_id: list[str | None]
    """The labels of rows whose id cannot be read: instances that are there. None: nor can the label."""


class VastClient:
    """One account's view of one Vast.ai. `http` is shared by all clients of a process."""

    def __init__(self, url: str, key: str, http: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "dumont-cloud"}
        self._http = http

    async def current_user(self) -> VastUser:
        """The account that the key belongs to, with its prepaid credit in USD."""
        return _read(VastUser, await self._call("GET", "/api/v0/users/current"))

    async def search_offers(
        self, filters: dict[str, Any], *, kind: str, order: tuple[str, str] = ("dph_total", "asc"), limit: int = 1000
    ) -> list[VastOffer]:
        """What is for rent now. `filters` and `order` in the wire's grammar; `kind`: `on-demand` or `bid`.

        A row that cannot be read is not for rent. Where no row can, nobody knows what is: `VastUnavailable`.
        """
        body = {"rentable": {"eq": True}, "external": {"eq": False}, **filters}
        body |= {"order": [list(order)], "type": kind, "limit": limit}
        answer = await self._call("POST", "/api/v0/bundles/", body)
        rows = _rows(answer, "offers")
        offers = [offer for row in rows if (offer := _read_if_readable(VastOffer, row)) is not None]
        if rows and not offers:
            raise VastUnavailable("no readable row among the offers")
        return offers

    async def rent(self, offer_id: int, request: RentRequest, *, timeout: float) -> int | None:
        """Buy an offer. Returns the instance id, or None when the cloud said yes without naming one.

        Raises:
            VastNotSent, VastRefused, VastKeyRefused, VastThrottled: surely not rented (but see `new_contract`).
            VastUnavailable: nobody knows.
        """
        answer = await self._call("PUT", f"/api/v0/asks/{offer_id}/", request.model_dump(), timeout=timeout)
        contract = answer.get("new_contract")
        return contract if isinstance(contract, int) else None

    async def list_instances(
        self, labels: list[str] | None = None, turn: Callable[[], Awaitable[None]] | None = None
    ) -> VastListing:
        """Every instance of the account, or those with one of these labels, exactly.

        `turn` is awaited before every page but the first: each is a request that the cloud counts.

        Raises:
            VastUnavailable: also when the cloud refuses to list (a retired route): what there is, is not known then.
        """
        filters: dict[str, Any] = {} if labels is None else {"label": {"in": labels}}
        found: dict[int, VastInstance] = {}
        without_id: list[str | None] = []
        token: str | None = None
        while True:
            answer = await self._page(filters, token)
            for row in _rows(answer, "instances"):
                instance = _read_if_readable(VastInstance, row)
                if instance is None:
                    without_id.append(_label_of(row))
                else:
                    found[instance.id] = instance
            token, last = _next_token(answer), token
            if token is None:
                return VastListing(list(found.values()), without_id)
            if token == last:
                raise VastUnavailable("the listing points at its own page")
            if turn is not None:
                await turn()

    async def _page(self, filters: dict[str, Any], token: str | None) -> dict[str, Any]:
        query = {
            "select_filters": json.dumps(filters),
            "order_by": json.dumps([{"col": "id", "dir": "asc"}]),
            "limit": str(PAGE),
        }
        try:
            return await self._call(
                "GET", "/api/v1/instances/", query=query | ({"after_token": token} if token else {})
            )
        except VastRefused as error:
            raise _no_answer(error) from error

    async def show_instance(self, instance_id: int) -> VastInstance | None:
        """One instance, or None when the cloud says that there is none."""
        try:
            answer = await self._call("GET", f"/api/v0/instances/{instance_id}/", query={"owner": "me"})
        except VastNotFound:
            return None
        except VastRefused as error:
            raise _no_answer(error) from error
        if "instances" not in answer:
            raise VastUnavailable("an answer without the instance, nor the word that it is gone")
        row = answer["instances"]
        if row is None:
            return None
        if isinstance(row, dict) and _read_if_readable(VastInstance, row) is None:
            row = row | {"id": instance_id}  # it need not say whose page it is
        return _read(VastInstance, row)

    async def destroy_instance(self, instance_id: int) -> None:
        """Ask for destruction; already gone is success. That it is gone is for `show_instance` to say."""
        try:
            await self._call("DELETE", f"/api/v0/instances/{instance_id}/", {})
        except VastNotFound:
            return

    async def set_state(self, instance_id: int, state: str) -> None:
        """`running` or `stopped`. A start without free resources is `VastRefused` with `resources_unavailable`."""
        await self._call("PUT", f"/api/v0/instances/{instance_id}/", {"state": state})

    async def attach_ssh_key(self, instance_id: int, public_key: str) -> None:
        """Let this key log in as root, for as long as the instance lives."""
        await self._call("POST", f"/api/v0/instances/{instance_id}/ssh/", {"ssh_key": public_key})

    async def gpu_names(self) -> list[str]:
        """Every GPU name in the market, for rent now or not."""
        names = _rows(await self._call("GET", "/api/v0/gpu_names/unique/"), "gpu_names")
        return [str(name) for name in names]

    async def _call(
        self, method: str, path: str, body: Any = None, *, query: dict[str, str] | None = None, timeout: float = 20.0
    ) -> dict[str, Any]:
        try:
            response = await self._http.request(
                method, self._url + path, json=body, params=query, headers=self._headers, timeout=timeout
            )
        except _NOT_SENT as error:
            raise VastNotSent(type(error).__name__) from error
        except httpx.HTTPError as error:  # the text may hold the URL, so only the kind is kept
            raise VastUnavailable(type(error).__name__) from error
        return body_of(response)


def _no_answer(error: VastRefused) -> VastUnavailable:
    """A question that the cloud refuses leaves us as wise as before."""
    return VastUnavailable(f"it does not say: {error.code or error.status}")


def _read(model: type[Model], row: Any) -> Model:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        raise VastUnavailable(f"an unreadable {model.__name__}: {error.error_count()} fields") from error


def _read_if_readable(model: type[Model], row: Any) -> Model | None:
    try:
        return model.model_validate(row)
    except ValidationError:
        return None


def _label_of(row: Any) -> str | None:
    label = row.get("label") if isinstance(row, dict) else None
    try:
        return storable(label) if isinstance(label, str) else None
    except ValueError:
        return None


def _rows(answer: dict[str, Any], name: str) -> list[Any]:
    rows = answer.get(name)
    if not isinstance(rows, list):
        raise VastUnavailable(f"an answer without its list of {name}")
    return rows


def _next_token(answer: dict[str, Any]) -> str | None:
    token = answer.get("next_token")
    return str(token) if token else None
