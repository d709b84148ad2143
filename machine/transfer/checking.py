"""Compares restored files with the manifest: kind, attributes and contents."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from machine.transfer.manifest import THREADS, describe, digest
from machine.transfer.progress import Halt, Progress

SAME = ("m", "u", "g", "l")
"""What must be equal in an entry and in the restored file."""


class Findings:
    def __init__(self) -> None:
        self.files = self.bytes = self.changed = 0


def check(entries: list[dict[str, Any]], stage: str, final: bool, progress: Progress) -> Findings:
    """Check that everything is equal: kinds, attributes and contents.

    In a snapshot of files in use, those that changed while it was taken may differ. Content counts where size and time
    are those of the manifest, so a file that was being written is no false alarm.

    Raises:
        Halt: something differs.
    """
    findings = Findings()
    with ThreadPoolExecutor(THREADS) as pool:
        for entry, same in pool.map(lambda entry: (entry, _look(entry, stage, progress)), entries):
            if not same and final:
                raise Halt("differs", f"{entry['p']!r} is not as it was when the snapshot was taken")
            findings.changed += not same
            progress.check()
    files = [entry for entry in entries if entry["t"] == "f"]
    findings.files, findings.bytes = len(files), sum(entry["z"] for entry in files)
    _check_links(files, stage)
    return findings


def _look(entry: dict[str, Any], stage: str, progress: Progress) -> bool:
    """Whether it is equal. False: it differs, and may have changed while the snapshot was taken."""
    path = stage + entry["p"]
    try:
        found = describe(path, os.lstat(path))
    except FileNotFoundError:
        return False
    if found is None or any(found.get(word) != entry.get(word) for word in ("t", "z")):
        return False
    if entry["t"] == "f" and found["n"] != entry["n"]:
        return False
    wrong = [word for word in SAME if found.get(word) != entry.get(word)]
    if wrong:
        raise Halt("differs", f"{entry['p']!r} came back otherwise ({', '.join(wrong)})")
    if entry["t"] == "f" and digest(path, progress) != entry["h"]:
        raise Halt("differs", f"{entry['p']!r} came back with other content")
    progress.advance(0, files=1)
    return True


def _check_links(files: Iterable[dict[str, Any]], stage: str) -> None:
    inodes: dict[str, int] = {}
    for entry in files:
        if "k" not in entry or not os.path.lexists(stage + entry["p"]):
            continue
        inode = os.lstat(stage + entry["p"]).st_ino
        if inodes.setdefault(entry["k"], inode) != inode:
            raise Halt("differs", f"{entry['p']!r} came back as a file of its own and not as a hard link")
