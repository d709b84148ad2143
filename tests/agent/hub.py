"""Where the agents under test report to: a small HTTP server that keeps what it is told and can be away."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import free_port

TOKEN = "lease_x.a-token"  # noqa: S105 - of nobody


class Hub:
    """`reports` in the order of their arrival; `status` and `answer` are what the next one is told."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.status = 200
        self.answer: dict[str, Any] = {"received": True, "action": "none", "message": ""}
        self.port = free_port()  # nobody takes it while the hub is away
        self._server: ThreadingHTTPServer | None = None
        self.open()

    def open(self) -> None:
        """Begin to listen; it may be open already."""
        if self._server:
            return
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hub.handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        right = request.headers["Authorization"] == f"Bearer {TOKEN}" and request.path == "/api/v1/agent/status"
        status = self.status if right else 401
        answer = json.dumps(self.answer).encode()
        if status == 200:
            self.reports.append(body)
        request.send_response(status)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def forget(self) -> None:
        self.reports.clear()

    def new(self, count: int = 2) -> list[dict[str, Any]] | None:
        """For `poll`: what came since `forget`, once it is enough to cover a whole interval."""
        return list(self.reports) if len(self.reports) >= count else None
