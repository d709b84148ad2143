"""How a copy is, written down for who waits for it."""

import time
from collections.abc import Awaitable, Callable

from domain.snapshots.transfers import TransferStatus

NOTED_EVERY = 1.0


class Noting:
    """Writes down how a copy is: when something moved, and at most every `NOTED_EVERY` seconds."""

    def __init__(self, write: Callable[[TransferStatus], Awaitable[None]]) -> None:
        self._write = write
        self._last: tuple[str, int] = ("", -1)
        self._next = 0.0

    async def __call__(self, status: TransferStatus) -> None:
        seen = (status.step, status.moved)
        if seen == self._last or time.monotonic() < self._next or status.is_over:
            return
        self._last, self._next = seen, time.monotonic() + NOTED_EVERY
        await self._write(status)


def words(status: TransferStatus) -> str:
    done, total = status.bytes_done / 1e6, status.bytes_total / 1e6
    if status.bytes_total > status.bytes_done:
        return f"{status.step} {done:.0f} of {total:.0f} MB"
    return f"{status.step} {done:.0f} MB" if status.bytes_done else status.step
