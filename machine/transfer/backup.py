"""A snapshot: the manifest first, then everything and the manifest to the vault."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from typing import Any

from machine.transfer import manifest
from machine.transfer.kept import Kept
from machine.transfer.lock import exclusive
from machine.transfer.places import MANIFEST
from machine.transfer.progress import Halt, Progress
from machine.transfer.restic import Restic, patiently

SOME_UNREADABLE = 3
"""restic's exit code when the snapshot was made but something could not be read."""


def take(order: dict[str, Any], progress: Progress) -> dict[str, Any]:
    began = time.monotonic()
    paths = _present(order["paths"])
    kept = Kept(paths)
    with exclusive(progress):
        progress.enter("reading", 0)
        manifest.write(paths, kept, order["id"], bool(order["final"]), progress)
        progress.enter("sending")
        said = _send(order, paths, kept, progress)
    return {
        "snapshot_id": said["snapshot_id"],
        "files": int(said["total_files_processed"]),
        "size_bytes": int(said["total_bytes_processed"]),
        "data_added_bytes": int(said["data_added"]),
        "seconds": time.monotonic() - began,
    }


def _present(paths: list[str]) -> list[str]:
    """The paths that are there; of one that is a link, what it leads to as well, or nothing would be saved of it."""
    found: list[str] = []
    for path in paths:
        found += [path, os.path.realpath(path)] if os.path.islink(path) else [path]
    there = sorted({os.path.normpath(path) for path in found if os.path.lexists(path)})
    if not there:
        raise Halt("no_files", f"none of the paths is there: {', '.join(paths)}")
    return [path for path in there if not any(path != other and _within(path, other) for other in there)]


def _within(path: str, other: str) -> bool:
    return path.startswith(other.rstrip("/") + "/") and not os.path.islink(other)


def _send(order: dict[str, Any], paths: list[str], kept: Kept, progress: Progress) -> dict[str, Any]:
    arguments = ["backup", "--json", "--host", "dumont", "--tag", ",".join([order["id"], *order["tags"]])]
    arguments += [*kept.options(), "--", *paths, MANIFEST]
    summary: dict[str, Any] = {}

    def send() -> list[str]:
        summary.clear()
        reading = functools.partial(_read, progress, summary)
        return Restic(order, progress).run(arguments, reading, worth=(0, SOME_UNREADABLE))

    _complain_of_unreadable(patiently(send, progress))
    if not summary:
        raise Halt("broken", "restic ended without a word of what it did")
    return summary


def _read(progress: Progress, summary: dict[str, Any], line: bytes) -> None:
    with contextlib.suppress(ValueError):
        said = json.loads(line)
        if said.get("message_type") == "status":
            progress.status.bytes_total = said.get("total_bytes", 0)
            progress.reached(said.get("bytes_done", 0), said.get("files_done", 0))
        elif said.get("message_type") == "summary":
            summary.update(said)


def _complain_of_unreadable(said: list[str]) -> None:
    """What vanished while it was read is no fault; what is there and cannot be read must not be missing silently."""
    for line in said:
        with contextlib.suppress(ValueError):
            error = json.loads(line)
            item = error.get("item", "") if isinstance(error, dict) else ""
            if item and os.path.lexists(item):
                raise Halt("unreadable", f"{item} cannot be read")
