"""The HTTP side: HTTP/1.1 with keep-alive, a thread per connection, streams in chunks."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from . import __version__
from .hardware import Hardware, report_load
from .openai_api import BadRequest, Model, NotFound, Stream, route

if TYPE_CHECKING:
    from .cli import Options

BUSY_PERCENT = 97
Say = Callable[..., None]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, options: "Options", hardware: Hardware, gigabytes: float) -> None:
        super().__init__((options.host, options.port), Handler, bind_and_activate=False)
        self.model = Model(options.served_name or options.model, options.model, options.max_model_len)
        self.api_key = options.api_key
        self.healthy = hardware.fault != "never_healthy"
        self.memory_mb = max(int(gigabytes * 1024), int(hardware.memory_mb * options.memory_share))
        self.requests = 0
        self._in_flight = 0
        self._lock = threading.Lock()

    def work(self, change: int) -> None:
        """Count requests in flight; the GPU is busy while there is one."""
        with self._lock:
            self._in_flight += change
            self.requests += change > 0
            if self._in_flight == (1 if change > 0 else 0):
                report_load(self.memory_mb, BUSY_PERCENT if self._in_flight else 0)

    def metrics(self) -> str:
        name = self.model.name
        return (
            f"# HELP vllm:num_requests_running Number of requests in model execution batches (simulated).\n"
            f"# TYPE vllm:num_requests_running gauge\n"
            f'vllm:num_requests_running{{model_name="{name}"}} {self._in_flight}\n'
            f'# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{{model_name="{name}"}} 0\n'
            f"# TYPE vllm:request_success_total counter\n"
            f'vllm:request_success_total{{model_name="{name}"}} {self.requests - self._in_flight}\n'
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body leave in one packet
    server: Server

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path in ("/health", "/ping"):
            self._send(200 if self.server.healthy else 503, b"", "text/plain")
        elif path == "/metrics":
            self._send(200, self.server.metrics().encode(), "text/plain; version=0.0.4")
        elif path == "/version":
            self._json(200, {"version": __version__})
        elif path == "/v1/models":
            if self._let_in():
                self._json(200, self.server.model.listing())
        else:
            self._json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._let_in():
            return
        self.server.work(1)
        try:
            self._answer(raw)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has gone
        finally:
            self.server.work(-1)

    def _answer(self, raw: bytes) -> None:
        try:
            body = json.loads(raw or b"{}")
            reply = route(self.server.model, self.path.split("?")[0], body)
        except BadRequest as problem:
            return self._error(400, "BadRequestError", str(problem))
        except NotFound as problem:
            return self._error(404, "NotFoundError", str(problem))
        except ValueError:
            return self._error(400, "BadRequestError", "the body is not valid JSON")
        if isinstance(reply, Stream):
            self._stream(reply.events)
        else:
            self._json(200, reply.body)
        return None

    def _let_in(self) -> bool:
        given = self.headers.get("Authorization", "")
        if not self.server.api_key or given == f"Bearer {self.server.api_key}":
            return True
        self._json(401, {"error": "Unauthorized"})
        return False

    def _error(self, status: int, kind: str, text: str) -> None:
        self._json(status, {"error": {"message": text, "type": kind, "param": None, "code": status}})

    def _json(self, status: int, body: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _stream(self, events: Iterable[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            data = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def version_string(self) -> str:
        return "uvicorn"

    def log_message(self, format: str, *arguments: Any) -> None:
        print(f"INFO:     {self.address_string()} - {format % arguments}", flush=True)


def serve(options: "Options", hardware: Hardware, gigabytes: float, say: Say) -> None:
    """Load and serve until ended. Nothing listens while the model loads, as with the real one."""
    report_load(int(gigabytes * 512), 30)
    time.sleep(hardware.load_seconds)
    say(f"Loading weights took {hardware.load_seconds:.2f} seconds")
    say(f"Model loading took {gigabytes:.4f} GiB and {hardware.load_seconds:.6f} seconds")
    server = Server(options, hardware, gigabytes)
    report_load(server.memory_mb, 0)
    server.server_bind()
    server.server_activate()
    say(f"Starting vLLM API server 0 on http://{options.host}:{options.port}")
    say("Application startup complete.")
    server.serve_forever()
