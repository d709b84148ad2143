"""Two SSH channels joined: what one receives the other sends, without streams, tasks or copies.

A channel that cannot send makes the other stop reading, which closes its window: flow control works end to end.
"""

from collections.abc import Callable
from typing import Any

import asyncssh

WINDOW = 4 * 1024 * 1024
"""Bytes that may be under way to a slow reader, per channel and direction: allows 40 MB/s at 100 ms latency."""

WRITE_AHEAD = 256 * 1024
"""With more than this waiting to be sent, the other side stops reading."""

Note = Callable[[], None]


class Half:
    """One of two joined channels. Before it is joined, it keeps the first piece that arrives and stops reading.

    `note` is called for every piece that arrives: somebody uses the instance. `gone` is called when it is closed.
    """

    def __init__(self, note: Note, gone: Note | None = None) -> None:
        self._note, self._gone = note, gone
        self._peer: Half | None = None
        self._early: list[tuple[bytes, asyncssh.DataType]] = []
        self._early_end = False
        self._lost = False
        self.channel: Any = None
        """An asyncssh channel, set by `connection_made`. Any: its classes share no type with all we need."""

    def join(self, peer: "Half") -> None:
        """Send what arrives here to the peer's channel, beginning with what has arrived already."""
        self._peer = peer
        for piece, datatype in self._early:
            peer.send(piece, datatype)
        self._early.clear()
        if self._early_end:
            peer.channel.write_eof()
        if self._lost:
            peer.channel.close()
        else:
            self.channel.resume_reading()

    def send(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        """Send it, unless the channel is closing."""
        if self.channel is not None and not self.channel.is_closing():
            self.channel.write(data, datatype)

    def connection_made(self, chan: Any) -> None:
        self.channel = chan
        chan.set_write_buffer_limits(WRITE_AHEAD)

    def session_started(self) -> None:
        """asyncssh calls this; we have nothing to do."""

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._note()
        if self._peer is not None:
            self._peer.send(data, datatype)
        else:
            self._early.append((data, datatype))
            self.channel.pause_reading()

    def eof_received(self) -> bool:
        if self._peer is not None:
            self._peer.channel.write_eof()
        else:
            self._early_end = True
        return True

    def pause_writing(self) -> None:
        if self._peer is not None and self._peer.channel is not None:
            self._peer.channel.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None and self._peer.channel is not None:
            self._peer.channel.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._gone is not None:
            self._gone()
        if self._peer is not None and self._peer.channel is not None:
            self._peer.channel.close()


class Entrance(Half):
    """The client's half of a forward, which becomes a channel only once the machine's half is there."""

    exit: Half

    def connection_made(self, chan: Any) -> None:
        super().connection_made(chan)
        joined(self, self.exit)


class TcpHalf(Half, asyncssh.SSHTCPSession[bytes]):
    pass


class UnixHalf(Half, asyncssh.SSHUNIXSession[bytes]):
    pass


class TcpEntrance(Entrance, asyncssh.SSHTCPSession[bytes]):
    pass


class UnixEntrance(Entrance, asyncssh.SSHUNIXSession[bytes]):
    pass


def joined(one: Half, other: Half) -> None:
    one.join(other)
    other.join(one)
