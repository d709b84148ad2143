"""Two SSH channels joined: what one receives the other sends. No streams, no tasks, no copies of our own.

Flow control goes end to end: a channel that cannot send makes the other stop reading, which closes its window.
"""

from collections.abc import Callable
from typing import Any

import asyncssh

WINDOW = 4 * 1024 * 1024
"""Bytes that may be under way ahead of a slow reader, per channel and direction: 40 MB/s over 100 ms of distance."""

WRITE_AHEAD = 256 * 1024
"""More than that waiting to be sent stops the reading on the other side."""

Note = Callable[[], None]


class Half:
    """One of two joined channels. Until it is joined it keeps what comes, and stops reading after the first piece.

    `note` is called for every piece that comes in: somebody is using the instance. `gone` is called when it is closed.
    """

    def __init__(self, note: Note, gone: Note | None = None) -> None:
        self._note, self._gone = note, gone
        self._peer: Half | None = None
        self._early: list[tuple[bytes, asyncssh.DataType]] = []
        self._early_end = False
        self._lost = False
        self.channel: Any = None
        """An asyncssh channel of bytes, from `connection_made` on; its classes have no common type with all we need."""

    def join(self, peer: "Half") -> None:
        """From now on what comes here goes to the peer's channel, beginning with what came already."""
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
        """Send it, unless the channel is closing: nobody waits for it any more."""
        if self.channel is not None and not self.channel.is_closing():
            self.channel.write(data, datatype)

    def connection_made(self, chan: Any) -> None:
        self.channel = chan
        chan.set_write_buffer_limits(WRITE_AHEAD)

    def session_started(self) -> None:
        """Told by asyncssh; nothing depends on it here."""

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
