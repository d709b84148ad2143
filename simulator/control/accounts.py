"""The /simulator routes about accounts, and the choice of one (``?account=``) that other control routes offer."""

import secrets
from typing import Any

from aiohttp import web

from simulator.vast.api.callers import account_named
from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, cloud_of, json_body, number_in
from simulator.vast.cloud import FIRST_CREDIT, Cloud
from simulator.vast.records import Account


def routes(app: web.Application) -> None:
    add(app, "GET", "/simulator/accounts", show_accounts)
    add(app, "POST", "/simulator/accounts", add_account)
    add(app, "PATCH", "/simulator/accounts/{id}", change_account)


def named(cloud: Cloud, name: str) -> Account:
    """The account of this number or API key. Refuses with 404."""
    account = account_named(cloud, name)
    if account is None:
        raise refused(404, "not_found", "no such account (give a number or an API key)")
    return account


def account_in(request: web.Request) -> Account | None:
    """The one that ``?account=`` names; none: all of them are meant. Refuses with 404."""
    name = request.query.get("account")
    return None if name is None else named(cloud_of(request), name)


def account_id_in(request: web.Request) -> int | None:
    account = account_in(request)
    return account.id if account else None


async def show_accounts(request: web.Request) -> web.Response:
    return answer({"accounts": account_rows(cloud_of(request))})


def account_rows(cloud: Cloud) -> list[dict[str, Any]]:
    """Without their keys."""
    return [
        {"id": account.id, "username": account.username, "credit": cloud.credit(account),
         "alive": len(cloud.living(account)), "faults": len(cloud.faults.all(account.id))}
        for account in cloud.accounts.values()
    ]  # fmt: skip


async def add_account(request: web.Request) -> web.Response:
    """With the key that is wanted, or one that is made here."""
    body = await json_body(request)
    key = body.get("api_key", secrets.token_hex(32))
    if not isinstance(key, str) or not key:
        raise invalid("api_key is a text")
    account = cloud_of(request).add_account(key, float(body.get("credit", FIRST_CREDIT)))
    return answer(account.model_dump(), 201)


async def change_account(request: web.Request) -> web.Response:
    """Set what is left of the credit, or the API key."""
    cloud, body = cloud_of(request), await json_body(request)
    account = cloud.accounts.get(number_in(request, "id"))
    if account is None:
        raise refused(404, "not_found", "no such account")
    if "credit" in body:
        cloud.pay_in(account, float(body["credit"]) - cloud.credit(account))
    account.api_key = str(body.get("api_key", account.api_key))
    cloud.store.save("accounts", account.id, account)
    return answer({**account.model_dump(), "credit": cloud.credit(account)})
