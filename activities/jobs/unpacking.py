"""A machine's tar, as it comes over SSH, taken apart into the artifact store. Nothing of it touches a disk of ours.

The machine is a stranger's: names are checked, sizes and numbers are limited, and only plain files are taken. A
symbolic link is never followed; a device, socket or pipe is no file.
"""

import asyncio
import hashlib
import tarfile
from collections.abc import AsyncIterator
from typing import IO, NamedTuple, cast

from pydantic import BaseModel

from clients.object_store import ObjectStore
from domain.jobs.artifacts import BadPath, artifact_name

PIECE = 1 << 20
BLOCK = 512


class UnpackLimits(NamedTuple):
    """How many files, and how many bytes in all."""

    files: int
    size: int


class Kept(BaseModel):
    """One file that is in the store."""

    path: str
    key: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: str, key: str, data: bytes) -> "Kept":
        return cls(path=path, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())


class Unpacked(BaseModel):
    """`cut`: a limit was reached, so that what came later in the tar was not read."""

    kept: list[Kept] = []
    notes: list[str] = []
    cut: bool = False


async def unpack(
    pieces: AsyncIterator[bytes], store: ObjectStore, prefix: str, limits: UnpackLimits, logs: dict[str, str]
) -> Unpacked:
    """`logs`: names in the tar that have a name of their own among the artifacts; no limit leaves them out.

    Raises:
        tarfile.TarError: not a tar, or cut short. What the pieces or the store raise.
    """
    reading = _Reading(pieces, asyncio.get_running_loop())
    return await asyncio.to_thread(_Unpacking(store, prefix, limits, logs).all_of, reading)


class _Reading:
    """Pieces that come by the event loop, read like a file by a thread."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces, self._loop, self._left = pieces, loop, bytearray()

    def read(self, size: int = BLOCK) -> bytes:
        while len(self._left) < size:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if not piece:
                break
            self._left += piece
        taken = bytes(self._left[:size])
        del self._left[:size]
        return taken

    async def _next(self) -> bytes:
        return await anext(self._pieces, b"")


class _Unpacking:
    def __init__(self, store: ObjectStore, prefix: str, limits: UnpackLimits, logs: dict[str, str]) -> None:
        self._store, self._prefix, self._limits, self._logs = store, prefix, limits, logs
        self._found = Unpacked()
        self._by_member: dict[str, Kept] = {}
        self._paths: set[str] = set()
        self._size = 0

    def all_of(self, reading: _Reading) -> Unpacked:
        with tarfile.open(fileobj=cast(IO[bytes], reading), mode="r|", bufsize=PIECE, errors="surrogateescape") as tar:
            for member in tar:
                if not member.isdir() and not self._take(tar, member):
                    self._found.cut = True
                    return self._found
        while reading.read(PIECE):  # whatever pads the end: the machine's tar is not to die of a closed pipe
            pass
        return self._found

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
        """False: that is all that is taken."""
        log = self._logs.get(member.name)
        name = _printable(member.name)
        try:
            path = log or artifact_name(name)
        except BadPath as error:
            return self._note(f"Not collected: {error}.")
        if member.issym() or not (member.isreg() or member.islnk()):
            return self._note(f"Not collected: {path} is {_kind(member)}.")
        if path in self._paths:
            return True
        if log is None and not self._has_room(member):
            self._note(f"Not collected: {path} and what came after it; a job may leave {_words(self._limits)}.")
            return False
        self._keep(path, member, tar)
        return True

    def _has_room(self, member: tarfile.TarInfo) -> bool:
        self._size += member.size
        return self._size <= self._limits.size and len(self._paths) < self._limits.files

    def _keep(self, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        key = f"{self._prefix}/{len(self._paths)}"
        if member.islnk():
            before = self._by_member.get(member.linkname)
            if before is None:
                self._note(f"Not collected: {path} is a link to a file that was not collected.")
                return
            self._store.copy(before.key, key)
            kept = before.model_copy(update={"path": path, "key": key})
        else:
            source = tar.extractfile(member)
            kept = self._stored(path, key, cast(IO[bytes], source), member.size)
        self._paths.add(path)
        self._by_member[member.name] = kept
        self._found.kept.append(kept)

    def _stored(self, path: str, key: str, source: IO[bytes], size: int) -> Kept:
        digest, left = hashlib.sha256(), size
        with self._store.writer(key) as target:
            while left:
                piece = source.read(min(PIECE, left))
                if not piece:
                    raise tarfile.ReadError("the tar was cut short")
                digest.update(piece)
                target.write(piece)
                left -= len(piece)
        return Kept(path=path, key=key, size=size, sha256=digest.hexdigest())

    def _note(self, text: str) -> bool:
        self._found.notes.append(text)
        return True


def _printable(name: str) -> str:
    """File names are bytes; what is no UTF-8 is shown escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "")


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym():
        return f"a symbolic link (to {_printable(member.linkname)})"
    return "no plain file"


def _words(limits: UnpackLimits) -> str:
    return f"{limits.files} files and {limits.size / 1e9:g} GB"
