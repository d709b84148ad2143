"""All artifacts of a job as one .tar.gz, made as it is sent: nothing is gathered anywhere first."""

import asyncio
import tarfile
import time
import zlib
from collections.abc import AsyncIterator, Sequence

from clients.object_store import ObjectStore
from db.jobs.tables import JobArtifact

FAST = 1
"""zlib's level: a download is not to wait for the last percent."""
GZIP = 31


async def tar_gz(store: ObjectStore, folder: str, rows: Sequence[JobArtifact]) -> AsyncIterator[bytes]:
    """Every file under `folder/`. One that cannot be read breaks the stream off, so that nobody takes it for whole."""
    squeezing = zlib.compressobj(FAST, zlib.DEFLATED, GZIP)
    async for piece in _tar(store, folder, rows):
        squeezed = (
            await asyncio.to_thread(squeezing.compress, piece) if len(piece) > 65536 else squeezing.compress(piece)
        )
        if squeezed:
            yield squeezed
    yield squeezing.flush()


async def _tar(store: ObjectStore, folder: str, rows: Sequence[JobArtifact]) -> AsyncIterator[bytes]:
    for row in rows:
        head = tarfile.TarInfo(f"{folder}/{row.path}")
        head.size, head.mode, head.mtime = row.size, 0o644, int(time.time())
        yield head.tobuf(tarfile.PAX_FORMAT)
        async for piece in store.read(row.key, 0, row.size):
            yield piece
        yield bytes(-row.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
