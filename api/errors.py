"""Every refusal of the api in one shape: `{"error": code, "detail": sentence, "details": list or null}`.

A 422 carries FastAPI's list in `detail` and `details`. What a caller sent is never repeated in an answer, for it may be
a password or a key.
"""

from typing import Any

from fastapi.responses import JSONResponse

RETRY_SECONDS = 5
"""Seconds in `Retry-After` when something is down."""


class Problem(Exception):
    """An error answer. Subclasses have the status; instances have the code and the sentence."""

    status = 400

    def __init__(self, code: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.headers = code, detail, headers


class Unauthorized(Problem):
    status = 401

    def __init__(self, detail: str = "Log in first: send Authorization: Bearer <token or API key>.") -> None:
        super().__init__("unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


class PaymentNeeded(Problem):
    status = 402


class Forbidden(Problem):
    status = 403


class NotFound(Problem):
    status = 404

    def __init__(self, what: str = "thing") -> None:
        super().__init__("not_found", f"There is no such {what}.")


class Conflict(Problem):
    status = 409


class TooMany(Problem):
    status = 429

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__("too_many_requests", detail, headers=retry_after_header(retry_after))


class Down(Problem):
    """A service that we need does not answer now; nothing was done."""

    status = 503

    def __init__(self, code: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(code, detail, headers=retry_after_header(retry_after or RETRY_SECONDS))


class Invalid(Problem):
    """A well-formed input with an impossible value."""

    status = 422

    def __init__(self, code: str, field: str, message: str, *, place: str = "body") -> None:
        super().__init__(code, message)
        self.entries = [{"type": code, "loc": [place, field], "msg": message}]


def retry_after_header(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(seconds + 0.5)))}


def answer(problem: Problem) -> JSONResponse:
    """The problem as a response."""
    if isinstance(problem, Invalid):
        return invalid(problem.code, problem.entries)
    body = {"error": problem.code, "detail": problem.detail, "details": None}
    return JSONResponse(body, problem.status, problem.headers)


def invalid(code: str, entries: list[dict[str, Any]]) -> JSONResponse:
    return JSONResponse({"error": code, "detail": entries, "details": entries}, 422)
