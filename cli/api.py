"""The installation's REST API, as the commands use it."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from cli.errors import CommandRefused

JSON = dict[str, Any]

# What runs on this computer is never asked through a proxy.
LOCAL = ("127.0.0.1", "localhost")
DIRECT: dict[str, httpx.BaseTransport | None] = {f"all://{host}": None for host in LOCAL}

STREAM_SILENCE_SECONDS = 20.0
"""A stream of events says every few seconds that it is alive."""
AGAIN = (429, 502, 503, 504)


class Unreachable(CommandRefused):
    """No answer came; whether the request arrived is not known."""


class ApiRefused(CommandRefused):
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
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1", headers=headers, timeout=30, mounts=DIRECT, verify=_trusted(self.url)
        )

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

    def lines(self, path: str, last_event_id: str, **query: str) -> Iterator[str]:
        """The lines of a stream of events, as they come.

        Raises:
            ConnectionError: it broke off, or could not be begun now.
        """
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        quiet = httpx.Timeout(30, read=STREAM_SILENCE_SECONDS)
        try:
            with self._http.stream("GET", path, params=query, headers=headers, timeout=quiet) as answer:
                if answer.is_error:
                    answer.read()
                    if answer.status_code in AGAIN:
                        raise ConnectionError(f"{answer.status_code}")
                    raise refusal(answer)
                yield from answer.iter_lines()
        except httpx.TransportError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    def download(self, path: str, target: Path) -> None:
        """A file, whole or not at all."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        try:
            with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    answer.read()
                    raise refusal(answer)
                with part.open("wb") as file:
                    for piece in answer.iter_bytes():
                        file.write(piece)
        except httpx.TransportError as error:
            raise CommandRefused(f"{target.name} could not be downloaded ({error or type(error).__name__}).") from error
        part.replace(target)

    def _ask(self, method: str, path: str, **request: Any) -> JSON:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise Unreachable(
                f"The api at {self.url} does not answer ({error or type(error).__name__}). Is it running? `dumont up` "
                "starts one here, `dumont doctor` says what is wrong, --api names another."
            ) from error
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._token:
            raise CommandRefused(
                f"{refusal(answer)} The login is not good any more: run `dumont login --api {self.url}`."
            )
        if answer.is_error:
            raise refusal(answer)
        return body_of(answer)


def _trusted(url: str) -> ssl.SSLContext | bool:
    """Whose certificates count. Reading those of all authorities takes 20 ms; nothing on this computer shows one."""
    at = httpx.URL(url)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if at.scheme == "http" and at.host in LOCAL else True


def body_of(answer: httpx.Response) -> JSON:
    """The answer's JSON object."""
    try:
        value = answer.json() if answer.content else {}
    except ValueError:
        raise CommandRefused(f"{answer.request.url} did not answer in JSON: is it a Dumont Cloud api?") from None
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
