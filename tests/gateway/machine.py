"""A rented machine as the gateway meets it: a real SSH server in front of a real model server on its loopback."""

import asyncio
import json
from typing import Any

import asyncssh
from aiohttp import web

from clients.ssh import generate_keypair
from tests.ports import free_port

UPSTREAM_KEY = "only-the-gateway-knows"


class Machine:
    """Speaks enough of OpenAI's API. What it was asked, and how it was left, can be read afterwards."""

    def __init__(self) -> None:
        self.private_key, self.public_key = generate_keypair()
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._host_key.export_public_key().decode().strip()
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.logins = 0
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a caller left before the answer's end."""
        self.sent = 0
        self.healthy = True
        self.breaks_off = False
        self.doorway = asyncio.Event()
        """Channels are opened only while it is set."""
        self.doorway.set()
        self.at_the_door = 0
        self._connections: set[asyncssh.SSHServerConnection] = set()

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._flood)
        app.router.add_post("/v1/embeddings", self._swallow)
        self._web = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._web.setup()
        await web.TCPSite(self._web, "127.0.0.1", 0).start()
        self.port: int = self._web.addresses[0][1]
        await self.start_ssh(free_port())  # one that nobody takes while it is away

    async def start_ssh(self, port: int) -> None:
        self._ssh = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=lambda: _Door(self),
            server_host_keys=[self._host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(self.public_key),
        )
        self.ssh_port = self._ssh.get_port()

    @property
    def channels(self) -> int:
        """Connections to the model server."""
        return len(self._web.server.connections) if self._web.server else 0

    def vanish(self) -> None:
        """Power off, as seen from outside: every connection breaks and none can be made."""
        self._ssh.close()
        for connection in list(self._connections):
            connection.abort()

    async def stop(self) -> None:
        self.go_on.set()
        self.vanish()
        await self._web.cleanup()

    def came(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.add(connection)

    def went(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.discard(connection)

    async def _read(self, request: web.Request) -> Any:
        self.requests.append(request)
        if request.headers.get("Authorization") != f"Bearer {UPSTREAM_KEY}":
            raise web.HTTPUnauthorized
        self.bodies.append(await request.read())
        return json.loads(self.bodies[-1]) if self.bodies[-1] else {}

    async def _health(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.Response(status=200 if self.healthy else 503)

    async def _models(self, request: web.Request) -> web.Response:
        await self._read(request)
        return web.json_response({"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await self._read(request)
        if self.breaks_off:
            return await self._half(request)
        if not asked.get("stream"):
            headers = {"Set-Cookie": "spy=1", "X-Machine": "1"}
            return web.json_response(
                _completion("message", {"role": "assistant", "content": "Hello."}), headers=headers
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await response.write(_event(_completion("delta", {"content": "Hel"})))
            await self.go_on.wait()
            await response.write(_event(_completion("delta", {"content": "lo."})) + b"data: [DONE]\n\n")
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response

    async def _half(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"half":')
        if request.transport is not None:
            request.transport.close()
        return response

    async def _flood(self, request: web.Request) -> web.StreamResponse:
        await self._read(request)
        response = web.StreamResponse()
        await response.prepare(request)
        while self.sent < 256 * 1024 * 1024:
            await response.write(bytes(65536))
            self.sent += 65536
        return response

    async def _swallow(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.json_response({"size": size})


class _Door(asyncssh.SSHServer):
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._machine.came(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._machine.went(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._machine.logins += 1
        return True

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        return self._forward(dest_host, dest_port)

    async def _forward(self, host: str, port: int) -> Any:
        self._machine.at_the_door += 1
        await self._machine.doorway.wait()
        return await self._connection.forward_connection(host, port)


def _completion(part: str, content: dict[str, str]) -> dict[str, Any]:
    kind = "chat.completion" if part == "message" else "chat.completion.chunk"
    choice = {"index": 0, part: content, "finish_reason": None if part == "delta" else "stop"}
    return {"id": "c1", "object": kind, "created": 1, "model": "tiny", "choices": [choice]}


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()
