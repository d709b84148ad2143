"""One request with a JSON body, and its JSON answer. The caller decides about retries."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

DEADLINE = 10.0
MOST_BYTES = 65536


class NoAnswer(Exception):
    """No answer, or one that is not HTTP and JSON."""


def send(method: str, url: str, token: str, body: dict[str, Any], deadline: float = DEADLINE) -> tuple[int, Any]:
    """(status, body) of an answer.

    Raises:
        NoAnswer: no connection, too late, too long, or an answer of success that is no JSON.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Connection": "close"}
    line = kind(parts.hostname or "", parts.port, timeout=deadline)
    try:
        line.request(method, parts.path, json.dumps(body), headers)
        answer = line.getresponse()
        text = answer.read(MOST_BYTES)
        return answer.status, json.loads(text) if answer.status < 300 else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}"[:200]) from error
    finally:
        line.close()
