"""What a restricted API key may do: categories, single endpoints and constraints on their parameters
(https://docs.vast.ai/api-reference/permissions; endpoint names other than that page's own example are our guess)."""

import re
from dataclasses import dataclass
from typing import Any

CATEGORIES = ("instance_read", "instance_write", "user_read", "user_write", "billing_read", "billing_write",
              "machine_read", "machine_write", "misc", "team_read", "team_write")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    method: str
    path: re.Pattern[str]
    category: str
    name: str


def _endpoint(method: str, path: str, category: str, name: str) -> ApiEndpoint:
    return ApiEndpoint(method, re.compile(rf"/api/v[01]/{path}/?$"), category, f"api.{name}")


NUMBER = r"(?P<id>-?\d+)"
ENDPOINTS = (
    _endpoint("GET", f"instances/{NUMBER}", "instance_read", "instance.show"),
    _endpoint("GET", r"instances(/filters)?", "instance_read", "instances"),
    _endpoint("PUT", rf"instances/request_logs/{NUMBER}", "instance_read", "instance.request_logs"),
    _endpoint("GET", rf"instances/{NUMBER}/ssh", "instance_read", "instance.ssh"),
    _endpoint("GET", rf"instances/balance/{NUMBER}", "instance_read", "instance.balance"),
    _endpoint("GET", r"volumes", "instance_read", "volumes"),
    _endpoint("POST", r"contracts/fetch", "instance_read", "contracts"),
    _endpoint("PUT", rf"asks/{NUMBER}", "instance_write", "instance.create"),
    _endpoint("*", r"asks/bulk|launch_instance", "instance_write", "instance.create"),
    _endpoint("PUT", f"instances/{NUMBER}", "instance_write", "instance.manage"),
    _endpoint("DELETE", f"instances/{NUMBER}", "instance_write", "instance.destroy"),
    _endpoint("PUT", rf"instances/[a-z_]+/{NUMBER}", "instance_write", "instance.manage"),
    _endpoint("*", r"instances", "instance_write", "instance.manage"),
    _endpoint("*", rf"instances/{NUMBER}/ssh(/\d+)?", "instance_write", "instance.ssh"),
    _endpoint("*", r"charges|invoices|users/me/invoices", "billing_read", "billing"),
    _endpoint("*", r"bundles|search/.*|volumes/search|network_volumes/search|endptjobs|autojobs", "misc", "search"),
    _endpoint("*", r"machines.*", "machine_read", "machines"),
    _endpoint("*", r"team.*", "team_read", "team"),
    _endpoint("GET", r"secrets", "user_read", "secrets"),
    _endpoint("*", r"secrets", "user_write", "secrets"),
    _endpoint("GET", r".*", "user_read", "user"),
    _endpoint("*", r".*", "user_write", "user"),
)


def lacking(permissions: dict[str, Any] | None, method: str, path: str) -> str | None:
    """The name of the endpoint that these permissions do not open, or None when they do (or there are none)."""
    if permissions is None:
        return None
    found = ((e, match) for e in ENDPOINTS if e.method in ("*", method) and (match := e.path.match(path)))
    endpoint, match = next(found, (None, None))
    if endpoint is None or match is None:
        return "api"
    category = permissions.get("api", {}).get(endpoint.category)
    if category is None:
        return endpoint.name
    if not category:
        return None
    rule = category.get(endpoint.name)
    allowed = isinstance(rule, dict) and _within(rule.get("constraints", {}), match.groupdict())
    return None if allowed else endpoint.name


def _within(constraints: dict[str, Any], given: dict[str, str | None]) -> bool:
    """``{"id": {"eq": 1227}}``, also lte and gte; what is constrained must be there."""
    for name, rules in constraints.items():
        value = given.get(name)
        if value is None:
            return False
        number = float(value)
        checks = {"eq": number == rules.get("eq"), "lte": number <= rules.get("lte", number),
                  "gte": number >= rules.get("gte", number)}  # fmt: skip
        if not all(checks.get(rule, False) for rule in rules):
            return False
    return True
