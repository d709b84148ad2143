"""The caller's own account."""

from aiohttp import web

from simulator.vast.api.errors import invalid
from simulator.vast.api.http import add, answer, caller_of, cloud_of, json_body

FIELDS = {
    "ssh_key", "email", "normalized_email", "username", "fullname", "paypal_email", "wise_email", "billaddress_line1",
    "billaddress_line2", "billaddress_city", "billaddress_zip", "billaddress_country", "billaddress_taxinfo",
    "balance_threshold_enabled", "balance_threshold", "autobill_threshold", "phone_number",
}  # fmt: skip
"""what ``vastai set user`` may change, by its own help"""


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v0/users/current", current)
    add(app, "PUT", "/api/v0/users", change)


async def change(request: web.Request) -> web.Response:
    cloud, account, body = cloud_of(request), caller_of(request).account, await json_body(request)
    if unknown := sorted(set(body) - FIELDS):
        raise invalid(f"unknown fields: {', '.join(unknown)}")
    account.details = {**account.details, **body}
    cloud.store.save("accounts", account.id, account)
    return answer({"success": True, **body})


async def current(request: web.Request) -> web.Response:
    account = caller_of(request).account
    return answer({
        "id": account.id, "email": account.email, "username": account.username, "fullname": "Simulated Account",
        "credit": cloud_of(request).credit(account), "balance": 0.0, "balance_threshold": 0.0,
        "balance_threshold_enabled": False, "autobill_amount": None, "has_billing": True, "billaddress": None,
        "ssh_key": None, "host_agreement_accepted": False, "host_only": False, "can_pay": True, "email_verified": True,
        "last4": None, "api_key": account.api_key, "user": account.username, "simulated": True,
        **account.details,
    })  # fmt: skip
