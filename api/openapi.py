"""What the OpenAPI document says beside the routes themselves."""

from typing import Any

from fastapi.security import HTTPBearer
from pydantic import BaseModel

DESCRIPTION = """\
Cheap rented GPUs, made reliable. Register or log in, send `Authorization: Bearer <token or API key>`, and start with
`GET /api/models`, then `POST /api/models/deploy`.

Every route is served under `/api` and, unchanged, under `/api/v1`; with or without a trailing slash. Errors have one
shape: `{"error": "<stable code>", "detail": "<sentence>", "details": null}`; in a 422 `detail` and `details` are lists.
POSTs that start something take an `Idempotency-Key`.
"""

TAGS = [
    {"name": "auth", "description": "Register, log in, API keys."},
    {"name": "settings", "description": "The provider key and a user's defaults; the provider's balance."},
    {"name": "models", "description": "Models served on rented GPUs."},
    {"name": "jobs", "description": "Scripts that run once on a rented GPU; their output and files are kept."},
    {"name": "instances", "description": "Offers in the market and the instances that are held."},
    {"name": "operations", "description": "Health and metrics."},
]

bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="A token of register or login, or an API key `dumont_sk_…`."
)
"""For the document only: `api.guard` does the checking, before any body is read."""


class ErrorBody(BaseModel):
    error: str
    detail: str
    details: list[Any] | None = None


class InvalidBody(BaseModel):
    error: str
    detail: list[dict[str, Any]]
    details: list[dict[str, Any]]


def problem(sentence: str) -> dict[str, Any]:
    return {"model": ErrorBody, "description": sentence}


COMMON_ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": InvalidBody, "description": "The input is not valid; each entry says where and why."},
    503: problem("Something that is needed is down; `Retry-After` says when to come back."),
}
UNAUTHORIZED: dict[int | str, dict[str, Any]] = {401: problem("Nobody we know; `WWW-Authenticate: Bearer`.")}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: problem("No such thing, or another user's.")}
