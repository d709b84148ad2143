"""A restore: files are fetched into a folder beside their place, all compared with the manifest, and then moved."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

from machine.transfer import checking, manifest
from machine.transfer.kept import Kept
from machine.transfer.lock import exclusive
from machine.transfer.placement import Placement
from machine.transfer.places import MANIFEST, STAGE
from machine.transfer.progress import Halt, Progress
from machine.transfer.restic import Restic, patiently

_ESCAPED = r"\\\1"
_SPECIAL = re.compile(r"([\\*?\[])")


def restore(order: dict[str, Any], progress: Progress) -> dict[str, Any]:
    began = time.monotonic()
    with exclusive(progress):
        first, entries = _fetch_manifest(order, progress)
        paths = list(first["paths"])
        stages = {path: _stage(path) for path in paths}
        with _cleared(set(stages.values())):
            _see_room(entries, paths)
            _fetch(order, stages, entries, progress)
            progress.enter("checking", sum(entry.get("z", 0) for entry in entries))
            findings = [
                checking.check(_below(entries, path), stage, bool(first["final"]), progress)
                for path, stage in stages.items()
            ]
            progress.enter("placing")
            replaced = _place(stages, progress)
        _settle_folders(entries, paths)
        if first["final"]:
            _see_in_place(entries)
    return {
        "files": sum(each.files for each in findings),
        "bytes": sum(each.bytes for each in findings),
        "changed": sum(each.changed for each in findings),
        "replaced": replaced,
        "seconds": time.monotonic() - began,
    }


def _fetch_manifest(order: dict[str, Any], progress: Progress) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    progress.enter("fetching")
    path = os.path.join(progress.folder, "manifest.jsonl")

    def fetch() -> None:
        with open(path, "wb") as file:
            Restic(order, progress).run(
                ["dump", "--no-lock", order["snapshot"], MANIFEST], lambda line: _keep(file, line)
            )

    patiently(fetch, progress)
    try:
        return manifest.read(path)
    except (ValueError, KeyError) as error:
        raise Halt("differs", f"the snapshot's manifest cannot be read: {error}") from error


def _keep(file: Any, line: bytes) -> None:
    file.write(line)


def _stage(path: str) -> str:
    """A folder beside the files that it is for, on their own file system."""
    if os.path.islink(path) or os.path.isfile(path):
        return os.path.join(os.path.dirname(path), STAGE)
    os.makedirs(path, exist_ok=True)
    return os.path.join(path, STAGE)


@contextlib.contextmanager
def _cleared(stages: set[str]) -> Iterator[None]:
    """Empty the stages before and remove them afterwards."""
    try:
        for stage in stages:
            shutil.rmtree(stage, ignore_errors=True)
            os.makedirs(stage, mode=0o700)
        yield
    finally:
        for stage in stages:
            shutil.rmtree(stage, ignore_errors=True)


def _below(entries: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    prefix = path.rstrip("/") + "/"
    return [entry for entry in entries if entry["p"] == path or entry["p"].startswith(prefix)]


def _see_room(entries: list[dict[str, Any]], paths: list[str]) -> None:
    """Before anything is fetched: the copy needs room beside what is there."""
    needed: dict[int, int] = {}
    free: dict[int, int] = {}
    for path in paths:
        folder = path if os.path.isdir(path) else os.path.dirname(path)
        device = os.stat(folder).st_dev
        room = os.statvfs(folder)
        free[device] = room.f_bavail * room.f_frsize
        linked = {entry.get("k", entry["p"]): entry.get("z", 0) for entry in _below(entries, path)}
        needed[device] = needed.get(device, 0) + sum(linked.values())
    for device, size in needed.items():
        if size > free[device]:
            raise Halt("no_space", f"the copy needs {size / 1e9:.1f} GB, the disk has {free[device] / 1e9:.1f} GB free")


def _fetch(order: dict[str, Any], stages: dict[str, str], entries: list[dict[str, Any]], progress: Progress) -> None:
    """One run of restic for each stage. What it says is not in JSON before 0.16, so its own count of bytes must do."""
    for stage in sorted(set(stages.values())):
        paths = [path for path, its in stages.items() if its == stage]
        total = sum(entry.get("z", 0) for path in paths for entry in _below(entries, path))
        progress.enter("fetching", total)
        chosen = [f"--include={_SPECIAL.sub(_ESCAPED, path)}" for path in paths]
        arguments = ["restore", "--no-lock", order["snapshot"], "--target", stage, *chosen]
        patiently(functools.partial(Restic(order, progress).run, arguments, lambda line: None), progress)


def _place(stages: dict[str, str], progress: Progress) -> int:
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept, replaced = Kept(list(stages)), 0
    for path, stage in stages.items():
        placement = Placement(path, when, kept, progress)
        if os.path.lexists(stage + path):
            placement.place(stage + path)
        replaced += placement.replaced
    return replaced


def _settle_folders(entries: list[dict[str, Any]], paths: list[str]) -> None:
    """Set the folders' times again, which our own work in them changed."""
    for entry in entries:
        if entry["p"] in paths and entry["t"] == "d" and os.path.isdir(entry["p"]):
            os.utime(entry["p"], ns=(entry["n"], entry["n"]))


def _see_in_place(entries: list[dict[str, Any]]) -> None:
    """Check that every file has arrived in its place."""
    for entry in entries:
        if not os.path.lexists(entry["p"]):
            raise Halt("differs", f"{entry['p']!r} did not get to its place")
