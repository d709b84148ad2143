"""Error answers of the gateway itself, in the shape that the caller's client expects."""

import json
import math
from enum import StrEnum

from aiohttp import web

REQUEST_ID = web.RequestKey("request_id", str)


class Code(StrEnum):
    """Stable codes, for programs."""

    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    RATE_LIMITED = "rate_limited"
    BUSY = "too_many_in_flight"
    STARTING = "starting"
    UNAVAILABLE = "unavailable"
    UPSTREAM_UNREACHABLE = "model_server_unreachable"
    UPSTREAM_BROKEN = "model_server_broke_off"
    UPSTREAM_TIMEOUT = "model_server_timeout"
    INTERNAL = "internal_error"


class HttpRefusal(Exception):
    """An answer in place of the model's. `retry_after`: seconds, rounded up in the header."""

    def __init__(self, status: int, code: Code, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def refused(refusal: HttpRefusal, *, openai: bool) -> web.Response:
    """The refusal as a response; `openai`: in the error shape that OpenAI's clients turn into exceptions."""
    return web.json_response(error_body(refusal, openai=openai), status=refusal.status, headers=refusal.headers())


def error_body(refusal: HttpRefusal, *, openai: bool) -> dict[str, object]:
    if openai:
        kind = _openai_type(refusal.status)
        return {"error": {"message": refusal.detail, "type": kind, "param": None, "code": refusal.code}}
    return {"error": refusal.code, "detail": refusal.detail, "details": None}


def error_event(refusal: HttpRefusal) -> bytes:
    """The refusal as a last server-sent event, for a stream that cannot end as it should, maybe within an event."""
    return b"\n\ndata: " + json.dumps(error_body(refusal, openai=True)).encode() + b"\n\n"


def _openai_type(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
