"""Where artifacts lie: a local folder, or a bucket at S3 (B2 and others that speak it), GCS or Azure, by its address.

Keys are ours (`jobs/<job>/…/<number>`), never a user's file names. A write shows whole or not at all. obstore reads a
bucket's credentials from the environment: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url
from obstore.store import ObjectStore as Store

PIECE = 1 << 20


class StoreError(Exception):
    """The store does not take or give what it should; its text holds no credential."""


class Writing(Protocol):
    def write(self, data: bytes, /) -> int: ...


class ObjectStore:
    """`address`: a URL such as `s3://bucket/prefix`, or the path of a folder, which is made when it is needed.

    Nothing is opened before the first call, so a process starts whatever is the matter with the store.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    @cached_property
    def _store(self) -> Store:
        with _said():
            if "://" in self._address:
                return from_url(self._address, client_options={"allow_http": True})  # a bucket server next door
            return LocalStore(self._address, mkdir=True)

    @contextmanager
    def writer(self, key: str) -> Iterator[Writing]:
        """For a thread: write pieces; what is there shows when the block ends well."""
        with _said(), obstore.open_writer(self._store, key, buffer_size=8 * PIECE) as writing:
            yield writing

    async def put(self, key: str, data: bytes) -> None:
        with _said():
            await obstore.put_async(self._store, key, data)

    def copy(self, source: str, target: str) -> None:
        """For a thread."""
        with _said():
            obstore.copy(self._store, source, target)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes `[start, end)`, piece by piece.

        Raises:
            StoreError: not there, cut short, or the store does not answer.
        """
        while start < end:
            with _said():
                piece = bytes(await obstore.get_range_async(self._store, key, start=start, end=min(end, start + PIECE)))
            if not piece:
                raise StoreError("shorter than it was")
            start += len(piece)
            yield piece

    async def delete_under(self, prefix: str) -> None:
        """Everything whose key begins with `prefix/`. Nothing there is no error."""
        with _said():
            async for rows in obstore.list(self._store, prefix=prefix):
                await obstore.delete_async(self._store, [row["path"] for row in rows])


@contextmanager
def _said() -> Iterator[None]:
    """The library's errors without their texts, which may show an address with a signature."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise StoreError(type(error).__name__) from error
