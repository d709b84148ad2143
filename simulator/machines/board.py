"""The machine's simulated hardware: a small HTTP server inside its network, at an address of its own loopback.

Programs of the images ask it what the real thing would show them by itself: how slowly models load on this machine and
whether something is about to break. The way out of a machine will be another such address.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from simulator.machines.box import BOARD_ADDRESS, Box

PORT = 80
Ask = Callable[[str], dict[str, object]]


class Board:
    def __init__(self, ask: Ask) -> None:
        """``ask`` answers a path with the JSON object that the board shows for it."""
        self._ask = ask
        self._server: web.Server | None = None
        self._closing: Callable[[], None] | None = None

    async def open(self, box: Box) -> None:
        self._server = web.Server(self._answer, access_log=None)
        at = box.listen(BOARD_ADDRESS, PORT)
        listener = await asyncio.get_running_loop().create_server(self._server, sock=at)
        self._closing = listener.close

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        return web.json_response(self._ask(request.path))

    def close(self) -> None:
        if self._closing:
            self._closing()
            self._closing = None
