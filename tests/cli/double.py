"""An api that answers as it is told: for the form of what the commands ask and read, and for nothing else."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Body = dict[str, Any]
Answer = tuple[int, Body]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Body
    headers: dict[str, str]


class Double:
    """`on` says what a request is answered with: bodies one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.loses: tuple[str, str] | None = None
        """Method and path whose requests arrive and whose answers do not."""
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def on(self, method: str, path: str, *bodies: Body, status: int = 200) -> None:
        """`path` without the prefix and without a query."""
        self.then(method, path, *((status, body) for body in bodies))

    def then(self, method: str, path: str, *answers: Answer) -> None:
        """The same, each with a status of its own."""
        self._answers[method, path] = list(answers)

    def bodies(self, method: str, path: str) -> list[Body]:
        """What was sent there, in order."""
        return [each.body for each in self.asked if (each.method, each.path) == (method, path)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, asked: Asked) -> Answer | None:
        self.asked.append(asked)
        if self.loses == (asked.method, asked.path):
            return None
        answers = self._answers.get((asked.method, asked.path))
        if answers is None:
            return 404, {"error": "not_found", "detail": f"No such thing: {asked.method} {asked.path}", "details": None}
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _handler(answer: Callable[[Asked], Answer | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/api/v1").removeprefix("/api")
            body = json.loads(sent) if sent else {}
            asked = Asked(self.command, path, parse_qs(parts.query), body, dict(self.headers))
            found = answer(asked)
            if found is None:
                self.close_connection = True
                return
            status, said = found
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler


def instance(**changes: Any) -> Body:
    """An instance as the api shows it, as far as the commands look."""
    made = {
        "id": 12,
        "instance_id": 12,
        "status": "running",
        "actual_status": "running",
        "message": "running on RTX 4090 at 0.300 USD/h",
        "label": "work",
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "dph_total": 0.3,
        "ssh_host": "127.0.0.1",
        "ssh_port": 22012,
        "ssh_command": "ssh -p 22012 root@127.0.0.1",
        "ssh_host_key": "ssh-ed25519 AAAA",
        "warnings": [],
    }
    return made | changes


def listed(name: str, *rows: Body) -> Body:
    """A list's one and only page."""
    return {name: list(rows), "count": len(rows), "total": len(rows), "next_cursor": None}


def event(id: int, kind: str, text: str = "") -> Body:
    """A sentence of a timeline, a second after the one before."""
    return {"id": id, "kind": kind, "text": text or f"it is {kind}", "at": f"2026-11-24T12:00:{id:02}Z"}
