"""The person at the other end of the checklist: an account, its requests, and what it has made so far."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from cli.api import DIRECT
from cli.checklist.expecting import Failed, text
from cli.checklist.idle_windows import SHORT, Windows
from cli.checklist.made import Made

LOOK_SECONDS = 0.3


@dataclass
class Tester:
    """Requests as the checklist writes them, made by one account."""

    __test__ = False  # to pytest a class with such a name is a test

    base: str
    vast_key: str | None = None
    deadline_seconds: float = 600.0
    token: str = ""
    email: str = ""
    password: str = ""
    windows: Windows = SHORT
    made: Made = field(default_factory=Made)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=120, mounts=DIRECT))

    def ask(self, method: str, path: str, *, expect: tuple[int, ...] = (200,), **request: Any) -> dict[str, Any]:
        """The answer's JSON object; another status than expected fails the row."""
        url = path if path.startswith("http") else f"{self.base}{path}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token and url.startswith(self.base) else {}
        headers |= request.pop("headers", {})
        try:
            answer = self.http.request(method, url, headers=headers, **request)
        except httpx.TransportError as error:
            raise Failed(f"{method} {url}: sem resposta ({error or type(error).__name__})") from error
        if answer.status_code not in expect:
            raise Failed(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return json_object(answer)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Reads."""
        return self.ask("GET", path, params=query or None)

    def register(self) -> tuple[str, str, str]:
        """A new throwaway account: e-mail, password, token."""
        email, password = f"teste-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(12)
        body = self.ask("POST", "/api/auth/register", json={"email": email, "password": password}, expect=(200, 201))
        return email, password, text(body, "token")

    def wait_for(
        self,
        what: str,
        look: Callable[[], dict[str, Any] | None],
        *,
        after_seconds: float = 0.0,
        within_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Looks until there is an answer, up to the deadline or so long; `after_seconds` have to pass anyway."""
        seconds = after_seconds + (within_seconds or self.deadline_seconds)
        deadline = time.monotonic() + seconds
        while (seen := look()) is None:
            if time.monotonic() > deadline:
                raise Failed(f"{what}: não aconteceu em {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)
        return seen


def json_object(answer: httpx.Response) -> dict[str, Any]:
    """The body as an object; a bare list becomes its `items`."""
    try:
        value = answer.json() if answer.content else {}
    except ValueError:
        raise Failed(f"{answer.request.url}: a resposta não é JSON: {answer.text[:200]}") from None
    return value if isinstance(value, dict) else {"items": value}
