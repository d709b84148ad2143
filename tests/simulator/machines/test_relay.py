"""Mapped ports: everything that a client says reaches the machine, from the first byte, whenever it is said."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator

from simulator.machines.network import listening_socket, stream_socket
from simulator.machines.relay import ByteCount, ClientEnd, PortRelay

LARGE = 8 << 20


class EagerTransport(asyncio.Transport):
    """A client's end that has spoken at once, as asyncio reads it where a pause in ``connection_made`` is too early."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.said = b""
        self.answered = asyncio.Event()

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data
        self.answered.set()


@contextlib.asynccontextmanager
async def machine() -> AsyncIterator[tuple[str, int]]:
    """A program in a machine that answers with the hash of all it was sent, once that has ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hashlib.sha256(await reader.read()).digest())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()


async def test_what_a_client_says_before_the_machine_is_dialled_reaches_it() -> None:
    async with machine() as target:
        front, client = (
            ClientEnd(PortRelay(lambda: stream_socket(None), target, traffic := ByteCount())),
            EagerTransport(),
        )
        front.connection_made(client)
        front.data_received(b"SSH-2.0-early\r\n")
        assert not client.reading, "it goes on reading what it cannot pass on"
        front.eof_received()
        async with asyncio.timeout(20):
            await client.answered.wait()
    assert client.reading
    assert client.said == hashlib.sha256(b"SSH-2.0-early\r\n").digest()
    assert traffic.take() == (len(client.said), len(b"SSH-2.0-early\r\n"))


async def test_many_clients_that_send_much_at_once_lose_nothing() -> None:
    async with machine() as target:
        relay = PortRelay(lambda: stream_socket(None), target, ByteCount())
        at = listening_socket(None, "127.0.0.1", 0)
        await relay.listen(at)
        port = at.getsockname()[1]
        assert all(await asyncio.gather(*(_arrives_whole(port, size) for size in (1, 100, 1 << 16, LARGE) * 4)))
        relay.close()


async def _arrives_whole(port: int, size: int) -> bool:
    sent = os.urandom(size)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer == hashlib.sha256(sent).digest()
