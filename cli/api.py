"""The installation's REST API, as the commands use it."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx

from cli.errors import Refused

JSON = dict[str, Any]

# What runs on this computer is never asked through a proxy.
DIRECT: dict[str, httpx.BaseTransport | None] = {"all://127.0.0.1": None, "all://localhost": None}


class Unreachable(Refused):
    """No answer came; whether the request arrived is not known."""


class ApiRefused(Refused):
    """The API answered with an error; `code` is the API's stable name for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Api:
    """JSON in, JSON out; an error answer becomes the sentence that the API wrote for a person."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30, mounts=DIRECT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> JSON:
        """Reads one thing."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def pages(self, path: str, name: str, **query: object) -> Iterator[JSON]:
        """Every entry of a list, page by page; `name` is the list's field in the answer."""
        cursor: str | None = None
        while True:
            answer = self.get(path, cursor=cursor, **query)
            yield from answer[name]
            cursor = answer.get("next_cursor")
            if cursor is None:
                return

    def post(self, path: str, body: JSON, idempotency_key: str | None = None) -> JSON:
        """Starts something; the same key never starts it twice."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._ask("POST", path, json=body, headers=headers)

    def patch(self, path: str, body: JSON) -> JSON:
        """Changes what is named in the body, and nothing else."""
        return self._ask("PATCH", path, json=body)

    def delete(self, path: str, **query: object) -> JSON:
        """Ends something."""
        return self._ask("DELETE", path, params={name: value for name, value in query.items() if value is not None})

    def _ask(self, method: str, path: str, **request: Any) -> JSON:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise Unreachable(
                f"The api at {self.url} does not answer ({error or type(error).__name__}). Is it running? `dumont up` "
                "starts one here, `dumont doctor` says what is wrong, --api names another."
            ) from error
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._token:
            raise Refused(f"{refusal(answer)} The login is not good any more: run `dumont login --api {self.url}`.")
        if answer.is_error:
            raise refusal(answer)
        return body_of(answer)


def body_of(answer: httpx.Response) -> JSON:
    """The answer's JSON object."""
    try:
        value = answer.json() if answer.content else {}
    except ValueError:
        raise Refused(f"{answer.request.url} did not answer in JSON: is it a Dumont Cloud api?") from None
    return value if isinstance(value, dict) else {"items": value}


def refusal(answer: httpx.Response) -> ApiRefused:
    """The API's error, in its own words."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, item.get('loc', ['?'])[1:]))}: {item.get('msg')}" for item in detail)
    code = body.get("error", "") if isinstance(body, dict) else ""
    message = detail or f"{answer.request.method} {answer.request.url} answered {answer.status_code}."
    return ApiRefused(answer.status_code, str(code), str(message))
