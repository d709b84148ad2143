"""Putting what was brought back into its place, so that nothing of what was there before is lost.

Files go by `rename`, one by one: at any moment each is the old or the new one, whole. What was there and is not in the
snapshot, or is another file, is moved aside. Run again after a crash, it goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import stat

from machine.transfer.kept import Kept, is_cache
from machine.transfer.places import ASIDE, STAGE
from machine.transfer.progress import Progress


class Placing:
    """`root`: the persisted path; `aside`: where what was there before goes, made when it is needed."""

    def __init__(self, root: str, when: str, kept: Kept, progress: Progress) -> None:
        self._root = root
        self._aside = os.path.join(root, ASIDE, when)
        self._kept = kept
        self._progress = progress
        self.moved_aside = 0

    def place(self, staged: str) -> None:
        """Put the staged copy of the path into its place."""
        if os.path.isdir(staged) and not os.path.islink(staged):
            self._folder(staged, self._root)
        else:
            os.replace(staged, self._root)

    def _folder(self, staged: str, real: str) -> None:
        coming, seen = os.listdir(staged), os.lstat(staged)  # its time as it was, before its files leave it
        if not is_cache(staged):
            for name in set(os.listdir(real)) - set(coming):
                self._clear(os.path.join(real, name))
        for name in coming:
            self._one(os.path.join(staged, name), os.path.join(real, name))
        _copy_attributes(staged, seen, real)

    def _one(self, staged: str, real: str) -> None:
        new = os.lstat(staged)
        try:
            old = os.lstat(real)
        except FileNotFoundError:
            old = None
        if old is not None and stat.S_ISDIR(new.st_mode) and stat.S_ISDIR(old.st_mode):
            return self._folder(staged, real)
        if old is not None and not _is_the_same(staged, new, real, old):
            self._clear(real)
        os.replace(staged, real)
        self._progress.advance(0, files=1)
        self._progress.check()

    def _clear(self, real: str) -> None:
        """Move aside what is in the way, unless it is none of the snapshot's business."""
        if real in self._kept or os.path.ismount(real) or os.path.basename(real) in (STAGE, ASIDE):
            return
        target = os.path.join(self._aside, os.path.relpath(real, self._root))
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        os.replace(real, target)
        self.moved_aside += 1


def _is_the_same(staged: str, new: os.stat_result, real: str, old: os.stat_result) -> bool:
    """As well as size and time can tell; such a file is replaced without a copy aside."""
    if stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
        return False
    if stat.S_ISLNK(old.st_mode):
        return os.readlink(real) == os.readlink(staged)
    if stat.S_ISREG(old.st_mode):
        return old.st_size == new.st_size and old.st_mtime_ns == new.st_mtime_ns
    return True


def _copy_attributes(staged: str, seen: os.stat_result, real: str) -> None:
    """A folder's owner, mode, times and extended attributes."""
    os.chown(real, seen.st_uid, seen.st_gid)
    shutil.copystat(staged, real)
    os.utime(real, ns=(seen.st_atime_ns, seen.st_mtime_ns))
