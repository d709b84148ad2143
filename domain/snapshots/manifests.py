"""A snapshot's manifest (`machine/transfer/manifest.py` writes it) and whether it says what the repository says."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

MANIFEST_PATH = "/var/lib/dumont/manifest.jsonl"
_UNSHOWABLE = "\N{REPLACEMENT CHARACTER}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COARSE = 10_000
"""Microseconds. A file changed just now may bear the time of the kernel's last tick, up to so long ago."""

_KINDS = {"file": "f", "dir": "d", "symlink": "l", "fifo": "p"}


class Disagreement(Exception):
    """The manifest is not that of this snapshot, or not whole; the text says how."""


class FirstLine(BaseModel):
    manifest: int
    snapshot: str
    paths: list[str]
    final: bool
    began_ns: int


class Entry(BaseModel):
    """`p` path as `comparable` shows it, `t` type (f d l p), `z` size, `n` mtime in ns, `h` sha256."""

    p: str
    t: str
    z: int = 0
    n: int = 0
    h: str = ""

    @property
    def is_named_plainly(self) -> bool:
        """Whether `p` is the name itself, so that one can ask for the file by it."""
        return _UNSHOWABLE not in self.p


class LastLine(BaseModel):
    entries: int


class Held(BaseModel):
    """What the repository says of one path."""

    path: str
    type: str
    size: int
    mtime: datetime | None
    ctime: datetime | None


class Manifest:
    """Read line by line; whole once `end` was called."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        try:
            rows = [line for line in lines if line.strip()]
            self.first = FirstLine.model_validate_json(rows[0])
            count = LastLine.model_validate_json(rows[-1]).entries
            entries = [_entry(row) for row in rows[1:-1]]
        except (ValueError, LookupError, TypeError) as error:
            raise Disagreement("the manifest cannot be read") from error
        if count != len(entries):
            raise Disagreement("the manifest is cut off")
        self.entries = {entry.p: entry for entry in entries}
        self.files = [entry for entry in entries if entry.t == "f"]


class Comparison:
    """The repository's listing against the manifest, node by node.

    Of files in use some change while they are read: a snapshot that is not final may differ where the times of the
    files, or of the folders that they vanished from, say that they changed after it was begun. Nothing else may.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._unseen = dict(manifest.entries)
        self._changed_folders: set[str] = set()
        self._prefixes = tuple(f"{path.rstrip('/')}/" for path in manifest.first.paths)
        self.files = 0
        self.agreeing: list[Entry] = []

    def see(self, held: Held) -> None:
        """Raises Disagreement."""
        kind = _KINDS.get(held.type)
        if kind is None or not self._is_ours(held.path):
            return
        changed = self._may_differ(held)
        if kind == "d" and changed:
            self._changed_folders.add(comparable(held.path))
        entry = self._unseen.pop(comparable(held.path), None)
        same = entry is not None and entry.t == kind and (kind != "f" or _is_same_file(held, entry))
        if not (same or changed):
            raise Disagreement(f"the manifest does not have {held.path!r} as it is in the snapshot")
        self.files += kind == "f"
        if kind == "f" and same and entry is not None:
            self.agreeing.append(entry)

    def end(self) -> None:
        """Everything was seen. Raises Disagreement."""
        for path, entry in self._unseen.items():
            if not self._vanished(path):
                raise Disagreement(f"the snapshot does not have {entry.p!r}")

    def _vanished(self, path: str) -> bool:
        """Whether it, or the folder that it was in, was taken away while the snapshot was taken."""
        if self._manifest.first.final:
            return False
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            if path in self._changed_folders:
                return True
        return False

    def _is_ours(self, path: str) -> bool:
        return path in self._manifest.first.paths or path.startswith(self._prefixes)

    def _may_differ(self, held: Held) -> bool:
        began = self._manifest.first.began_ns // 1000
        return not self._manifest.first.final and held.ctime is not None and microseconds(held.ctime) >= began - _COARSE


def _entry(row: bytes) -> Entry:
    said = json.loads(row)
    return Entry.model_validate({**said, "p": comparable(said["p"])})


def comparable(path: str) -> str:
    """Names that are no UTF-8 are shown by either side in a way of its own."""
    shown = path.encode(errors="surrogateescape").decode(errors="replace")
    return re.sub(f"{_UNSHOWABLE}+", _UNSHOWABLE, shown)


def microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _is_same_file(held: Held, entry: Entry) -> bool:
    """The repository's times are read to the microsecond."""
    return held.size == entry.z and held.mtime is not None and microseconds(held.mtime) == entry.n // 1000
