"""How a Vast.ai answer that is not a plain success is read (clouds.md A6).

VastError
├── VastKeyRefused      the key is bad: 401, or 404 `auth_error`; never to be read as "no such instance"
├── VastThrottled       429, in any of its forms
├── VastUnavailable     5xx, HTML, broken JSON, network: nothing is known
│   └── VastNotSent     the request surely never left: connection refused, no such host
└── VastRefused         a 4xx or `success: false` that says why
    └── VastNotFound    404 of the thing itself
"""

from typing import Any

import httpx


class VastError(Exception):
    """Any answer that is not a success."""


class VastKeyRefused(VastError):
    """The cloud does not know this key, or it may not do this."""


class VastThrottled(VastError):
    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds, when the cloud said so."""


class VastUnavailable(VastError):
    """No readable answer. What was asked may or may not have happened."""


class VastNotSent(VastUnavailable):
    """No connection was made, so nothing happened."""


class VastRefused(VastError):
    def __init__(self, status: int, code: str, message: str, new_contract: int | None = None) -> None:
        super().__init__(f"{code or status}: {message}" if message else f"{code or status}")
        self.status = status
        self.code = code
        self.message = message
        self.new_contract = new_contract
        """An instance that was made although the answer is an error (clouds.md A3): it must be released."""


class VastNotFound(VastRefused):
    pass


OFFER_GONE = "no_such_ask"


def is_offer_gone(error: VastRefused) -> bool:
    """Whether the offer was taken by somebody else; the live service says so with 400, 404 or 410."""
    return OFFER_GONE in error.code or OFFER_GONE in error.message


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object in a successful answer.

    Raises:
        VastError: for every other answer, by kind.
    """
    if response.status_code == 429:
        raise VastThrottled(response.text[:200], _retry_after(response))
    if response.status_code >= 500:
        raise VastUnavailable(f"HTTP {response.status_code}")
    try:
        body = response.json()
    except ValueError as error:
        raise _unreadable(response) from error
    if not isinstance(body, dict):
        raise VastUnavailable(f"HTTP {response.status_code} with JSON that is not an object")
    if response.status_code >= 400 or body.get("success") is False:
        raise _refusal(response.status_code, body)
    return body


def _unreadable(response: httpx.Response) -> VastError:
    if response.status_code in (401, 403):
        return VastKeyRefused(f"HTTP {response.status_code}")
    return VastUnavailable(f"HTTP {response.status_code} without readable JSON")


def _refusal(status: int, body: dict[str, Any]) -> VastError:
    code = str(body.get("error") or "")
    message = str(body.get("msg") or body.get("detail") or "")
    if status in (401, 403) or code == "auth_error":
        return VastKeyRefused(message or code)
    if status == 404 and "log in" in message.lower():  # "Session expired. Please log in again.": not of a machine
        return VastKeyRefused(message)
    contract = body.get("new_contract")
    kind = VastNotFound if status == 404 and contract is None else VastRefused
    return kind(status, code, message, contract if isinstance(contract, int) else None)


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(60.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None
