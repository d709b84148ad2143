"""Passwords: argon2, off the event loop, a few at a time (each takes 64 MB and tens of milliseconds)."""

from functools import partial

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from pwdlib import PasswordHash

_AT_ONCE = 2


class Passwords:
    def __init__(self) -> None:
        self._hasher = PasswordHash.recommended()
        self._limiter = CapacityLimiter(_AT_ONCE)
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        return await run_sync(partial(self._hasher.hash, password), limiter=self._limiter)

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether the password is the kept one. Takes as long when there is none to compare with."""
        check = partial(self._hasher.verify, password, kept or self._nobody)
        return await run_sync(check, limiter=self._limiter) and kept is not None
