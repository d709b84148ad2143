"""Vast's error answers: ``{"success": false, "error": code, "msg": text}`` and the places that differ."""

import time
from collections.abc import Mapping
from typing import Any

from simulator.settings import Toggles


class ErrorAnswer(Exception):
    """An error answer. ``body`` is JSON, or plain text where Vast answers so."""

    def __init__(self, status: int, body: Mapping[str, Any] | str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def refused(status: int, code: str, text: str, **more: Any) -> ErrorAnswer:
    return ErrorAnswer(status, {"success": False, "error": code, "msg": text, **more})


def bad_key_answer(toggles: Toggles) -> tuple[dict[str, Any], int]:
    """Body and status for a key that nobody has (or has any more)."""
    return {"success": False, "error": "auth_error", "msg": "Invalid user key"}, int(toggles.bad_key)


def bad_key(toggles: Toggles) -> ErrorAnswer:
    body, status = bad_key_answer(toggles)
    return ErrorAnswer(status, body)


def lacks_scope(toggles: Toggles, endpoint: str) -> ErrorAnswer:
    """A restricted key at a door that it does not open."""
    return refused(int(toggles.lacking_scope), "auth_error", f"This key lacks the permission {endpoint}.")


def invalid(text: str) -> ErrorAnswer:
    return refused(400, "invalid_args", text)


def no_such_instance(number: int) -> ErrorAnswer:
    return refused(404, "no_such_instance", f"Instance {number} not found.")


def no_such_ask(toggles: Toggles, number: int) -> ErrorAnswer:
    if toggles.offer_gone == "410":
        return no_longer_available(number)
    text = f"error 404/3603: no_such_ask Instance type by id {number} is not available."
    return refused(int(toggles.offer_gone), "invalid_args", text, ask_id=number)


def no_longer_available(number: int) -> ErrorAnswer:
    """Taken by somebody else while it was being bought, with ``cancel_unavail``."""
    text = f"error 410/3907: no_such_ask  Instance type {number} is no longer available."
    return refused(410, "no_such_ask", text, ask_id=number)


def too_frequent(toggles: Toggles, threshold: float, search: bool) -> ErrorAnswer:
    text = f"API requests too frequent: endpoint threshold={threshold}"
    if toggles.rate_limit_body == "code":
        problem = refused(429, "search_quota_exceeded" if search else "rate_limit_exceeded", text)
        problem.headers = {"X-RateLimit-Reset": str(int(time.time() + threshold) + 1)}
        return problem
    if toggles.rate_limit_body == "detail":
        return ErrorAnswer(429, {"detail": text.replace(":", "")})
    headers = {"Retry-After": str(max(1, round(threshold)))} if toggles.rate_limit_body == "retry_after" else {}
    return ErrorAnswer(429, text, headers)
