"""The manifest: each file with what it is and what is in it, one JSON line each, between a first and a last line.

A file whose size, times and inode are as in the manifest before keeps its digest, unless it was changed so shortly
before that one was made that the times could not tell (git's "racily clean").
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from machine.transfer.kept import Kept, walk
from machine.transfer.places import MANIFEST
from machine.transfer.progress import Progress

CHUNK = 1 << 20
BATCH = 1024
PART = 32
"""Files that a thread takes at a time: handing over each by itself costs more than hashing a small one."""
RACY_NS = 2_000_000_000
THREADS = min(4, os.cpu_count() or 1)

KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}
"""Sockets and devices are not in it: they mean nothing on another machine."""


def describe(path: str, seen: os.stat_result) -> dict[str, Any] | None:
    """The entry, still without a digest. None: nothing that a copy could bring back."""
    kind = KINDS.get(stat.S_IFMT(seen.st_mode))
    if kind is None:
        return None
    entry: dict[str, Any] = {"p": path, "t": kind, "m": stat.S_IMODE(seen.st_mode), "u": seen.st_uid, "g": seen.st_gid}
    entry.update(n=seen.st_mtime_ns, c=seen.st_ctime_ns, i=seen.st_ino)
    if kind == "f":
        entry["z"] = seen.st_size
        if seen.st_nlink > 1:
            entry["k"] = f"{seen.st_dev}:{seen.st_ino}"
    elif kind == "l":
        entry["l"] = os.readlink(path)
    return entry


def digest(path: str, progress: Progress) -> str:
    """The file's sha256, in hex."""
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            hashed.update(data)
            progress.advance(len(data))
            progress.check()
    return hashed.hexdigest()


def write(paths: list[str], kept: Kept, snapshot: str, final: bool, progress: Progress) -> dict[str, Any]:
    """Make the manifest of what is there now; returns its first line."""
    before = Known.read()
    first = {"manifest": 1, "snapshot": snapshot, "paths": paths, "final": final, "began_ns": time.time_ns()}
    count = 0
    with open(MANIFEST + ".new", "w") as file, ThreadPoolExecutor(THREADS) as pool:
        file.write(json.dumps(first) + "\n")
        for batch in _batches(entry for path in paths for entry in _entries(path, kept)):
            parts = [batch[start : start + PART] for start in range(0, len(batch), PART)]
            lines = [each for part in pool.map(lambda part: _lines(part, before, progress), parts) for each in part]
            file.writelines(lines)
            count += len(lines)
            progress.check()
        file.write(json.dumps({"entries": count}) + "\n")
    os.chmod(MANIFEST + ".new", 0o600)
    os.replace(MANIFEST + ".new", MANIFEST)
    return first


def _entries(path: str, kept: Kept) -> Iterator[dict[str, Any]]:
    for found, seen in walk(path, kept):
        try:
            entry = describe(found, seen)
        except FileNotFoundError:
            continue
        if entry is not None:
            yield entry


def _batches(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _lines(entries: list[dict[str, Any]], before: Known, progress: Progress) -> list[str]:
    return [line for line in (_line(entry, before, progress) for entry in entries) if line]


def _line(entry: dict[str, Any], before: Known, progress: Progress) -> str | None:
    if entry["t"] == "f":
        known = before.digest_of(entry)
        try:
            entry["h"] = known or digest(entry["p"], progress)
        except FileNotFoundError:
            return None
        progress.advance(entry["z"] if known else 0, files=1)
    return json.dumps(entry) + "\n"


class Known:
    """Digests from the manifest before."""

    def __init__(self, began_ns: int, files: dict[str, tuple[int, int, int, int, str]]) -> None:
        self._began_ns, self._files = began_ns, files

    @classmethod
    def read(cls) -> Known:
        try:
            with open(MANIFEST) as file:
                first = json.loads(file.readline())
                rows = (json.loads(line) for line in file)
                files = {row["p"]: _mark(row) for row in rows if row.get("t") == "f"}
                return cls(first["began_ns"], files)
        except (FileNotFoundError, ValueError, KeyError):
            return cls(0, {})

    def digest_of(self, entry: dict[str, Any]) -> str | None:
        known = self._files.get(entry["p"])
        if known is None or known[:4] != _mark(entry)[:4]:
            return None
        return known[4] if known[2] < self._began_ns - RACY_NS else None


def _mark(row: dict[str, Any]) -> tuple[int, int, int, int, str]:
    return row["z"], row["n"], row["c"], row["i"], row.get("h", "")


def read(path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line and the entries. Raises ValueError: cut off, or none at all."""
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    if len(lines) < 2 or lines[0].get("manifest") != 1 or lines[-1].get("entries") != len(lines) - 2:
        raise ValueError("the manifest is not whole")
    return lines[0], lines[1:-1]
